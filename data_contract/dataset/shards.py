"""Shards: the units of work a dataset is written, resumed and finished by."""

import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
import zarr

from starsmith.data_contract.bank.bank_file import read_noise, write_noise
from starsmith.data_contract.dataset.card import card_contents, card_text
from starsmith.data_contract.dataset.gathered import (
    column_files,
    gather_columns,
    has_columns,
    write_piece,
)
from starsmith.data_contract.dataset.manifest import (
    MANIFEST_FILE,
    FileRecord,
    Manifest,
    content_digest,
    dataset_files,
    hash_file,
    make_manifest,
    read_manifest,
    write_manifest,
)
from starsmith.data_contract.dataset.plan import SIDECARS, Shard, plan_shards
from starsmith.data_contract.dataset.schema import (
    DATASET_SCHEMA,
    DATASET_VERSIONS,
    WAVE_ATTRIBUTES,
    DatasetHeader,
)
from starsmith.data_contract.dataset.split_columns import (
    chunk_file,
    copy_column,
    create_column,
    is_finite,
    write_rows,
)
from starsmith.data_contract.dataset.stored_spectra import as_stored
from starsmith.data_contract.differing_keys import differing_keys
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import (
    json_bytes,
    partial_name,
    staged_folder,
    write_json,
    write_text,
)
from starsmith.data_contract.files.interrupts import uninterrupted
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.files.zarr_groups import (
    open_group,
    read_arrays,
    write_array,
)

__all__ = [
    "DatasetHeader",
    "Shard",
    "create_dataset",
    "finish_dataset",
    "finished_shards",
    "open_run",
    "plan_shards",
    "write_shard",
]

RUN_FILE = "run.json"
CARD_FILE = "DATASET.md"


def create_dataset(path: Path | str, header: DatasetHeader) -> None:
    """Create an empty dataset, or accept one that the same run left unfinished.

    Parameters
    ----------
    path : path
        Folder of the dataset; appears complete with header, wavelengths and noise tables.
    header : DatasetHeader

    Raises
    ------
    DataError
        If ``path`` exists and is anything but a dataset of the same run.
    """
    path = Path(path)
    if not path.exists():
        fresh = partial_name(path)
        with uninterrupted():
            with staged_folder(fresh, DATASET_SCHEMA) as staging:
                create_skeleton(staging, header)
            try:
                os.rename(fresh, path)
            except OSError:
                shutil.rmtree(fresh)
                if not path.exists():  # else another process created it meanwhile
                    raise
    accept_run(path, header)


def accept_run(path: Path, header: DatasetHeader) -> None:
    """Refuse a folder that does not hold a dataset of this run, with a DataError."""
    try:
        found = open_run(path).run()
    except DataError as problem:
        raise DataError(f"{problem}; choose another --out") from None
    if keys := differing_keys(found, header.run()):
        raise DataError(
            f"{path} holds a dataset of another run: {', '.join(keys)} differ; choose another "
            "--out, or pass --overwrite to replace it"
        )


def create_skeleton(path: Path, header: DatasetHeader) -> None:
    """Write all of a dataset but its shards, card and manifest into an empty folder."""
    group = zarr.open_group(path, mode="w")
    group.attrs.update(
        {
            "schema": DATASET_SCHEMA,
            "schema_version": header.schema_version,
            "store": header.store,
            "header": json.loads(json_bytes(header.run())),  # one order, whoever writes it
        }
    )
    described = header.schema_version > 1
    about_wave = WAVE_ATTRIBUTES if described else {}
    write_array(group, "wave", header.wave, ("wavelength",), attributes=about_wave)
    if header.noise is not None:
        write_noise(group, header.noise)
    first = next(iter(header.counts))
    for split, n_rows in header.counts.items():
        columns = group.create_group(split)
        if described:
            write_array(columns, "wave", header.wave, ("wavelength",), attributes=about_wave)
        for name, column in header.columns.items():
            if split == first:
                create_column(columns, column, n_rows, header)
            else:
                copy_column(path / first / name, path / split / name, n_rows)
    write_json(path / RUN_FILE, header.run())


