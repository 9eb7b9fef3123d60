"""The arrays of a split on disk: created, written one shard at a time, read."""

import hashlib
import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from starsmith.data_contract.dataset.schema import Column, DatasetHeader
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.digests import FileRecord
from starsmith.data_contract.files.shard_file import encode, read_array
from starsmith.data_contract.files.zarr_check import (
    CODECS,
    DESCRIPTION,
    ArrayLayout,
    array_layout,
)
from starsmith.data_contract.kernels.rounding import (
    FLOAT32_MANTISSA_BITS,
    bits_used,
    round_mantissa,
)
from starsmith.data_contract.quantities import UNITS

__all__ = [
    "check_column",
    "chunk_file",
    "codec_of",
    "copy_column",
    "create_column",
    "is_finite",
    "is_rounded",
    "open_column",
    "read_blocks",
    "read_rows",
    "rounded",
    "row_blocks",
    "write_rows",
]

INFINITE = 0x7F800000  # bits of a float32
Width = tuple[int, ...]

BLOCK_ROWS = 2**20  # of numbers read at a time: data sets may be larger than the memory


def create_column(group: zarr.Group, column: Column, n_rows: int, header: DatasetHeader) -> None:
    """Create one empty array: a shard file per ``shard_rows`` spectra, checksummed inside."""
    width = column.width(header.wave.size)
    shard, chunk = _file_and_chunk(column, header)
    described = header.schema_version > 1
    codec = codec_of(header, column)
    level, block = CODECS[codec]
    group.create_array(
        column.name,
        shape=(n_rows, *width),
        dtype=column.dtype,
        shards=shard if width or column.name in header.gathered else None,
        chunks=chunk,
        compressors=[
            BloscCodec(
                cname=codec,
                clevel=level,
                shuffle="bitshuffle",
                blocksize=block,
                typesize=np.dtype(column.dtype).itemsize,
            ),
            Crc32cCodec(),
        ],
        fill_value=column.fill_value,
        dimension_names=column.dims,
        attributes={"units": UNITS[column.name], **(column.about if described else {})},
    )


def copy_column(described: Path, folder: Path, n_rows: int) -> None:
    """Create the same empty array of other length, to the byte as zarr would: ten times faster."""
    document = json.loads((described / DESCRIPTION).read_bytes())
    document["shape"][0] = n_rows
    folder.mkdir()
    (folder / DESCRIPTION).write_text(json.dumps(document, indent=2))


def _file_and_chunk(column: Column, header: DatasetHeader) -> tuple[Width, Width]:
    """Shape of what a file of an array holds, and of what is decoded together."""
    width = column.width(header.wave.size)
    rows = header.column_rows if column.name in header.gathered else header.shard_rows
    return (rows, *width), (header.chunk_rows if width else header.shard_rows, *width)


def codec_of(header: DatasetHeader, column: Column) -> str:
    """Codec of a column: spectra in steps of the noise are packed by zstd, all else by lz4."""
    return "zstd" if header.precision == "noise" and column.is_flux else "lz4"


def chunk_file(split: str, column: Column, number: int) -> str:
    """Path of a file of one array, relative to the dataset."""
    return f"{split}/{column.name}/c/{number}" + "/0" * (len(column.dims) - 1)


def open_column(path: Path, split: str, name: str) -> ArrayLayout:
    """Look at one array of a split; nothing of it is decoded.

    Raises
    ------
    DataError
        If it is missing or its metadata is damaged.
    """
    folder = path / split / name
    try:
        about = os.lstat(folder / DESCRIPTION)
        return _layout(folder, (about.st_mtime_ns, about.st_ino, about.st_size))
    except (OSError, DataError) as problem:
        raise DataError(
            f"{path}: array {split}/{name} cannot be opened ({problem}); "
            f"`specdata verify {path}` says what is damaged"
        ) from None


@lru_cache(maxsize=256)
def _layout(folder: Path, version: tuple[int, ...]) -> ArrayLayout:
    """Layout of an array, looked at once per ``version`` of its description."""
    return array_layout(folder, codecs=tuple(CODECS))


