"""Files from outside, read in bounded memory: regular files only, and text formats decoded safely.

A file never chooses what reading it costs: its size, its depth and what it unpacks to are bounded
before anything is decoded.
"""

import bz2
import json
import math
import os
import stat
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO

import numpy as np

from starsmith.data_contract.errors import DataError

__all__ = [
    "MOST_JSON",
    "MOST_TABLE",
    "MOST_TOML",
    "check_plain",
    "one_line",
    "read_file",
    "read_json",
    "read_json_lines",
    "read_npz",
    "read_text",
    "read_toml",
    "regular_size",
    "toml_of",
    "unpack",
]

MOST_JSON = 2**26  # bytes: ten times the attributes of a grid of 10^5 models
MOST_TOML = 2**20  # bytes: a hundred times an instrument's
MOST_TABLE = 2**31  # bytes: ten million stars
STEP = 2**16  # bytes unpacked at a time


def regular_size(path: Path) -> int:
    """Size of a regular file [bytes].

    Raises
    ------
    OSError
        If nothing is there, or a folder, pipe, device or link to one.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"no regular file but a {_kind(status.st_mode)}")
    return status.st_size


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "folder",
        stat.S_IFIFO: "pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFLNK: "link",
    }
    return kinds.get(stat.S_IFMT(mode), "device")


def read_file(path: Path, most: int) -> bytes:
    """Read a regular file of at most ``most`` bytes; OSError for anything else."""
    size = regular_size(path)
    if size > most:
        raise OSError(f"{size} bytes, expected at most {most}")
    with open(path, "rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(f"it grows; expected at most {most} bytes")
    return content


def one_line(problem: Exception) -> str:
    """What went wrong, without the file name that the message gives anyway."""
    if isinstance(problem, RecursionError):
        return "nested too deep"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return str(problem)


def read_text(path: Path, error: type[Exception] = DataError) -> str:
    """Read a text file, whatever its bytes are; ``error`` if it cannot be or is too large."""
    try:
        return read_file(path, MOST_JSON).decode(errors="replace")
    except OSError as problem:
        raise error(f"{path} cannot be read ({one_line(problem)})") from None


def read_json(path: Path, most: int = MOST_JSON, advice: str = "write it again") -> dict:
    """Read a JSON object.

    Parameters
    ----------
    path : Path
    most : int
        Size of the file that is read [bytes].
    advice : str
        What repairs it.

    Raises
    ------
    DataError
        If the file is missing, damaged, too large or no regular file.
    """
    try:
        content = json.loads(read_file(path, most))
    except (OSError, ValueError, RecursionError) as problem:
        raise DataError(f"{path} is missing or damaged ({one_line(problem)}); {advice}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object; {advice}")
    return content


def read_json_lines(path: Path) -> list[dict]:
    """Read a file of one JSON object per line; none where there is no file.

    Raises
    ------
    DataError
        If the file is damaged, too large or no regular file.
    """
    try:
        rows = [json.loads(line) for line in read_file(path, MOST_JSON).splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as problem:
        raise DataError(f"{path} is damaged ({one_line(problem)}); remove it") from None
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} holds lines that are no JSON objects; remove it")
    return rows


def read_toml(path: Path, error: type[Exception] = DataError) -> dict:
    """Read a TOML file; ``error`` if it is missing, damaged, too large or no regular file."""
    try:
        return toml_of(read_file(path, MOST_TOML).decode("utf-8"))
    except OSError as problem:
        raise error(f"{path} cannot be read ({one_line(problem)})") from None
    except ValueError as problem:
        raise error(f"{path} cannot be read: not valid TOML ({problem}); correct it") from None


def toml_of(text: str) -> dict:
    """Tables of a TOML text; ValueError if it is none, also where it is nested too deep."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_npz(path: Path, names: Collection[str], most: int) -> dict[str, np.ndarray]:
    """Read some arrays of a ``.npz`` file that unpack to at most ``most`` bytes.

    Raises
    ------
    DataError
        If the file is damaged or no regular file, or an array is missing, not of numbers, or
        of another size than the file says.
    """
    try:
        regular_size(path)
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if missing := sorted({f"{name}.npy" for name in names} - set(sizes)):
                raise ValueError(f"{missing} are missing")
            if (size := sum(sizes[f"{name}.npy"] for name in names)) > most:
                raise ValueError(f"it unpacks to {size} bytes, expected at most {most}")
            for name in names:
                with archive.open(f"{name}.npy") as member:
                    _check_npy(member, sizes[f"{name}.npy"])
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        raise DataError(f"{path} is missing or damaged ({one_line(problem)})") from None
    except (NotImplementedError, RuntimeError, LookupError) as problem:  # packed or encrypted
        raise DataError(f"{path} is no file of arrays ({problem})") from None


def _check_npy(stream: IO[bytes], size: int) -> None:
    """Check that an array is of numbers and fills its ``size`` bytes; ValueError otherwise."""
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0}
    shape, _, dtype = readers.get(version, np.lib.format.read_array_header_2_0)(stream)
    if dtype.hasobject or stream.tell() + math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"{size} bytes are no array of {shape} {dtype}")


def check_plain(path: Path, most: int) -> None:
    """Check that a table is a regular file, not too large, and not packed under its plain name.

    Raises
    ------
    OSError
        If it is not: readers of tables would unpack it, whatever it unpacks to.
    """
    if (size := regular_size(path)) > most:
        raise OSError(f"{size} bytes, expected at most {most}")
    with open(path, "rb") as stream:
        head = stream.read(6)
    if head.startswith(PACKED):
        raise OSError("it is packed; unpack it first")


PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"PK\x03\x04", b"\x1f\x9d")
"""First bytes of gzip, bzip2, xz, zip and compress."""

UNPACKERS: dict[str, Callable] = {
    "gz": lambda: zlib.decompressobj(wbits=31),
    "bz2": bz2.BZ2Decompressor,
}


def unpack(content: bytes, packing: str, most: int) -> bytes:
    """Unpack the bytes of a ``gz`` or ``bz2`` file into at most ``most`` bytes.

    Raises
    ------
    ValueError
        If they are damaged, cut short, or unpack to more.
    """
    out = bytearray()
    while content:
        unpacker = UNPACKERS[packing]()
        try:
            while not unpacker.eof:
                room = min(STEP, most + 1 - len(out))
                piece = unpacker.decompress(content, room)
                content = getattr(unpacker, "unconsumed_tail", b"")
                out += piece
                if len(out) > most:
                    raise ValueError(f"unpacks to more than {most} bytes")
                if not piece and not content and not unpacker.eof:
                    raise ValueError("cut short, before its end-of-stream marker")
        except (OSError, zlib.error) as problem:
            raise ValueError(f"damaged: {problem}") from None
        content = unpacker.unused_data
    return bytes(out)
