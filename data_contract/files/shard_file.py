"""Files of zarr arrays encoded and decoded, in a third of the time zarr takes.

The format is that of zarr v3 sharding (https://zarr-specs.readthedocs.io, sharding-indexed 1.0):
chunks, each followed by its CRC-32C, then an index of offsets and lengths with a CRC of its own.
A file that is no shard is one chunk. Files are regular ones inside the folder whose blosc headers
say that they unpack to exactly the place they have.
"""

import os
import stat
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from google_crc32c import value as crc32c
from numcodecs.blosc import BITSHUFFLE, compress, decompress

from starsmith.data_contract.aligned import aligned_empty
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import regular_size
from starsmith.data_contract.files.zarr_check import CODECS, ArrayLayout

__all__ = [
    "check_blosc",
    "check_files",
    "check_written",
    "decode_chunk",
    "encode",
    "encode_chunk",
    "joined",
    "joined_size",
    "read_array",
    "stored_chunk",
]

CRC_BYTES = 4
NEVER_WRITTEN = 2**64 - 1  # in a shard's index
ENTRY_BYTES = 16  # of a shard's index: offset and length of a chunk
BLOSC = struct.Struct("<BBBBIII")  # format, codec's format, flags, typesize, bytes, block, packed
BLOSC_FORMAT, COPIED = 2, 2
PACKED = {"lz4": (1, 256), "zstd": (4, 2**14)}
"""Codec -> its number in blosc's header, and how many times its size a block may unpack to."""

