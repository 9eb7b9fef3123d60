"""Descriptions of zarr groups and arrays, checked against what starsmith writes.

Format 3 only, with the codecs of `write_array` and no others: a file never chooses its own codec,
data type or size.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import read_json

__all__ = ["CODECS", "DESCRIPTION", "ArrayLayout", "array_layout", "group_attributes"]

DESCRIPTION = "zarr.json"
GROUP_KEYS = {"zarr_format", "node_type", "attributes", "consolidated_metadata"}
ARRAY_KEYS = {
    "zarr_format",
    "node_type",
    "attributes",
    "shape",
    "data_type",
    "chunk_grid",
    "chunk_key_encoding",
    "fill_value",
    "codecs",
    "dimension_names",
    "storage_transformers",
}
DTYPES = {
    "bool": bool,
    **dict.fromkeys(("int64", "uint32", "uint8"), int),
    **dict.fromkeys(("float32", "float64"), float),
}
CODECS = {"lz4": (5, 0), "zstd": (1, 2**18)}
"""Codec in blosc -> its level, and the bytes packed together, 0 where blosc chooses."""

ENDS = ("bytes", "crc32c")
PLAIN = ("bytes", "blosc", "crc32c")
OPTIONS: dict[str, dict] = {
    "bytes": {"endian": ("little", None)},
    "crc32c": {},
    "blosc": {"clevel": range(10), "shuffle": ("bitshuffle",)},
}
"""Codec -> what its options may be; blosc has its own codec, block size and type size besides."""
BLOSC_OPTIONS = 5  # all of them are needed


@dataclass(frozen=True)
class ArrayLayout:
    """How an array lies in its folder.

    Attributes
    ----------
    folder : Path
    shape : tuple of int
    dtype : str
        Of numpy.
    files : tuple of int
        Shape of what one file holds.
    chunks : tuple of int
        Shape of what is decoded together.
    sharded : bool
        Whether files are shards: chunks and an index of them.
    codec : str
        One of `CODECS`.
    fill_value : number
        What is not written.
    dims : tuple of str
        Names of the axes, empty where there are none.
    attributes : dict
    """

    folder: Path
    shape: tuple[int, ...]
    dtype: str
    files: tuple[int, ...]
    chunks: tuple[int, ...]
    sharded: bool
    codec: str = "lz4"
    fill_value: float = 0
    dims: tuple[str, ...] = ()
    attributes: dict = field(default_factory=dict, compare=False)

    @property
    def slot(self) -> int:
        """Decoded size of a chunk [bytes]."""
        return math.prod(self.chunks) * np.dtype(self.dtype).itemsize

    def file(self, place: tuple[int, ...]) -> Path:
        """File of the chunks at a place of the chunk grid."""
        return self.folder.joinpath("c", *map(str, place))

    @property
    def counts(self) -> tuple[int, ...]:
        """Files along each axis."""
        return tuple(-(-n // step) for n, step in zip(self.shape, self.files, strict=True))


def group_attributes(folder: Path) -> dict:
    """Attributes of a zarr group of format 3.

    Raises
    ------
    FileNotFoundError
        If there is no group.
    DataError
        If it is damaged or not of the format.
    """
    if not (folder / DESCRIPTION).exists():
        raise FileNotFoundError(folder)
    about = _description(folder)
    if set(about) - GROUP_KEYS or about.get("node_type") != "group":
        raise DataError(f"{folder}: expected a zarr group, its {DESCRIPTION} is not that of one")
    attributes = about.get("attributes", {})
    if not isinstance(attributes, dict):
        raise DataError(f"{folder / DESCRIPTION}: attributes are no table; write it again")
    return attributes


def _description(folder: Path) -> dict:
    """Content of a ``zarr.json``, a file and no link."""
    file = folder / DESCRIPTION
    if file.is_symlink():
        raise DataError(f"{file} is a link; copy the file it points to in its place")
    about = read_json(file)
    if type(about.get("zarr_format")) is not int or about["zarr_format"] != 3:
        raise DataError(f"{file}: found zarr format {about.get('zarr_format')!r}, expected 3")
    return about


def array_layout(
    folder: Path, dtype: str | None = None, codecs: tuple[str, ...] = ("lz4",)
) -> ArrayLayout:
    """Layout of an array, after its description was checked.

    Parameters
    ----------
    folder : Path
    dtype : str, optional
        The numpy type it must have; any of ours otherwise.
    codecs : tuple of str
        Of `CODECS`, those it may have.

    Raises
    ------
    DataError
        If it is missing, or its type, shape, chunks, codecs or fill value are not those of an
        array that starsmith writes.
    """
    if folder.is_symlink():
        raise DataError(f"{folder} is a link; copy the folder it points to in its place")
    about = _description(folder)
    try:
        layout = _layout(folder, about, codecs)
        if dtype not in (None, layout.dtype):
            raise ValueError(f"its numbers are {layout.dtype}, expected {dtype}")
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise DataError(
            f"{folder / DESCRIPTION}: not the array that starsmith writes ({problem}); write it "
            "again, or copy it again"
        ) from None
    return layout


def _layout(folder: Path, about: dict, codecs: tuple[str, ...]) -> ArrayLayout:
    """Layout by a description; ValueError naming the first entry that is not ours."""
    odd = sorted(set(about) - ARRAY_KEYS)
    if about["node_type"] != "array" or odd:
        raise ValueError(f"node_type {about['node_type']!r}, unknown entries {odd}")
    if about.get("storage_transformers"):
        raise ValueError("it has storage transformers")
    if not isinstance(about["data_type"], str) or about["data_type"] not in DTYPES:
        raise ValueError(f"data type {str(about['data_type'])[:40]!r}, not of {list(DTYPES)}")
    shape = _counts("shape", about["shape"], 0)
    grid, keys = about["chunk_grid"], about["chunk_key_encoding"]
    files = _counts("chunk_shape", grid["configuration"]["chunk_shape"], 1)
    if grid != _named("regular", {"chunk_shape": list(files)}) or len(files) != len(shape):
        raise ValueError("its chunk grid is not a regular one of its rank")
    if keys not in (_named("default", {"separator": "/"}), {"name": "default"}):
        raise ValueError("its chunks are not named in the default way")
    names = about.get("dimension_names")
    if names is not None and not (isinstance(names, list) and len(names) == len(shape)):
        raise ValueError("one dimension name per axis is needed")
    itemsize = np.dtype(about["data_type"]).itemsize
    fill = _fill_value(about["fill_value"], DTYPES[about["data_type"]])
    sharded, chunks, codec = _chunk_shape(about["codecs"], files, itemsize, codecs)
    if math.prod(files) * itemsize >= 2**40 or math.prod(chunks) * itemsize >= 2**31:
        raise ValueError(f"chunks of {chunks} in files of {files} are too large")
    return ArrayLayout(
        folder=folder,
        shape=shape,
        dtype=about["data_type"],
        files=files,
        chunks=chunks,
        sharded=sharded,
        codec=codec,
        fill_value=fill,
        dims=tuple(map(str, names or ())),
        attributes=about.get("attributes", {}),
    )


def _named(name: str, configuration: dict) -> dict:
    return {"name": name, "configuration": configuration}


def _counts(what: str, found: object, least: int) -> tuple[int, ...]:
    good = isinstance(found, list) and all(type(n) is int and least <= n < 2**40 for n in found)
    if not good or len(found) > 8:
        raise ValueError(f"{what} {str(found)[:60]} is no list of sizes")
    return tuple(found)


def _fill_value(found: object, kind: type) -> float:
    kinds = (int, float) if kind is float else (kind,)
    if type(found) not in kinds and (kind is not float or found != "NaN"):
        raise ValueError(f"fill value {str(found)[:40]!r} is no {kind.__name__}")
    return kind(found)


def _chunk_shape(
    codecs: list[dict], files: tuple[int, ...], itemsize: int, packed: tuple[str, ...]
) -> tuple[bool, tuple[int, ...], str]:
    """Whether there are shards, shape of chunks, codec; ValueError unless all codecs are ours."""
    names = [codec["name"] for codec in codecs]
    if names != ["sharding_indexed"]:
        _check_codecs(codecs, PLAIN, itemsize, packed)
        return False, files, codecs[1]["configuration"]["cname"]
    sharding = codecs[0]["configuration"]
    _check_codecs(sharding["codecs"], PLAIN, itemsize, packed)
    _check_codecs(sharding["index_codecs"], ENDS, itemsize, packed)
    chunks = _counts("chunk_shape", sharding["chunk_shape"], 1)
    whole = len(chunks) == len(files) and not any(
        n % step for n, step in zip(files, chunks, strict=True)
    )
    if sharding.get("index_location", "end") != "end" or not whole:
        raise ValueError("its shards are not laid out as ours")
    return True, chunks, sharding["codecs"][1]["configuration"]["cname"]


def _check_codecs(
    codecs: list[dict], names: tuple[str, ...], itemsize: int, packed: tuple[str, ...]
) -> None:
    found = [codec["name"] for codec in codecs]
    if found != list(names):
        raise ValueError(f"codecs {str(found)[:80]}, expected {list(names)}")
    for codec in codecs:
        options = codec.get("configuration") or {}
        allowed = OPTIONS[codec["name"]]
        if codec["name"] == "blosc":
            blocks = {CODECS[name][1] for name in packed if name == options.get("cname")}
            allowed = allowed | {"typesize": (itemsize,), "cname": packed, "blocksize": blocks}
        odd = {name: value for name, value in options.items() if value not in allowed.get(name, ())}
        if odd or set(codec) - {"name", "configuration"}:
            raise ValueError(f"codec {codec['name']} with {str(odd)[:80]}")
    if "blosc" in names and len(codecs[1].get("configuration", {})) != BLOSC_OPTIONS:
        raise ValueError("codec blosc lacks options")
