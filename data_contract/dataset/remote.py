"""Data sets on the web or in a bucket: read only, each file fetched once and held to its SHA-256.

A finished data set names every file of its own with size and digest, so that a copy in the user's
cache is either the very bytes or is refused. A file that is there is not fetched again.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from starsmith.data_contract.dataset.manifest import MANIFEST_FILE, hash_file, read_manifest
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.user_cache import cache_folder

__all__ = ["is_remote", "mirror"]

WEB = ("http://", "https://")
BUCKETS = ("s3://", "gs://", "gcs://", "az://", "abfs://")
TIMEOUT = 60.0  # [s] of silence
MOST_MANIFEST = 256 * 1024**2  # bytes

Fetch = Callable[[str], bytes]


def is_remote(path: Path | str) -> bool:
    """Whether a path is an address: ``https://...``, ``s3://...``."""
    return str(path).startswith((*WEB, *BUCKETS))


def mirror(url: str) -> Path:
    """Copy of a finished data set in the user's cache, whole and checked.

    Parameters
    ----------
    url : str
        Of the data set's folder: http, https, or what fsspec opens (extra ``cloud``).

    Returns
    -------
    path : Path

    Raises
    ------
    DataError
        If it cannot be reached, is no finished data set, or a file is not what its manifest says.
    ModuleNotFoundError
        If fsspec, or what it needs for the bucket, is not installed.
    """
    url = url.rstrip("/")
    fetch = _fetcher(url)
    folder = cache_folder() / "mirrors" / hashlib.sha256(url.encode()).hexdigest()[:20]
    raw = _fetched(fetch, url, MANIFEST_FILE)
    if len(raw) > MOST_MANIFEST:
        raise DataError(f"{url}: manifest of {len(raw)} bytes is no manifest")
    # beside the copy: a run that is cut short leaves no manifest, so no data set
    head = folder.with_name(f"{folder.name}.manifest")
    head.mkdir(parents=True, exist_ok=True)
    _write(head / MANIFEST_FILE, raw)
    manifest = read_manifest(head)
    for name, record in manifest.files.items():
        part = PurePosixPath(name)
        if part.is_absolute() or ".." in part.parts or "\\" in name:
            raise DataError(f"{url}: its manifest names {name!r}, outside the data set")
        path = folder / name
        if path.is_file() and hash_file(path, record) == record:
            continue
        _write(path, _fetched(fetch, url, name))
        if hash_file(path, record) != record:
            path.unlink()
            raise DataError(
                f"{url}/{name} is not what the manifest says: it was changed, or cut short; try "
                "again, or ask who keeps it"
            )
    _write(folder / MANIFEST_FILE, raw)
    return folder


def _write(path: Path, content: bytes) -> None:
    with staged_file(path) as partial:
        partial.write_bytes(content)


def _fetched(fetch: Fetch, url: str, name: str) -> bytes:
    try:
        return fetch(f"{url}/{name}")
    except ModuleNotFoundError:
        raise
    except FileNotFoundError:
        raise DataError(
            f"{url}: no {name} there; give the address of the folder of a finished data set"
        ) from None
    except Exception as problem:  # each protocol has errors of its own
        raise DataError(f"{url}/{name} cannot be read ({problem}); try again") from None


def _fetcher(url: str) -> Fetch:
    if not url.startswith(WEB):
        import fsspec

        return lambda one: bytes(fsspec.open(one, "rb").open().read())
    import httpx

    client = httpx.Client(timeout=TIMEOUT, follow_redirects=True)

    def get(one: str) -> bytes:
        answer = client.get(one)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise FileNotFoundError(one)
        return answer.raise_for_status().content

    return get
