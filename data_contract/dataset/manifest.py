"""The manifest: every file of a finished dataset with its size and SHA-256, and one digest."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.split_columns import open_column, read_blocks
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import json_bytes, write_json
from starsmith.data_contract.files.digests import FileRecord, hash_file
from starsmith.data_contract.files.outside import MOST_JSON, read_file

__all__ = [
    "MANIFEST_FILE",
    "FileRecord",
    "Manifest",
    "content_digest",
    "dataset_files",
    "hash_file",
    "make_manifest",
    "read_manifest",
    "write_manifest",
]

MANIFEST_FILE = "manifest.json"
MANIFEST_SCHEMA = "starsmith.manifest"
MANIFEST_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a finished dataset consists of.

    Attributes
    ----------
    run : dict
        The header: configuration, counts, seed, versions, ...
    content : dict of str to str
        Split -> SHA-256 of its decoded keys, labels, magnitudes, conditions and S/N.
    files : dict of str to FileRecord
        Every file but the manifest itself, by path relative to the dataset.
    digest : str
        SHA-256 of all of the above: equal digests are equal datasets.
    """

    run: dict
    content: dict[str, str]
    files: dict[str, FileRecord]
    digest: str

    def document(self) -> dict:
        """The manifest as JSON, sealed by a SHA-256 of itself."""
        body = {"schema": MANIFEST_SCHEMA, "schema_version": MANIFEST_VERSION, **asdict(self)}
        return {**body, "seal": _sha256(body)}

    @property
    def n_bytes(self) -> int:
        """Size of all files together."""
        return sum(int(record["bytes"]) for record in self.files.values())


def make_manifest(run: dict, content: dict[str, str], files: dict[str, FileRecord]) -> Manifest:
    """Complete a manifest with its digest; the same dataset has the same manifest, to the byte."""
    return Manifest(
        run=run,
        content=content,
        files=files,
        digest=_sha256({"run": run, "content": content, "files": files}),
    )


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of the dataset at ``path``."""
    write_json(path / MANIFEST_FILE, manifest.document())


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of the dataset at ``path``.

    Raises
    ------
    FileNotFoundError
        If there is none: the dataset is not finished.
    DataError
        If it was changed: one flipped bit is enough.
    """
    try:
        raw = read_file(path / MANIFEST_FILE, MOST_JSON)
        document = json.loads(raw)
        entries = {name: document[name] for name in Manifest.__dataclass_fields__}
        manifest = Manifest(**entries)
        intact = json_bytes(manifest.document()) == raw
        again = make_manifest(manifest.run, manifest.content, manifest.files)
        intact = intact and again == manifest
    except FileNotFoundError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise DataError(
            f"{path / MANIFEST_FILE} was changed or cut short; `specdata repair {path}` checks all "
            "shards and writes it again"
        )
    return manifest


def dataset_files(path: Path) -> Iterator[str]:
    """Every file below ``path`` but the manifest, as sorted relative POSIX paths."""
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if name != MANIFEST_FILE and (file.is_symlink() or not file.is_dir()):
            yield name


def content_digest(path: Path, split: str, header: DatasetHeader) -> str:
    """SHA-256 of a split's decoded one-dimensional columns, whatever their encoding."""
    total = hashlib.sha256()
    for column in header.columns.values():
        if len(column.dims) == 1:
            array = open_column(path, split, column.name)
            total.update(f"{column.name} {column.dtype} {array.shape}".encode())
            for values in read_blocks(array, header.shard_rows):
                total.update(values.astype(column.dtype).tobytes())
    return total.hexdigest()


def _sha256(content: dict) -> str:
    return hashlib.sha256(json_bytes(content)).hexdigest()
