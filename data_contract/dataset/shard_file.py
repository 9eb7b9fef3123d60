"""Whole shards encoded to and decoded from their file, in a third of the time zarr takes.

The format is that of zarr v3 sharding (https://zarr-specs.readthedocs.io, sharding-indexed 1.0):
chunks, each followed by its CRC-32C, then an index of offsets and lengths with a CRC of its own.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from google_crc32c import value as crc32c
from numcodecs.blosc import BITSHUFFLE, compress, decompress
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import read_file, regular_size
from starsmith.data_contract.files.zarr_check import (
    CRC_BYTES,
    ENTRY_BYTES,
    NEVER_WRITTEN,
    ArrayLayout,
    check_blosc,
)

__all__ = ["CODEC", "LEVEL", "ShardFiles", "encode"]

CODEC, LEVEL = "lz4", 5  # of blosc, which shuffles bits before it


@dataclass(frozen=True)
class ShardFiles:
    """The shard files of one array of spectra.

    Attributes
    ----------
    folder : Path
        Of the array.
    n_rows, n_wave : int
        Shape of the array.
    shard_rows, chunk_rows : int
        Spectra in a shard file, and in a chunk of it.
    """

    folder: Path
    n_rows: int
    n_wave: int
    shard_rows: int
    chunk_rows: int

    @classmethod
    def of(cls, array: zarr.Array, folder: Path) -> "ShardFiles | None":
        """The files of an array; None where they are not laid out as starsmith lays them out."""
        if array.dtype != np.float32 or array.ndim != 2:
            return None
        codecs = array.metadata.codecs
        if len(codecs) != 1 or not isinstance(codecs[0], ShardingCodec):
            return None
        sharding = codecs[0]
        inner = [type(codec) for codec in sharding.codecs]
        index = [type(codec) for codec in sharding.index_codecs]
        stored = sharding.to_dict()["configuration"]  # the same text in every version of zarr
        usual = (
            inner == [BytesCodec, BloscCodec, Crc32cCodec]
            and index == [BytesCodec, Crc32cCodec]
            and stored["index_location"] == "end"
            and sharding.chunk_shape[1] == array.shape[1] == array.shards[1]
        )
        if not usual:
            return None
        n_rows, n_wave = array.shape
        return cls(folder, n_rows, n_wave, array.shards[0], sharding.chunk_shape[0])

    def decode(self, number: int) -> np.ndarray:
        """Spectra of one shard, float32 (n_rows of the shard, n_wave).

        Raises
        ------
        DataError
            If the file is missing or damaged.
        """
        start = number * self.shard_rows
        n_rows = min(self.shard_rows, self.n_rows - start)
        n_chunk = -(-n_rows // self.chunk_rows)
        out = np.empty((n_chunk * self.chunk_rows, self.n_wave), dtype=np.float32)
        try:
            file = self.folder / "c" / str(number) / "0"
            raw = read_file(file, regular_size(file))
            chunks = self._chunks(raw)[:n_chunk]
            for k, (offset, length) in enumerate(chunks):
                rows = slice(k * self.chunk_rows, (k + 1) * self.chunk_rows)
                packed = _checked(raw, int(offset), int(length))
                check_blosc(packed[:16], len(packed), out[rows].nbytes, out.itemsize)
                decompress(packed, out[rows])
        except (OSError, ValueError, RuntimeError, struct.error) as problem:
            raise DataError(
                f"{self.folder}: shard {number} is damaged ({problem}); `specdata repair` on the "
                "dataset makes it again"
            ) from None
        return out[:n_rows]

    def _chunks(self, raw: bytes) -> np.ndarray:
        """Offset and length of every chunk, uint64 (n_chunk, 2)."""
        size = ENTRY_BYTES * (self.shard_rows // self.chunk_rows) + CRC_BYTES
        index = _checked(raw, len(raw) - size, size)
        return np.frombuffer(index, "<u8").reshape(-1, 2)


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


def _checked(raw: bytes, offset: int, length: int) -> bytes:
    """A part of a file without the CRC-32C it ends with; ValueError unless that is right."""
    stop = offset + length - CRC_BYTES
    if not 0 <= offset < stop < len(raw):
        raise ValueError(f"bytes {offset}..{stop} of {len(raw)}: cut short, or never written")
    content = raw[offset:stop]
    if struct.pack("<I", crc32c(content)) != raw[stop : stop + CRC_BYTES]:
        raise ValueError("checksum differs")
    return content