def open_run(path: Path | str) -> DatasetHeader:
    """Read the header of a dataset, finished or not.

    Raises
    ------
    DataError
        If ``path`` is not a dataset, or its header is damaged.
    """
    path = Path(path)
    group = open_group(path, DATASET_SCHEMA, DATASET_VERSIONS)
    run = read_json(path / RUN_FILE)
    try:
        wave = read_arrays(group, {"wave": ("float64", ("wavelength",))}, needed=["wave"])["wave"]
        observed = group.attribute("store", str, "") == "observed"
        noise = None if observed else read_noise(group, wave.size)
        return DatasetHeader.from_run(run, wave, noise)
    except (DataError, ValueError, LookupError, TypeError, ArithmeticError) as problem:
        raise DataError(
            f"{path}: its header is damaged ({problem}); `specdata verify {path}` says where"
        ) from None


def write_shard(
    path: Path | str,
    header: DatasetHeader,
    shard: Shard,
    columns: Mapping[str, np.ndarray],
    only: Collection[str] | None = None,
) -> None:
    """Write one shard; writing it again gives the same bytes.

    The sidecar, written last, makes the shard count: a crash before leaves the shard to be
    written again.

    Parameters
    ----------
    path : path
    header : DatasetHeader
    shard : Shard
    columns : dict of str to array
        One entry per column of the header, with ``stop - start`` rows; see `as_stored`.
    only : collection of str, optional
        Names of the columns to write, where the others are in place already.

    Raises
    ------
    DataError
        If a column is missing, unknown, misshapen, not finite or out of step with the key.
    """
    path = Path(path)
    if problems := list(_column_problems(header, shard, columns)):
        raise DataError(f"{path}: shard {shard.name} refused: " + "; ".join(problems))
    (path / shard.sidecar).unlink(missing_ok=True)
    (path / MANIFEST_FILE).unlink(missing_ok=True)
    rows = slice(shard.start, shard.stop)
    written = {}
    for column in header.columns.values():
        if column.name in header.gathered or (only is not None and column.name not in only):
            continue
        values = as_stored(header, shard.split, column.name, columns)
        file = chunk_file(shard.split, column, shard.number)
        written[file] = write_rows(path, shard.split, column, rows, values)
    (path / SIDECARS).mkdir(exist_ok=True)
    chunks = write_piece(path, header, shard, columns, only)
    write_json(path / shard.sidecar, _sidecar(path, header, shard, written, chunks))


def _column_problems(header: DatasetHeader, shard: Shard, columns: Mapping[str, np.ndarray]):
    if shard not in plan_shards(header.counts, header.shard_rows):
        yield f"rows {shard.start}..{shard.stop} are not a shard of counts {header.counts}"
    if names := sorted(set(header.columns) ^ set(columns)):
        yield f"columns {names} are missing or unknown to a {header.store} store"
    for name in set(header.columns) & set(columns):
        values = np.asarray(columns[name])
        shape = (shard.stop - shard.start, *header.columns[name].width(header.wave.size))
        if values.shape != shape:
            yield f"{name} has shape {values.shape}, expected {shape}"
        elif not header.columns[name].may_lack and not is_finite(values):
            yield f"{name} holds NaN or infinity"
        elif name == "index" and not np.array_equal(values, np.arange(shard.start, shard.stop)):
            yield f"index does not run from {shard.start} to {shard.stop - 1}"
        elif name == "error" and values.min() <= 0:
            yield "error is not positive everywhere"


def _sidecar(path: Path, header: DatasetHeader, shard: Shard, written: dict, chunks: dict) -> dict:
    """What tells that a shard is whole; files not ``written`` now are looked at."""
    files = shard.own_files(header)
    return {
        "shard": shard.name,
        "rows": [shard.start, shard.stop],
        "key": {"seed": header.seed, "split": shard.split, "index": [shard.start, shard.stop]},
        "files": {name: written.get(name) or hash_file(path / name) for name in files},
        **({"columns": chunks} if chunks else {}),
    }


