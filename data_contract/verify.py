"""Verification: every byte and every promise of a dataset, all violations at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.columns import is_rounded, open_column, read_rows
from starsmith.data_contract.dataset import read_draws
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.manifest import (
    FileRecord,
    Manifest,
    content_digest,
    dataset_files,
    hash_file,
    read_manifest,
)
from starsmith.data_contract.names import CONDITIONS, UNITS
from starsmith.data_contract.noise import median_snr, true_error
from starsmith.data_contract.schema import (
    CHUNK_ROWS,
    DATASET_SCHEMA,
    DATASET_VERSION,
    Column,
    DatasetHeader,
    differing_keys,
)
from starsmith.data_contract.shards import Shard, open_run, plan_shards
from starsmith.data_contract.store import open_group, read_json

__all__ = ["Report", "verify_dataset"]

SNR_TOLERANCE = 1e-3  # relative; S/N is float32 arithmetic that machines may order differently


@dataclass(frozen=True)
class Report:
    """Outcome of a verification.

    Attributes
    ----------
    path : Path
    problems : list of str
        One sentence each, naming the shard or file; empty if all is well.
    n_files, n_bytes : int
        Files read and their size.
    """

    path: Path
    problems: list[str]
    n_files: int
    n_bytes: int

    @property
    def ok(self) -> bool:
        """True if nothing was found."""
        return not self.problems

    def require(self) -> None:
        """Raise ContractError unless all is well."""
        if self.problems:
            more = f"; and {len(self.problems) - 5} more" if len(self.problems) > 5 else ""
            raise ContractError(f"{self.path}: {'; '.join(self.problems[:5])}{more}")


def verify_dataset(path: Path | str) -> Report:
    """Check a dataset against its manifest and its header.

    Files are hashed first; values are checked wherever the files that hold them are intact.

    Parameters
    ----------
    path : path

    Returns
    -------
    report : Report

    Raises
    ------
    DataError
        If ``path`` is not a folder at all.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{path}: no dataset found there")
    problems: list[str] = []
    manifest = _read_manifest(path, problems)
    records = manifest.files if manifest else _sidecar_records(path)
    found = {name: hash_file(path / name) for name in dataset_files(path)}
    damaged = _file_problems(records, found, manifest is not None, problems)
    try:
        header = open_run(path)
        attrs = open_group(path, DATASET_SCHEMA, DATASET_VERSION).attrs.asdict()
        if keys := differing_keys(attrs.get("header"), header.run()):
            problems.append(f"zarr.json and run.json differ in {', '.join(keys)}")
        problems += _content_problems(path, header, manifest, damaged)
    except DataError as problem:
        problems.append(str(problem))
    n_bytes = sum(int(record["bytes"]) for record in found.values())
    return Report(path, problems, len(found), n_bytes)


def _read_manifest(path: Path, problems: list[str]) -> Manifest | None:
    try:
        return read_manifest(path)
    except FileNotFoundError:
        problems.append(
            "manifest.json is missing: the dataset is not finished; run the command that "
            "started it again: it resumes"
        )
    except DataError as problem:
        problems.append(str(problem))
    return None


def _sidecar_records(path: Path) -> dict[str, FileRecord]:
    """Size and hash of the files of every shard with a readable sidecar."""
    records: dict[str, FileRecord] = {}
    for sidecar in sorted(path.glob("shards/*.json")):
        try:
            records.update(read_json(sidecar)["files"])
        except (DataError, LookupError, TypeError, ValueError):
            records[f"shards/{sidecar.name}"] = {"bytes": 0, "sha256": "unreadable"}
    return records


def _owner(name: str) -> str:
    """What a file belongs to: its shard, or the header."""
    parts = name.split("/")
    if len(parts) > 3 and parts[2] == "c" and parts[3].isdigit():
        return f"shard {parts[0]}-{int(parts[3]):05d}"
    return f"shard {Path(name).stem}" if parts[0] == "shards" else "header"


def _file_problems(
    records: dict[str, FileRecord],
    found: dict[str, FileRecord],
    complete: bool,
    problems: list[str],
) -> set[str]:
    """Report missing, changed and unexpected files; return the names of the first two."""
    damaged = set()
    for name, record in records.items():
        if found.get(name) == record:
            continue
        damaged.add(name)
        repair = ""
        if name not in found:
            what = "is missing"
        elif found[name]["bytes"] != record["bytes"]:
            what = f"has {found[name]['bytes']} bytes, expected {record['bytes']}"
        else:
            what = "was changed: its SHA-256 is not the recorded one"
        if (owner := _owner(name)).startswith("shard "):
            repair = f"; delete shards/{owner[6:]}.json and run the command again to rewrite it"
        problems.append(f"{owner}: {name} {what}{repair}")
    if complete:
        for name in sorted(set(found) - set(records)):
            problems.append(f"{_owner(name)}: {name} is not in the manifest; remove it")
    return damaged


