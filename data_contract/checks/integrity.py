"""Files of a dataset against what was recorded of them: missing, changed, not part of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from starsmith.data_contract.dataset.gathered import blamed_shards, column_files
from starsmith.data_contract.dataset.manifest import (
    FileRecord,
    Manifest,
    dataset_files,
    hash_file,
    read_manifest,
)
from starsmith.data_contract.dataset.plan import Shard
from starsmith.data_contract.dataset.shards import open_run
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.in_threads import in_threads

__all__ = ["FileCheck", "Finding", "check_files", "owner_of"]

UNFINISHED = (
    "manifest.json is missing: the dataset is not finished; run the command that started it "
    "again: it resumes"
)


@dataclass(frozen=True)
class Finding:
    """Something wrong with a dataset.

    Attributes
    ----------
    owner : str
        What has to be made again: a shard such as ``train-00003``, or ``header``; empty where
        neither would help.
    text : str
        One sentence.
    """

    owner: str
    text: str

    def __str__(self) -> str:
        if not self.owner:
            return self.text
        return f"{'' if self.owner == 'header' else 'shard '}{self.owner}: {self.text}"


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """Every file of a dataset, hashed and compared.

    Attributes
    ----------
    manifest : Manifest or None
        None where it is missing or was changed.
    findings : list of Finding
    records : dict of str to FileRecord
        What the files should be: by the manifest, else by the sidecars.
    found : dict of str to FileRecord
        What the files are.
    """

    manifest: Manifest | None
    findings: list[Finding]
    records: dict[str, FileRecord]
    found: dict[str, FileRecord]

    @property
    def damaged(self) -> set[str]:
        """Names of recorded files that are missing or differ."""
        return {name for name, record in self.records.items() if self.found.get(name) != record}

    @property
    def n_bytes(self) -> int:
        """Size of all files together."""
        return sum(int(record["bytes"]) for record in self.found.values())


def check_files(path: Path) -> FileCheck:
    """Hash every file of a dataset and compare it with its record."""
    manifest, findings = None, []
    try:
        manifest = read_manifest(path)
    except FileNotFoundError:
        findings.append(Finding("", UNFINISHED))
    except DataError as problem:
        findings.append(Finding("", str(problem)))
    records = manifest.files if manifest else _sidecar_records(path)
    names = [*dataset_files(path)]
    hashes = in_threads(lambda name: _record(path / name, records.get(name)), names)
    found = dict(zip(names, hashes, strict=True))
    findings += _differences(path, records, found)
    if manifest:
        strangers = sorted(set(found) - set(records))
        findings += [
            Finding(owner_of(name), f"{name} is not in the manifest; remove it")
            for name in strangers
        ]
    return FileCheck(manifest=manifest, findings=findings, records=records, found=found)


def _record(file: Path, known: FileRecord | None) -> FileRecord:
    """Size and hash of a file; those of none where it is a link, a pipe or cannot be read."""
    try:
        if not file.is_symlink():
            unknown = {"bytes": -1, "sha256": "not recorded"}  # of another size: not read
            return hash_file(file, known or unknown)
    except (OSError, LookupError, TypeError):
        pass
    return {"bytes": 0, "sha256": "no regular file"}


def _sidecar_records(path: Path) -> dict[str, FileRecord]:
    """Size and hash of the files of every shard with a readable sidecar."""
    records: dict[str, FileRecord] = {}
    for sidecar in sorted(path.glob("shards/*.json")):
        try:
            records.update(read_json(sidecar)["files"])
        except (DataError, LookupError, TypeError, ValueError):
            records[f"shards/{sidecar.name}"] = {"bytes": 0, "sha256": "unreadable"}
    return records


def owner_of(name: str) -> str:
    """What a file belongs to: its shard, or the header."""
    parts = name.split("/")
    if len(parts) > 3 and parts[2] == "c" and parts[3].isdigit():
        return f"{parts[0]}-{int(parts[3]):05d}"
    return Path(name).stem if parts[0] == "shards" else "header"


def _differences(
    path: Path, records: dict[str, FileRecord], found: dict[str, FileRecord]
) -> Iterator[Finding]:
    shared = _shared_files(path)
    for name, record in records.items():
        if found.get(name) == record:
            continue
        if name not in found:
            what = "is missing"
        elif found[name]["bytes"] != record["bytes"]:
            what = f"has {found[name]['bytes']} bytes, expected {record['bytes']}"
        else:
            what = "was changed: its SHA-256 is not the recorded one"
        for owner in shared[name](name) if name in shared else [owner_of(name)]:
            yield Finding(owner, f"{name} {what}; `specdata repair {path}` makes it again")


def _shared_files(path: Path) -> dict[str, Callable[[str], list[str]]]:
    """File that many shards share -> what names the shards whose part of it is damaged."""
    try:
        header = open_run(path)
    except DataError:
        return {}

    def of(shards: list[Shard]) -> Callable[[str], list[str]]:
        return lambda name: [s.name for s in blamed_shards(path, header, name, shards)]

    return {name: of(shards) for name, shards in column_files(header).items()}
