"""Vectors as a data set that every estimator reads: one pixel a component, with the stars' labels.

A spectrum is divided by its median before an estimator sees it. What is stored is therefore
1 + v - median(v), whose median is 1: it passes unchanged. The component that all entries of a
vector have in common is lost by it.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.manifest import Manifest
from starsmith.data_contract.dataset.plan import gathered_rows
from starsmith.data_contract.dataset.precision import OBSERVED_BITS
from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.dataset.schema import (
    CHUNK_ROWS,
    OBSERVED_VERSION,
    SHARD_ROWS,
    DatasetHeader,
)
from starsmith.data_contract.dataset.shards import Shard
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.exchange.conversion import write_dataset
from starsmith.data_contract.quantities import SPLITS
from starsmith.learners.embedding.doors import Door

__all__ = ["as_pixels", "write_vectors"]

NAME = "vectors"
APART = 10**12  # between simulated stars of two splits, which have no names


def as_pixels(vectors: np.ndarray) -> np.ndarray:
    """1 + v - median(v), float32 (n_spec, dim)."""
    return (1.0 + vectors - np.median(vectors, axis=1, keepdims=True)).astype(np.float32)


def write_vectors(
    door: Door,
    dataset: Dataset,
    out: Path | str,
    splits: tuple[str, ...] = (),
    overwrite: bool = False,
    wave: np.ndarray | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Write the vectors of a data set's spectra, with its labels, splits and names.

    Parameters
    ----------
    door : Door
    dataset : Dataset
    out : path
    splits : tuple of str
        All that hold spectra unless given.
    overwrite : bool
    wave : float64 array, shape (dim,), optional
        Where the door gives spectra: their pixels [vacuum Å]; else components are numbered.
    progress : callable
        ``progress(done, total)`` [spectra].

    Raises
    ------
    DataError
        If the spectra are not on the door's pixels, or another data set is at ``out``.
    """
    counts = {
        name: count
        for name, count in dataset.header.counts.items()
        if count and (not splits or name in splits)
    }
    found = {name: dataset.split(name) for name in counts}
    first = next(iter(found.values()))
    dim = door.vectors(first.observe(slice(0, 1)), f"split {first.name!r}").shape[1]
    wave = np.arange(1.0, dim + 1.0) if wave is None else wave
    header = _header(door, dataset, counts, wave)
    done = 0

    def wrote(shard: Shard) -> None:
        nonlocal done
        done += shard.stop - shard.start
        progress(done, sum(counts.values()))

    return write_dataset(
        Path(out), header, lambda shard: _columns(header, door, found, shard), wrote, overwrite
    )


def _header(
    door: Door, dataset: Dataset, counts: Mapping[str, int], wave: np.ndarray
) -> DatasetHeader:
    source = dataset.header
    return DatasetHeader(
        wave=wave,
        noise=None,
        label_names=source.label_names,
        counts=dict(counts),
        seed=source.seed,
        store="observed",
        keep_bits=OBSERVED_BITS,
        shard_rows=SHARD_ROWS,
        chunk_rows=CHUNK_ROWS,
        column_rows=gathered_rows(counts, SHARD_ROWS),
        notice=source.notice,
        schema_version=OBSERVED_VERSION,
        observed={
            "survey": f"vectors of {door.name}",
            "kind": NAME,
            "n_files": 1,
            "files_sha256": dataset.digest,
            "unit": "relative",
            "has_error": False,
            "arms": [{"name": "components", "start": 0}],
            "frames": [],
            "label_sources": {name: ["the data set"] for name in source.label_names},
            "steps": [f"spectra of data set {dataset.digest[:12]} as vectors of {door.name}"],
            "splits": "of the data set",
            "n_refused": 0,
        },
        versions={name: version(name) for name in ("starsmith", "numpy")},
    )


def _columns(
    header: DatasetHeader, door: Door, splits: Mapping[str, Split], shard: Shard
) -> dict[str, np.ndarray]:
    """All columns of one shard."""
    split, rows = splits[shard.split], slice(shard.start, shard.stop)
    size = shard.stop - shard.start
    columns = {
        name: np.full((size, *column.width(header.wave.size)), column.fill_value, column.dtype)
        for name, column in header.columns.items()
    }
    columns["index"][:] = np.arange(shard.start, shard.stop)
    columns["source_id"][:] = columns["index"] + SPLITS[split.name] * APART
    columns["flux"][:] = as_pixels(door.vectors(split.observe(rows), f"split {split.name!r}"))
    columns["snr"][:] = split.snr[rows]
    for name in header.label_names:
        columns[name][:] = split.label(name)[rows]
    if split.header.store == "observed":
        for name in ("source_id", "name", *(f"{label}_error" for label in header.label_names)):
            columns[name][:] = split.column(name)[rows]
    return columns
