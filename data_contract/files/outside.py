"""Files from outside, read in bounded memory: regular files only, and text formats decoded safely.

A file never chooses what reading it costs: its size, its depth and what it unpacks to are bounded
before anything is decoded.
"""

import bz2
import json
import os
import stat
import tomllib
import zlib
from collections.abc import Callable
from pathlib import Path

from starsmith.data_contract.errors import DataError

__all__ = [
    "MOST_JSON",
    "MOST_TOML",
    "one_line",
    "read_file",
    "read_json",
    "read_json_lines",
    "read_toml",
    "regular_size",
    "toml_of",
    "unpack",
]

MOST_JSON = 2**26  # bytes: ten times the attributes of a grid of 10^5 models
MOST_TOML = 2**20  # bytes: a hundred times an instrument's
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
        raise error(f"{path} is no TOML file ({problem}); correct that line") from None


def toml_of(text: str) -> dict:
    """Tables of a TOML text; ValueError if it is none, also where it is nested too deep."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


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
                    raise ValueError("cut short")
        except (OSError, zlib.error) as problem:
            raise ValueError(f"damaged: {problem}") from None
        content = unpacker.unused_data
    return bytes(out)