def finished_shards(path: Path | str, among: Iterable[Shard] | None = None) -> set[Shard]:
    """Shards that are complete: sidecar present and every file of the recorded size.

    Parameters
    ----------
    path : path
    among : iterable of Shard, optional
        Which to look at; all by default.
    """
    path = Path(path)
    header = open_run(path)
    plan = plan_shards(header.counts, header.shard_rows) if among is None else among
    return {shard for shard in plan if _records(path, header, shard) is not None}


def _records(path: Path, header: DatasetHeader, shard: Shard) -> dict[str, FileRecord] | None:
    """Size and hash of a complete shard's own files; None where it must be written again."""
    try:
        told = read_json(path / shard.sidecar)
        records = told["files"]
        sizes = {name: (path / name).stat().st_size for name in records}
        complete = set(records) == set(shard.own_files(header)) and all(
            sizes[name] == records[name]["bytes"] for name in records
        )
        chunks = [told["columns"][name]["bytes"] for name in header.gathered]
        complete = complete and has_columns(path, header, shard, chunks)
    except (DataError, LookupError, TypeError, OSError):
        return None
    return records if complete else None


def finish_dataset(path: Path | str) -> Manifest:
    """Write the manifest of a dataset whose shards are all there.

    Raises
    ------
    DataError
        If shards are missing, damaged, or files lie around that are not part of it.
    """
    path = Path(path)
    header = open_run(path)
    for leftover in path.rglob("*.partial"):  # of interrupted writes
        leftover.unlink()
    _require_shards(path, header)
    gather_columns(path, header)
    if header.schema_version > 1:
        write_text(path / CARD_FILE, card_text(header, card_contents(path, header)))
    files = _all_records(path, header)
    content = {split: content_digest(path, split, header) for split in header.counts}
    manifest = make_manifest(header.run(), content, files)
    try:
        if (earlier := read_manifest(path)).digest == manifest.digest:
            return earlier
    except (FileNotFoundError, DataError):
        pass
    write_manifest(path, manifest)
    return manifest


def _require_shards(path: Path, header: DatasetHeader) -> None:
    plan = plan_shards(header.counts, header.shard_rows)
    numbers = [k for k, shard in enumerate(plan) if _records(path, header, shard) is None]
    if numbers:
        raise DataError(
            f"{path}: {len(numbers)} of {len(plan)} shards are not written yet (first: "
            f"{plan[numbers[0]].name}; in the order of --shards: {_ranges(numbers)}); run the same "
            "command again: it resumes"
        )


def _ranges(numbers: list[int]) -> str:
    """Such as ``0:3, 7:8`` for 0, 1, 2, 7; the rest is counted after eight."""
    starts = [n for k, n in enumerate(numbers) if not k or numbers[k - 1] != n - 1]
    stops = [n + 1 for k, n in enumerate(numbers) if n + 1 not in numbers[k + 1 : k + 2]]
    spans = [f"{start}:{stop}" for start, stop in zip(starts, stops, strict=True)]
    return ", ".join(spans[:8]) + (f" and {len(spans) - 8} more" if len(spans) > 8 else "")


def _all_records(path: Path, header: DatasetHeader) -> dict[str, FileRecord]:
    """Size and hash of every file: shards from their sidecars, the rest read now."""
    plan = plan_shards(header.counts, header.shard_rows)
    files: dict[str, FileRecord] = {}
    for shard in plan:
        files.update(_records(path, header, shard) or {})
    rest = [name for name in dataset_files(path) if name not in files]
    known = {shard.sidecar for shard in plan} | set(column_files(header))
    if strangers := [n for n in rest if n not in known and not is_skeleton(n, header)]:
        raise DataError(f"{path}: {strangers[:5]} are not part of the dataset; remove them")
    return files | {name: hash_file(path / name) for name in rest}


def is_skeleton(name: str, header: DatasetHeader) -> bool:
    """Whether a file is part of a dataset without being a shard's."""
    top = name.split("/")[0]
    if top in header.counts:
        return name.endswith("/zarr.json") or name.startswith(f"{top}/wave/")
    return top in {"zarr.json", RUN_FILE, CARD_FILE, "wave", "noise"}
