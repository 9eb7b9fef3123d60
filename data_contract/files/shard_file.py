"""Files of zarr arrays encoded and decoded, in a third of the time zarr takes.

The format is that of zarr v3 sharding (https://zarr-specs.readthedocs.io, sharding-indexed 1.0):
chunks, each followed by its CRC-32C, then an index of offsets and lengths with a CRC of its own.
A file that is no shard is one chunk.
"""

import struct
from collections.abc import Iterator
from itertools import product
from math import prod
from typing import BinaryIO

import numpy as np
from google_crc32c import value as crc32c
from numcodecs.blosc import BITSHUFFLE, compress, decompress

from starsmith.data_contract.files.zarr_check import (
    BLOSC,
    CRC_BYTES,
    ENTRY_BYTES,
    NEVER_WRITTEN,
    ArrayLayout,
    check_blosc,
    regular_inside,
)

__all__ = ["CODEC", "LEVEL", "encode", "read_array"]

CODEC, LEVEL = "lz4", 5  # of blosc, which shuffles bits before it

Place = tuple[int, ...]


def read_array(
    layout: ArrayLayout, rows: slice | np.ndarray = slice(None), whole: bool = False
) -> np.ndarray:
    """Some rows of an array, all by default, in the order given.

    A chunk is decoded only if its checksum is right and it unpacks to exactly its place.

    Parameters
    ----------
    layout : ArrayLayout
        From `array_layout`.
    rows : slice or int array
        Of the first axis.
    whole : bool
        Whether a file that is missing is an error; else its numbers are the fill value.

    Raises
    ------
    OSError, ValueError, RuntimeError
        If a file is damaged.
    """
    start, stop, step = 0, 1, 1
    if layout.shape and isinstance(rows, slice):
        start, stop, step = rows.indices(layout.shape[0])
        rows = np.arange(start, stop, step) if step != 1 else rows
    if not isinstance(rows, slice):
        return _some_rows(layout, rows, whole)
    shape = (max(stop - start, 0), *layout.shape[1:]) if layout.shape else ()
    out = np.empty(shape, dtype=layout.dtype)
    files = [range(n) for n in layout.counts]
    if layout.shape:
        files[0] = range(start // layout.files[0], -(-stop // layout.files[0]))
    for place in product(*files):
        _read_file(layout, place, out, start, whole)
    return out


def _some_rows(layout: ArrayLayout, rows: np.ndarray, whole: bool) -> np.ndarray:
    """Rows in any order; each row of chunks is decoded once."""
    step = layout.chunks[0]
    out = np.empty((rows.size, *layout.shape[1:]), dtype=layout.dtype)
    number = rows // step
    for k in np.unique(number).tolist():
        own = number == k
        out[own] = read_array(layout, slice(k * step, (k + 1) * step), whole)[rows[own] - k * step]
    return out


def _read_file(layout: ArrayLayout, place: Place, out: np.ndarray, start: int, whole: bool) -> None:
    """Decode into ``out``, which holds rows from ``start`` on, what one file has of them."""
    file = layout.file(place)
    corner = tuple(k * size for k, size in zip(place, layout.files, strict=True))
    try:
        n_bytes = regular_inside(layout.folder, file).st_size
    except FileNotFoundError:
        if whole:
            raise
        _part(out, corner, layout.files, start)[0][...] = layout.fill_value
        return
    with file.open("rb") as stream:
        for at, offset, length in _chunks(layout, stream, n_bytes, corner):
            target, inside = _part(out, at, layout.chunks, start)
            if not target.size:
                continue
            if offset == length == NEVER_WRITTEN:
                target[...] = layout.fill_value
                continue
            packed = _checked(stream, n_bytes, offset, length)
            check_blosc(packed[: BLOSC.size], len(packed), layout.slot, out.itemsize)
            if target.nbytes == layout.slot and target.flags.c_contiguous:
                decompress(packed, target)
            else:
                values = np.frombuffer(decompress(packed), dtype=layout.dtype)
                target[...] = values.reshape(layout.chunks)[inside]


def _part(
    out: np.ndarray, corner: Place, sizes: Place, start: int
) -> tuple[np.ndarray, tuple[slice, ...]]:
    """What of a box of an array lies in ``out``: the view there, and the slices of the box."""
    there, inside = [], []
    for axis, (at, size) in enumerate(zip(corner, sizes, strict=True)):
        low = start if axis == 0 else 0
        first, last = max(at, low), max(min(at + size, low + out.shape[axis]), low)
        there.append(slice(first - low, max(last - low, first - low)))
        inside.append(slice(first - at, last - at))
    return out[(*there, ...)], tuple(inside)


def _chunks(
    layout: ArrayLayout, stream: BinaryIO, n_bytes: int, corner: Place
) -> Iterator[tuple[Place, int, int]]:
    """First element, offset and length of every chunk of a file."""
    if not layout.sharded:
        yield corner, 0, n_bytes
        return
    counts = [n // step for n, step in zip(layout.files, layout.chunks, strict=True)]
    tail = ENTRY_BYTES * prod(counts) + CRC_BYTES
    index = np.frombuffer(_checked(stream, n_bytes, n_bytes - tail, tail), "<u8").reshape(-1, 2)
    for place, (offset, length) in zip(np.ndindex(*counts), index.tolist(), strict=True):
        steps = zip(corner, place, layout.chunks, strict=True)
        yield tuple(at + k * step for at, k, step in steps), offset, length


def _checked(stream: BinaryIO, n_bytes: int, offset: int, length: int) -> bytes:
    """A part of a file without the CRC-32C it ends with; ValueError unless that is right."""
    if offset < 0 or length <= CRC_BYTES or offset + length > n_bytes:
        raise ValueError(f"{length} bytes at {offset} of {n_bytes}: cut short, or never written")
    stream.seek(offset)
    raw = stream.read(length)
    content = raw[:-CRC_BYTES]
    if struct.pack("<I", crc32c(content)) != raw[-CRC_BYTES:]:
        raise ValueError("checksum differs")
    return content


def encode(layout: ArrayLayout, values: np.ndarray, fill_value: float) -> bytes:
    """One file of an array, to the byte as zarr writes it.

    Parameters
    ----------
    layout : ArrayLayout
    values : array, shape (n_rows, ...)
        The first rows of the file; the rest of the last chunk is filled up.
    fill_value : float
    """
    step = layout.chunks[0]
    chunks = [_encoded(values[k : k + step], step, fill_value) for k in range(0, len(values), step)]
    if not layout.sharded:
        return chunks[0]
    lengths = [len(chunk) for chunk in chunks]
    index = np.full((layout.files[0] // step, 2), NEVER_WRITTEN, dtype="<u8")
    index[: len(chunks), 0] = np.cumsum([0, *lengths[:-1]])
    index[: len(chunks), 1] = lengths
    return b"".join([*chunks, _sealed(index.tobytes())])


def _encoded(values: np.ndarray, n_rows: int, fill_value: float) -> bytes:
    if len(values) < n_rows:
        values = np.pad(
            values,
            [(0, n_rows - len(values)), *[(0, 0)] * (values.ndim - 1)],
            constant_values=fill_value,
        )
    packed = compress(
        np.ascontiguousarray(values), CODEC.encode(), LEVEL, BITSHUFFLE, typesize=values.itemsize
    )
    return _sealed(packed)


def _sealed(content: bytes) -> bytes:
    """A part of a file and its CRC-32C."""
    return content + struct.pack("<I", crc32c(content))
