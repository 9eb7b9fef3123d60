"""Digest trees: size and SHA-256 of every file of a folder, in a file of the folder itself."""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import json_bytes, write_json
from starsmith.data_contract.files.outside import read_json, regular_size

__all__ = [
    "DIGESTS",
    "NO_DIGEST",
    "FileRecord",
    "changed_files",
    "hash_file",
    "read_digests",
    "refuse_changes",
    "require_digests",
    "tell_of_no_digest",
    "write_digests",
]

DIGESTS = "digests.json"
DIGESTS_SCHEMA = "starsmith.digests"
DIGESTS_VERSION = 1
NO_DIGEST = "written before files carried digests: nothing tells whether it was changed since"

FileRecord = dict[str, int | str]
"""{"bytes": size, "sha256": hex}."""

logger = logging.getLogger(__name__)


def hash_file(file: Path, known: FileRecord | None = None) -> FileRecord:
    """Size and SHA-256 of a file; OSError if it is no regular one.

    Of another size than ``known``, it is another file and is not read, however large it is.
    """
    size = regular_size(file)
    if known is not None and size != known["bytes"]:
        return {"bytes": size, "sha256": "not read"}
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"bytes": stream.tell(), "sha256": digest}


def _files(folder: Path) -> Iterator[str]:
    """Files that a tree lists: not its own, nor hidden ones, nor those of trees further down."""
    for here, folders, files in os.walk(folder):
        inside = Path(here).relative_to(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not (Path(here) / name / DIGESTS).exists()
        )
        names = [name for name in folders if (Path(here) / name).is_symlink()]
        for name in sorted([*files, *names]):
            if not name.startswith(".") and not (here == str(folder) and name == DIGESTS):
                yield (inside / name).as_posix()


def write_digests(folder: Path) -> None:
    """Write the digest tree of a folder that is complete."""
    files = {name: hash_file(folder / name) for name in _files(folder)}
    body = {"schema": DIGESTS_SCHEMA, "schema_version": DIGESTS_VERSION, "files": files}
    write_json(folder / DIGESTS, {**body, "seal": _seal(body)})


def _seal(body: Mapping) -> str:
    return hashlib.sha256(json_bytes(body)).hexdigest()


def read_digests(folder: Path) -> dict[str, FileRecord] | None:
    """Digest tree of a folder, None where it has none; DataError if it was changed."""
    file = folder / DIGESTS
    if not os.path.lexists(file):
        return None
    content = read_json(file)
    seal, files = content.pop("seal", None), content.get("files")
    if seal != _seal(content) or not isinstance(files, dict):
        raise DataError(f"{file} was changed or cut short; write {folder} again, or copy it again")
    return files


def changed_files(
    folder: Path, files: Mapping[str, FileRecord], thorough: bool, alone: bool = True
) -> Iterator[str]:
    """Say what differs from a digest tree, a file each.

    Parameters
    ----------
    folder : Path
    files : mapping of str to FileRecord
    thorough : bool
        Hash every file; otherwise sizes are compared, and descriptions hashed.
    alone : bool
        Whether files that the tree does not list are told of.
    """
    for name, record in files.items():
        try:
            if (folder / name).is_symlink():
                yield f"{name} is a link"
            elif not thorough and not name.endswith(".json"):
                if regular_size(folder / name) != record["bytes"]:
                    yield f"{name} has another size"
            elif hash_file(folder / name, record) != record:
                yield f"{name} was changed"
        except FileNotFoundError:
            yield f"{name} is missing"
        except (OSError, TypeError, LookupError) as problem:
            yield f"{name} cannot be read ({problem})"
    for name in sorted(set(_files(folder)) - set(files)) if alone else ():
        yield f"{name} is not part of it"


def require_digests(folder: Path) -> None:
    """Compare a folder with its digest tree as far as is quick; warn where there is none.

    Raises
    ------
    DataError
        If a description was changed, or a file is missing, of another size or not listed.
    """
    if (files := read_digests(folder)) is None:
        tell_of_no_digest(folder)
    else:
        refuse_changes(folder, files)


def refuse_changes(folder: Path, files: Mapping[str, FileRecord]) -> None:
    """Raise DataError where a folder differs from its digest tree, as far as is quick to see."""
    if problems := list(changed_files(folder, files, thorough=False)):
        raise DataError(
            f"{folder}: contents do not match their digest: {'; '.join(problems[:5])}; "
            f"{len(problems)} file(s) in all: write it again, or copy it again"
        )


def tell_of_no_digest(folder: Path) -> None:
    """Warn that a folder is older than digests."""
    logger.warning("%s: %s", folder, NO_DIGEST)