ROOM = 2**16  # bytes that any chunk may unpack to
SPARSE_ROOM = 2**28  # bytes of an array that need not be accounted for by its files
SPARSE_FILES = 10_000
SPARSE_RATIO = 400  # of an array, holes included, over its files: in size and in number

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
    out = aligned_empty(shape, layout.dtype)
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
        n_bytes = _regular(layout.folder, file).st_size
    except FileNotFoundError:
        if whole:
            raise
        _part(out, corner, layout.files, start)[0][...] = layout.fill_value
        return
    rows = range(start, start + len(out) if layout.shape else 1)
    with file.open("rb") as stream:
        for at, offset, length in _chunks(layout, stream, n_bytes, corner, rows):
            target, inside = _part(out, at, layout.chunks, start)
            if not target.size:
                continue
            if offset == length == NEVER_WRITTEN:
                target[...] = layout.fill_value
                continue
            packed = _checked(stream, n_bytes, offset, length)
            check_blosc(packed[: BLOSC.size], len(packed), layout.slot, out.itemsize, layout.codec)
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
    layout: ArrayLayout, stream: BinaryIO, n_bytes: int, corner: Place, rows: range
) -> Iterator[tuple[Place, int, int]]:
    """First element, offset and length of every chunk of a file that holds some of the rows."""
    if not layout.sharded:
        yield corner, 0, n_bytes
        return
    counts = [n // step for n, step in zip(layout.files, layout.chunks, strict=True)]
    tail = ENTRY_BYTES * prod(counts) + CRC_BYTES
    index = np.frombuffer(_checked(stream, n_bytes, n_bytes - tail, tail), "<u8")
    index = index.reshape(*counts, 2)
    places = [range(n) for n in counts]
    if places:
        step = layout.chunks[0]
        first, stop = (rows.start - corner[0]) // step, -((corner[0] - rows.stop) // step)
        places[0] = places[0][max(first, 0) : max(stop, 0)]
    for place in product(*places):
        steps = zip(corner, place, layout.chunks, strict=True)
        yield tuple(at + k * step for at, k, step in steps), *index[place].tolist()


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


def encode(layout: ArrayLayout, values: np.ndarray, fill_value: float) -> Iterator[bytes]:
    """One file of an array, to the byte as zarr writes it, in parts that follow each other.

    Parameters
    ----------
    layout : ArrayLayout
    values : array, shape (n_rows, ...)
        The first rows of the file; the rest of the last chunk is filled up.
    fill_value : float
    """
    step, lengths = layout.chunks[0], []
    for k in range(0, len(values), step):
        chunk = encode_chunk(layout, values[k : k + step], fill_value)
        lengths.append(len(chunk))
        yield chunk
    if layout.sharded:
        yield _index(lengths, layout.files[0] // step)


def encode_chunk(layout: ArrayLayout, values: np.ndarray, fill_value: float) -> bytes:
    """One chunk of an array with its CRC, of the first rows it holds; the rest is filled up."""
    n_rows = layout.chunks[0]
    if len(values) < n_rows:
        values = np.pad(
            values,
            [(0, n_rows - len(values)), *[(0, 0)] * (values.ndim - 1)],
            constant_values=fill_value,
        )
    level, block = CODECS[layout.codec]
    packed = compress(
        np.ascontiguousarray(values),
        layout.codec.encode(),
        level,
        BITSHUFFLE,
        block,
        values.itemsize,
    )
    return _sealed(packed)


def decode_chunk(layout: ArrayLayout, chunk: bytes) -> np.ndarray:
    """Inverse of `encode_chunk`, all rows; ValueError, RuntimeError where it is damaged."""
    packed = chunk[:-CRC_BYTES]
    itemsize = np.dtype(layout.dtype).itemsize
    check_blosc(packed[: BLOSC.size], len(packed), layout.slot, itemsize, layout.codec)
    return np.frombuffer(decompress(packed), dtype=layout.dtype).reshape(layout.chunks)


def joined(chunks: list[bytes], n_chunk: int) -> bytes:
    """A shard of ``n_chunk`` places, of which the first hold ``chunks``: chunks, then the index."""
    return b"".join([*chunks, _index([len(chunk) for chunk in chunks], n_chunk)])


def _index(lengths: list[int], n_chunk: int) -> bytes:
    """What a shard ends with: where chunks of some lengths begin, and its CRC."""
    index = np.full((n_chunk, 2), NEVER_WRITTEN, dtype="<u8")
    index[: len(lengths), 0] = np.cumsum([0, *lengths[:-1]])
    index[: len(lengths), 1] = lengths
    return _sealed(index.tobytes())


def joined_size(lengths: list[int]) -> int:
    """Size of `joined` chunks of some lengths that fill all places [bytes]."""
    return sum(lengths) + ENTRY_BYTES * len(lengths) + CRC_BYTES


def stored_chunk(file: Path, n_chunk: int, k: int) -> bytes:
    """Chunk ``k`` of a shard of ``n_chunk`` places, as it is stored, with its CRC.

    Raises
    ------
    OSError, ValueError
        If the file is missing, or its index or the chunk is damaged or was never written.
    """
    n_bytes, tail = regular_size(file), ENTRY_BYTES * n_chunk + CRC_BYTES
    with file.open("rb") as stream:
        index = np.frombuffer(_checked(stream, n_bytes, n_bytes - tail, tail), "<u8")
        offset, length = index[2 * k : 2 * k + 2].tolist()
        return _sealed(_checked(stream, n_bytes, offset, length))


def _sealed(content: bytes) -> bytes:
    """A part of a file and its CRC-32C."""
    return content + struct.pack("<I", crc32c(content))


def _check_file(layout: ArrayLayout, place: tuple[int, ...]) -> int:
    """Check one file of chunks before it is decoded; its size [bytes].

    Raises
    ------
    FileNotFoundError
        If it is missing: the chunk reads as the fill value.
    DataError
        If it is no regular file inside the folder, or does not unpack to what its place holds.
    """
    file = layout.file(place)
    try:
        status = _regular(layout.folder, file)
        size, itemsize = status.st_size, np.dtype(layout.dtype).itemsize
        if not layout.sharded:
            with file.open("rb") as stream:
                head = stream.read(BLOSC.size)
                check_blosc(head, size - CRC_BYTES, layout.slot, itemsize, layout.codec)
        else:
            n_chunk = prod(layout.files) // prod(layout.chunks)
            version = size, status.st_mtime_ns, status.st_ino
            _check_shard(str(file), version, n_chunk, layout.slot, itemsize, layout.codec)
    except FileNotFoundError:
        raise
    except (ValueError, OSError) as problem:
        raise DataError(
            f"{file} is damaged ({problem}); write it again, or copy it again"
        ) from None
    return size


def _regular(folder: Path, file: Path) -> os.stat_result:
    """Status of a regular file that no link leads to; ValueError for anything else."""
    here = os.fspath(folder)
    for part in file.parts[len(folder.parts) :]:
        if os.path.islink(here):
            raise ValueError(f"{os.path.relpath(here, folder)} is a link")
        here = os.path.join(here, part)
    status = os.lstat(here)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("no regular file")
    return status


@lru_cache(maxsize=4096)
def _check_shard(
    file: str, version: tuple[int, ...], n_chunk: int, slot: int, itemsize: int, codec: str
) -> None:
    """Check the index of a shard and the headers of its chunks, once per ``version`` of it."""
    end = version[0] - ENTRY_BYTES * n_chunk - CRC_BYTES
    if end < 0:
        raise ValueError(f"{version[0]} bytes are too few for an index of {n_chunk} chunks")
    with open(file, "rb") as stream:
        stream.seek(end)
        index = np.frombuffer(stream.read(ENTRY_BYTES * n_chunk), "<u8").reshape(-1, 2)
        for offset, length in index.tolist():
            if offset == length == NEVER_WRITTEN:
                continue
            if offset + length > end or length <= BLOSC.size + CRC_BYTES:
                raise ValueError(f"a chunk at {offset}, {length} bytes long, is outside the file")
            stream.seek(offset)
            check_blosc(stream.read(BLOSC.size), length - CRC_BYTES, slot, itemsize, codec)


def check_blosc(head: bytes, length: int, slot: int, itemsize: int, codec: str = "lz4") -> None:
    """Check the header of a blosc chunk; ValueError unless it unpacks to ``slot`` bytes."""
    if len(head) < BLOSC.size:
        raise ValueError("cut short")
    version, _, flags, typesize, n_bytes, block, packed = BLOSC.unpack(head)
    if (n_bytes, packed, typesize) != (slot, length, itemsize):
        raise ValueError(
            f"its header tells of {packed} bytes for {n_bytes}, it has {length} for {slot}"
        )
    number, ratio = PACKED[codec]
    if version != BLOSC_FORMAT or flags >> 5 != number or not 0 < block <= max(n_bytes, 1):
        raise ValueError(f"its header is none of {codec} in blosc")
    if flags & COPIED:
        if length != n_bytes + BLOSC.size:
            raise ValueError("its header tells of a copy of another size")
    elif n_bytes > ratio * length + ROOM or BLOSC.size + 4 * -(-n_bytes // block) > length:
        raise ValueError(f"{length} bytes cannot unpack to {n_bytes}")


def check_files(layout: ArrayLayout) -> None:
    """Check all files of an array; chunks that are missing read as the fill value.

    Raises
    ------
    DataError
        If one is damaged or not part of the array, or so many are missing that the array would
        fill memory which its files do not account for.
    """
    stored = n_file = 0
    for place in _places_found(layout):
        stored, n_file = stored + _check_file(layout, place), n_file + 1
    size = prod(layout.shape) * np.dtype(layout.dtype).itemsize
    places = prod(layout.counts)
    if size > SPARSE_ROOM + SPARSE_RATIO * stored or places > SPARSE_FILES + SPARSE_RATIO * n_file:
        raise DataError(
            f"{layout.folder}: {n_file} of {places} chunks, {stored} bytes, tell of {size} bytes; "
            "write it again, or copy it again"
        )


def check_written(layout: ArrayLayout, places: Iterable[tuple[int, ...]]) -> None:
    """Check that the files of chunks at some places are there; DataError naming one that is not."""
    for place in places:
        if not (file := layout.file(place)).exists():
            raise DataError(f"{file} is missing; write it again, or copy it again")


def _places_found(layout: ArrayLayout) -> Iterator[tuple[int, ...]]:
    """Places of the chunks that have a file; DataError for other names, and for links."""
    top = layout.folder / "c"
    if not layout.shape:
        yield from [()] if os.path.lexists(top) else []
        return
    for folder, folders, files in os.walk(top):
        depth = len(Path(folder).relative_to(top).parts)
        for name in folders:
            if os.path.islink(os.path.join(folder, name)):
                raise DataError(f"{os.path.join(folder, name)} is a link; copy what it points to")
        for name in files:
            place = (*Path(folder).relative_to(top).parts, name)
            good = depth == len(layout.shape) - 1 and all(
                part.isdecimal() and part == str(int(part)) and int(part) < n
                for part, n in zip(place, layout.counts, strict=True)
            )
            if good:
                yield tuple(map(int, place))
            elif not name.endswith(".partial"):
                raise DataError(f"{os.path.join(folder, name)} is no chunk; remove it")
