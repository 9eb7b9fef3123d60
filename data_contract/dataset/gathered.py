"""Columns of one number per star, of many shards in one file.

A worker writes those of its shard into one file, the shard's *piece*: a zarr chunk per column. The
last pass puts the chunks of up to 64 shards into one file per column as they are, and removes the
pieces. Every column stays a zarr array of its own name, in few files.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.plan import Shard, plan_shards
from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.split_columns import open_column, read_rows
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.digests import FileRecord
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.files.shard_file import (
    decode_chunk,
    encode_chunk,
    joined,
    joined_size,
    stored_chunk,
)

__all__ = [
    "blamed_shards",
    "column_files",
    "gather_columns",
    "has_columns",
    "is_recorded",
    "read_column",
    "write_piece",
]

Chunks = dict[str, bytes]
"""Gathered column -> its encoded chunk of one shard."""


def write_piece(
    path: Path,
    header: DatasetHeader,
    shard: Shard,
    columns: Mapping[str, np.ndarray],
    only: Collection[str] | None,
) -> dict[str, FileRecord]:
    """Write the piece of a shard; size and SHA-256 of the chunk of every gathered column.

    Parameters
    ----------
    columns : dict of str to array
    only : collection of str, optional
        Columns to write; the others stay what they are.

    Raises
    ------
    DataError
        If a column that is to stay cannot be read.
    """
    new = [name for name in header.gathered if only is None or name in only]
    chunks = {name: b"" for name in header.gathered}  # in the order of the header
    if len(new) < len(chunks):
        chunks |= _stored_chunks(path, header, shard, [n for n in chunks if n not in new])
    for name in new:
        column = header.columns[name]
        values = np.asarray(columns[name], dtype=column.dtype)
        layout = open_column(path, shard.split, name)
        chunks[name] = encode_chunk(layout, values, column.fill_value)
    if new:
        with staged_file(path / shard.piece) as partial:
            partial.write_bytes(joined([*chunks.values()], len(chunks)))
    return {name: _record(chunk) for name, chunk in chunks.items()}


def _record(chunk: bytes) -> FileRecord:
    return {"bytes": len(chunk), "sha256": hashlib.sha256(chunk).hexdigest()}


def _stored_chunks(
    path: Path, header: DatasetHeader, shard: Shard, names: Collection[str]
) -> Chunks:
    """Chunks as they are stored: in the shard's piece, else in the files of the columns."""
    found = {}
    for name in names:
        chunk = _stored_chunk(path, header, shard, name)
        if chunk is None:
            raise DataError(
                f"{path}: shard {shard.name} lacks {name}; `specdata repair {path}` makes it again"
            )
        found[name] = chunk
    return found


def _stored_chunk(path: Path, header: DatasetHeader, shard: Shard, name: str) -> bytes | None:
    """One chunk of `_stored_chunks`; None where it is missing or damaged."""
    try:
        if (piece := path / shard.piece).exists():
            return stored_chunk(piece, len(header.gathered), header.gathered.index(name))
        n_chunk = header.column_rows // header.shard_rows
        return stored_chunk(path / shard.files(header)[name], n_chunk, shard.number % n_chunk)
    except (OSError, ValueError):
        return None


def has_columns(path: Path, header: DatasetHeader, shard: Shard, sizes: list[int]) -> bool:
    """Whether the gathered columns of a shard are there, given the sizes of their chunks [bytes].

    Nothing is decoded.
    """
    piece = path / shard.piece
    if piece.exists():
        return piece.stat().st_size == joined_size(sizes)
    own = set(shard.own_files(header))
    return all((path / file).exists() for file in {*shard.files(header).values()} - own)


def read_column(
    path: Path, header: DatasetHeader, shard: Shard, name: str, n_rows: int | None = None
) -> Iterator[np.ndarray]:
    """One column of a shard, of a dataset finished or not, ``n_rows`` at a time.

    Raises
    ------
    DataError
        If it is damaged.
    """
    if name in header.gathered and (path / shard.piece).exists():
        yield _read_piece(path, header, shard, name)
        return
    layout = open_column(path, shard.split, name)
    for start in range(shard.start, shard.stop, n_rows or header.shard_rows):
        yield read_rows(
            layout, slice(start, min(start + (n_rows or header.shard_rows), shard.stop))
        )


def _read_piece(path: Path, header: DatasetHeader, shard: Shard, name: str) -> np.ndarray:
    layout = open_column(path, shard.split, name)
    chunk = _stored_chunk(path, header, shard, name)
    try:
        if chunk is None:
            raise ValueError("its checksum differs, or it was cut short")
        return decode_chunk(layout, chunk)[: shard.stop - shard.start]
    except (ValueError, RuntimeError) as problem:
        raise DataError(
            f"{path / shard.piece} is damaged ({problem}); `specdata repair {path}` makes it again"
        ) from None


def _groups(header: DatasetHeader) -> Iterator[list[Shard]]:
    """Shards whose gathered columns lie in the same files."""
    if header.gathered:
        plan = plan_shards(header.counts, header.shard_rows)
        for _, shards in groupby(plan, key=lambda shard: (shard.split, shard.group(header))):
            yield list(shards)


def gather_columns(path: Path, header: DatasetHeader) -> None:
    """Put the pieces of shards into the files of their columns; a second time changes nothing.

    Raises
    ------
    DataError
        If a chunk is damaged.
    """
    n_chunk = header.column_rows // header.shard_rows if header.column_rows else 0
    for shards in _groups(header):
        if not any((path / shard.piece).exists() for shard in shards):
            continue
        found = [_stored_chunks(path, header, shard, header.gathered) for shard in shards]
        for name, file in shards[0].files(header).items():
            if name in header.gathered:
                with staged_file(path / file) as partial:
                    partial.write_bytes(joined([chunks[name] for chunks in found], n_chunk))
        for shard in shards:
            (path / shard.piece).unlink(missing_ok=True)


def column_files(header: DatasetHeader) -> dict[str, list[Shard]]:
    """File of a gathered column -> the shards it holds a part of."""
    return {
        file: shards
        for shards in _groups(header)
        for name, file in shards[0].files(header).items()
        if name in header.gathered
    }


def blamed_shards(path: Path, header: DatasetHeader, file: str, shards: list[Shard]) -> list[Shard]:
    """Which shards' chunks in a file of a gathered column are not those their sidecars tell of.

    Without a sidecar a chunk's own checksum decides. All of them where none is to blame alone.
    """
    name = file.split("/")[1]
    return [s for s in shards if not is_recorded(path, header, s, name, unsaid=True)] or shards


def is_recorded(
    path: Path, header: DatasetHeader, shard: Shard, name: str, unsaid: bool = False
) -> bool:
    """Whether a gathered column of a shard is what the sidecar tells; ``unsaid`` without one."""
    chunk = _stored_chunk(path, header, shard, name)
    try:
        record = read_json(path / shard.sidecar)["columns"][name]
    except (DataError, LookupError, TypeError, OSError):
        return unsaid and chunk is not None
    return chunk is not None and record == _record(chunk)