def check_column(path: Path, split: str, column: Column, header: DatasetHeader) -> None:
    """Check that an array is laid out as the header says.

    Raises
    ------
    DataError
        If it is missing or damaged, or its type, shape, shards or chunks are others.
    """
    layout = array_layout(path / split / column.name, codecs=tuple(CODECS))
    width = column.width(header.wave.size)
    shard, chunk = _file_and_chunk(column, header)
    expected = {
        "dtype": (layout.dtype, column.dtype),
        "codec": (layout.codec, codec_of(header, column)),
        "shape": (layout.shape, (header.counts[split], *width)),
        "shard": (layout.files, shard),
        "chunk": (layout.chunks, chunk),
    }
    for what, (found, wanted) in expected.items():
        if found != wanted:
            raise DataError(
                f"array {split}/{column.name}: {what} {found}, expected {wanted}; "
                f"`specdata verify {path}` says what is damaged"
            )


def read_rows(
    array: ArrayLayout, rows: slice | np.ndarray = slice(None), whole: bool = False
) -> np.ndarray:
    """Read rows of an array opened by `open_column`, in the order given; see `read_array`.

    Raises
    ------
    DataError
        If a chunk is damaged.
    """
    try:
        return read_array(array, rows, whole)
    except (OSError, ValueError, RuntimeError) as problem:
        raise DataError(
            f"{array.folder}: a chunk of it is damaged ({problem}); `specdata verify` on the "
            "dataset names the shard"
        ) from None


def read_blocks(array: ArrayLayout, shard_rows: int) -> Iterator[np.ndarray]:
    """Read a whole array in order, whole shards of about a million rows at a time.

    Raises
    ------
    DataError
        If a chunk is damaged.
    """
    for rows in row_blocks(array.shape[0], shard_rows):
        yield read_rows(array, rows)


def row_blocks(n_rows: int, shard_rows: int) -> Iterator[slice]:
    """Slices of whole shards, about a million rows each, that cover ``n_rows`` in order."""
    step = shard_rows * max(1, BLOCK_ROWS // shard_rows)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def write_rows(
    path: Path, split: str, column: Column, rows: slice, values: np.ndarray
) -> FileRecord:
    """Write the rows of one shard, all that their file holds; size and SHA-256 of the file.

    Raises
    ------
    DataError
        If the array is missing or not laid out as starsmith lays it out.
    """
    layout = open_column(path, split, column.name)
    parts = encode(layout, np.asarray(values, dtype=column.dtype), column.fill_value)
    digest, n_bytes = hashlib.sha256(), 0
    file = path / chunk_file(split, column, rows.start // layout.files[0])
    with staged_file(file) as partial, partial.open("wb") as stream:
        for part in parts:
            digest.update(part)
            n_bytes += stream.write(part)
    return {"bytes": n_bytes, "sha256": digest.hexdigest()}


def rounded(spectra: np.ndarray, keep_bits: int) -> np.ndarray:
    """Spectra rounded to ``keep_bits`` mantissa bits, relative error 2^-(keep_bits + 1).

    Parameters
    ----------
    spectra : float32 array, shape (n_spec, n_wave)
        Finite.
    keep_bits : int
        1..22.

    Returns
    -------
    rounded : float32 array, shape (n_spec, n_wave)
        ``spectra`` itself where it is rounded already, else a copy.
    """
    spectra = np.ascontiguousarray(spectra, dtype=np.float32)
    if is_rounded(spectra, keep_bits):
        return spectra
    copy = spectra.copy()
    round_mantissa(copy.view(np.uint32), keep_bits)
    return copy


def is_rounded(spectra: np.ndarray, keep_bits: int) -> bool:
    """True if no float32 number needs more than ``keep_bits`` mantissa bits."""
    dropped = np.uint32((1 << (FLOAT32_MANTISSA_BITS - keep_bits)) - 1)
    return not bits_used(_words(spectra))[0] & dropped


def is_finite(values: np.ndarray) -> bool:
    """True if no number is NaN or infinite."""
    if values.dtype != np.float32:
        return bool(np.isfinite(values).all())
    return bits_used(_words(values))[1] < INFINITE


def _words(spectra: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(spectra, dtype=np.float32).view(np.uint32).ravel()
