"""Identities of many spectra, counted against each other in memory that does not grow with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

__all__ = ["Identities", "KeyRange", "Spilled", "kept_or_spilled", "n_shared"]

KEPT = 2**22  # identities of one split held in memory: 34 MB
TOP = np.uint64(56)  # bits below the byte that says which file a number goes to
N_BUCKET = 256


@dataclass(frozen=True)
class KeyRange:
    """Draw keys ``first``, ``first + 1``, ... of a split."""

    first: int
    count: int

    def __len__(self) -> int:
        return self.count


class Spilled:
    """64-bit fingerprints in temporary files by their first byte, 8 bytes each.

    The folder goes with the object.
    """

    def __init__(self, blocks: Iterator[np.ndarray]):
        self._folder = TemporaryDirectory(prefix="starsmith-")
        self._count = 0
        streams = [self._file(k).open("wb") for k in range(N_BUCKET)]
        try:
            for block in blocks:
                self._count += block.size
                ordered = np.sort(block)
                edges = np.searchsorted(ordered >> TOP, np.arange(N_BUCKET + 1))
                for k, stream in enumerate(streams):
                    stream.write(ordered[edges[k] : edges[k + 1]].tobytes())
        finally:
            for stream in streams:
                stream.close()

    def __len__(self) -> int:
        return self._count

    def _file(self, bucket: int) -> Path:
        return Path(self._folder.name) / str(bucket)

    def bucket(self, number: int) -> np.ndarray:
        """Fingerprints that begin with a byte, uint64."""
        return np.fromfile(self._file(number), dtype=np.uint64)


Identities = np.ndarray | KeyRange | Spilled
"""Who is in a split: values, a range of keys, or fingerprints in files."""


def kept_or_spilled(blocks: Iterator[np.ndarray], count: int) -> np.ndarray | Spilled:
    """Fingerprints of ``count`` spectra: an array, or files where there are many."""
    return np.concatenate(list(blocks)) if count <= KEPT else Spilled(blocks)


def n_shared(one: Identities, other: Identities) -> int:
    """How many of the first are among the second."""
    if isinstance(one, KeyRange) and isinstance(other, KeyRange):
        last = min(one.first + one.count, other.first + other.count)
        return max(0, last - max(one.first, other.first))
    if isinstance(one, KeyRange):  # keys of a split are there once
        return int(np.unique(_within(_values(other), one)).size)
    if isinstance(other, KeyRange):
        return int(_within(_values(one), other).size)
    if isinstance(one, Spilled) or isinstance(other, Spilled):
        buckets = range(N_BUCKET)
        return sum(int(np.isin(_bucket(one, k), _bucket(other, k)).sum()) for k in buckets)
    return int(np.isin(one, other).sum())


def _values(found: np.ndarray | Spilled) -> np.ndarray:
    if isinstance(found, Spilled):
        raise TypeError("fingerprints are no draw keys")
    return np.asarray(found)


def _within(values: np.ndarray, keys: KeyRange) -> np.ndarray:
    return values[(values >= keys.first) & (values < keys.first + keys.count)]


def _bucket(found: np.ndarray | Spilled, number: int) -> np.ndarray:
    if isinstance(found, Spilled):
        return found.bucket(number)
    return found[found >> TOP == np.uint64(number)]
