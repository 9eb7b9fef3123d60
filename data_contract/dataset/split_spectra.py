"""Where the spectra of a split come from, and the decoded shards kept in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from starsmith.data_contract.dataset.schema import CHUNK_ROWS
from starsmith.data_contract.dataset.split_columns import open_column, read_rows, rounded
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file

__all__ = ["Regenerate", "RegeneratedSpectra", "ShardCache", "Source", "StoredSpectra"]

CACHED_SHARDS = 8  # decoded shards kept in memory; 33 MB each at 4096 pixels

Regenerate = Callable[[Draws], np.ndarray]
"""The forward model: draws to noiseless flux, float32 (n_spec, n_wave)."""


class Source(Protocol):
    """Where spectra, or their masks, come from."""

    def read(self, rows: np.ndarray | slice) -> np.ndarray:
        """Values (n_rows, n_wave) of some rows, float32 ones of spectra."""


class StoredSpectra:
    """Spectra decoded from the file."""

    def __init__(self, path: Path, split: str, name: str):
        self._array = open_column(path, split, name)

    def read(self, rows: np.ndarray | slice) -> np.ndarray:
        """Float32 spectra (n_rows, n_wave) of some rows."""
        return read_rows(self._array, rows, whole=True)


class RegeneratedSpectra:
    """Noiseless spectra computed again from their draws."""

    def __init__(self, draws: Draws, regenerate: Regenerate, keep_bits: int):
        self._draws, self._regenerate, self._keep_bits = draws, regenerate, keep_bits

    def read(self, rows: np.ndarray | slice) -> np.ndarray:
        """Float32 spectra (n_rows, n_wave) of some rows."""
        draws = self._draws.take(rows)
        spectra = self._regenerate(draws)
        if len(spectra) != len(draws) or not np.isfinite(spectra).all():
            raise DataError(
                f"the forward model returned {spectra.shape} or NaN for {len(draws)} draws; "
                "pass the bank the dataset was made from"
            )
        return rounded(spectra, self._keep_bits)


class ShardCache:
    """Reads rows of a source in any order, keeping decoded shards in memory.

    Whole shards are decoded unless only a few chunks of one are wanted. Once loaded, rows come
    from one array, in memory or mapped from a file.
    """

    def __init__(
        self, source: Source, n_rows: int, n_wave: int, shard_rows: int, dtype: str = "float32"
    ):
        self._source, self._dtype = source, np.dtype(dtype)
        self._n_rows, self._n_wave, self._shard_rows = n_rows, n_wave, shard_rows
        self._capacity = CACHED_SHARDS
        self._shards: dict[int, np.ndarray] = {}
        self._whole: np.ndarray | None = None

    def load(self, file: Path | None = None) -> None:
        """Keep all rows decoded from now on: in memory, or in a file that is mapped.

        Parameters
        ----------
        file : path, optional
            A ``.npy`` file, written unless it is there: 16 kB per spectrum of 4096 pixels.
        """
        if self._whole is not None:
            return
        shape = (self._n_rows, self._n_wave)
        if file is None:
            self._whole = self._decoded_into(np.empty(shape, dtype=self._dtype))
            return
        if not file.exists():
            with staged_file(file) as partial:
                mapped = np.lib.format.open_memmap(partial, "w+", self._dtype, shape)
                self._decoded_into(mapped).flush()
        self._whole = np.load(file, mmap_mode="r")
        if self._whole.shape != shape or self._whole.dtype != self._dtype:
            raise DataError(f"{file} is not a cache of {shape} spectra; delete it")

    def _decoded_into(self, out: np.ndarray) -> np.ndarray:
        for start in range(0, self._n_rows, self._shard_rows):
            rows = slice(start, min(start + self._shard_rows, self._n_rows))
            out[rows] = self._source.read(rows)
        self._shards.clear()
        return out

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Values (n_rows, n_wave), in the order of ``rows``."""
        if self._whole is not None:
            return self._whole[rows]
        out = np.empty((rows.size, self._n_wave), dtype=self._dtype)
        number = rows // self._shard_rows
        order = np.argsort(number, kind="stable")
        breaks = np.flatnonzero(np.diff(number[order])) + 1
        for place in np.split(order, breaks) if rows.size else ():
            out[place] = self._within(int(number[place[0]]), rows[place])
        return out

    def _within(self, number: int, rows: np.ndarray) -> np.ndarray:
        chunks = np.unique(rows // CHUNK_ROWS).size
        if number in self._shards or 4 * chunks * CHUNK_ROWS > self._shard_rows:
            return self._shard(number)[rows - number * self._shard_rows]
        unique, inverse = np.unique(rows, return_inverse=True)
        return self._source.read(unique)[inverse]

    def _shard(self, number: int) -> np.ndarray:
        """One decoded shard; the most recently used are last, and threads may share them."""
        shard = self._shards.pop(number, None)
        if shard is None:
            start = number * self._shard_rows
            stop = min(start + self._shard_rows, self._n_rows)
            shard = self._source.read(slice(start, stop))
        self._shards[number] = shard
        while len(self._shards) > self._capacity:
            self._shards.pop(next(iter(self._shards)), None)
        return shard