def _content_problems(
    path: Path, header: DatasetHeader, manifest: Manifest | None, damaged: set[str]
) -> Iterator[str]:
    """Check arrays and values of every split whose files are intact."""
    if manifest and (keys := differing_keys(manifest.run, header.run())):
        yield f"run.json and manifest.json differ in {', '.join(keys)}"
    fingerprints = {}
    for split in header.counts:
        before = len(damaged)
        for column in header.columns.values():
            if text := _array_problem(path, split, column, header):
                damaged.add(f"{split}/{column.name}/zarr.json")
                yield text
        intact = not any(name.startswith(f"{split}/") for name in damaged)
        if len(damaged) == before:
            yield from _value_problems(path, split, header, damaged)
        if intact:
            fingerprints[split] = _fingerprints(path, split, header)
            if manifest and content_digest(path, split, header) != manifest.content.get(split):
                yield f"split {split}: decoded keys and labels differ from the manifest's"
    yield from _duplicate_problems(fingerprints)


def _array_problem(path: Path, split: str, column: Column, header: DatasetHeader) -> str:
    """Name the first way an array's metadata differs from the schema; empty if none."""
    try:
        array = open_column(path, split, column.name)
    except DataError as problem:
        return str(problem)
    n_wave = header.wave.shape if len(column.dims) == 2 else ()
    shard = (header.shard_rows, *n_wave)
    expected = {
        "dtype": (array.dtype, np.dtype(column.dtype)),
        "shape": (array.shape, (header.counts[split], *n_wave)),
        "dimension names": (tuple(array.metadata.dimension_names or ()), column.dims),
        "shard": (array.shards or array.chunks, shard),
        "chunk": (array.chunks, (CHUNK_ROWS, *n_wave) if n_wave else shard),
        "units": (array.attrs.get("units"), UNITS[column.name]),
    }
    for what, (found, wanted) in expected.items():
        if found != wanted:
            return f"array {split}/{column.name}: {what} {found}, expected {wanted}"
    return ""


def _value_problems(
    path: Path, split: str, header: DatasetHeader, damaged: set[str]
) -> Iterator[str]:
    columns = header.columns.values()
    arrays = {column.name: open_column(path, split, column.name) for column in columns}
    for shard in plan_shards({split: header.counts[split]}, header.shard_rows):
        rows = slice(shard.start, shard.stop)
        intact = [
            column
            for column, name in zip(columns, shard.files(columns), strict=True)
            if name not in damaged
        ]
        try:
            values = {column.name: read_rows(arrays[column.name], rows) for column in intact}
        except DataError as problem:
            yield f"shard {shard.name}: {problem}"
            continue
        for text in _shard_problems(header, shard, values):
            yield f"shard {shard.name}: {text}"
        if "flux_model" in values and len(intact) == len(header.columns):
            yield from _snr_problems(header, shard, values)


def _shard_problems(
    header: DatasetHeader, shard: Shard, values: dict[str, np.ndarray]
) -> Iterator[str]:
    for name, value in values.items():
        if not np.isfinite(value).all():
            yield f"{name} holds NaN or infinity"
            continue
        low, high = header.prior.get(name, (-np.inf, np.inf))
        if outside := int(((value < low) | (value > high)).sum()):
            span = f"{value.min():g}..{value.max():g}"
            yield f"{name} {span} leaves the declared {low:g}..{high:g} in {outside} row(s)"
        if name == "index" and not np.array_equal(value, np.arange(shard.start, shard.stop)):
            yield f"index does not run from {shard.start} to {shard.stop - 1}"
        if name == "error" and value.min() <= 0:
            yield "error is not positive everywhere"
        if value.ndim == 2 and not is_rounded(value, header.keep_bits):
            yield f"{name} is not rounded to the declared {header.keep_bits} bits"


def _snr_problems(
    header: DatasetHeader, shard: Shard, values: dict[str, np.ndarray]
) -> Iterator[str]:
    """Recompute the S/N of the shard's first spectra from flux_model and conditions."""
    rows = slice(0, CHUNK_ROWS)
    conditions = np.stack([values[name][rows] for name in CONDITIONS], axis=1)
    flux_model = values["flux_model"][rows]
    try:
        snr = median_snr(flux_model, true_error(header.noise, flux_model, conditions))
    except DataError as problem:
        yield f"shard {shard.name}: {problem}"
        return
    if not np.allclose(snr, values["snr"][rows], rtol=SNR_TOLERANCE):
        yield f"shard {shard.name}: snr is not that of flux_model and its noise tables"


def _fingerprints(path: Path, split: str, header: DatasetHeader) -> np.ndarray:
    """A 64-bit number per star and sky: collisions of a million rows are one in 10^7."""
    draws = read_draws(path, split, header)
    table = np.column_stack([draws.labels, draws.mag, draws.conditions])
    weights = np.random.default_rng(0).integers(0, 2**63, table.shape[1], dtype=np.uint64)
    return np.ascontiguousarray(table).view(np.uint64) @ (2 * weights + np.uint64(1))


def _duplicate_problems(fingerprints: dict[str, np.ndarray]) -> Iterator[str]:
    names = list(fingerprints)
    if any(np.unique(prints).size == 1 < prints.size for prints in fingerprints.values()):
        return  # every draw alike on purpose: nothing varies
    for k, first in enumerate(names):
        for second in names[k + 1 :]:
            if n := int(np.isin(fingerprints[second], fingerprints[first]).sum()):
                yield f"splits {first} and {second} share {n} spectra"
