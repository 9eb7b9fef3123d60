"""Files that appear complete or not at all: staged writers, JSON and TOML texts."""

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import tomli_w

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.disk_errors import error_number

__all__ = [
    "json_bytes",
    "json_safe",
    "partial_name",
    "process_exists",
    "read_steadily",
    "refuse_existing",
    "replace_folder",
    "require_own",
    "staged_file",
    "staged_folder",
    "sweep_partials",
    "sync",
    "temporary_folder",
    "write_json",
    "write_text",
    "write_toml",
]


ATTEMPTS = 10
T = TypeVar("T")


def refuse_existing(path: Path | None, overwrite: bool, schema: str = "") -> None:
    """Raise DataError where ``path`` exists and may not, or must not, be replaced.

    Parameters
    ----------
    path : Path, optional
    overwrite : bool
        Whether what is there may be replaced.
    schema : str
        Of the zarr folder to be written: nothing else is replaced by it. A file, without.
    """
    if path is None or not os.path.lexists(path):
        return
    if not overwrite:
        raise DataError(f"{path} exists already; choose another --out or pass --overwrite")
    require_own(path, schema)


def require_own(path: Path, schema: str = "") -> None:
    """Raise DataError where something else is in the place of a zarr folder, or of a file."""
    if not os.path.lexists(path) or _is_empty(path):
        return
    if not schema and (path.is_dir() or not path.is_file()):
        raise DataError(f"{path} is a folder starsmith did not write; choose another --out")
    from starsmith.data_contract.files.zarr_groups import schema_of  # zarr takes long to import

    if schema and schema_of(path) != schema:
        raise DataError(
            f"{path} is not a {schema}, and only one of these is replaced by it; choose another "
            "--out, or remove what is there yourself"
        )


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def json_safe(value: object) -> object:
    """Return ``value`` in types of strict JSON: NaN and infinity as None, arrays as lists."""
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if hasattr(value, "tolist"):
        return json_safe(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def json_bytes(content: Mapping) -> bytes:
    """The one spelling of a JSON file: equal content is equal bytes."""
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


@lru_cache(maxsize=1)
def _here() -> str:
    """Six hexadecimal digits for this host, since it started, and its process numbers."""
    facts = [os.uname().nodename if hasattr(os, "uname") else ""]
    for name in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            facts.append(os.readlink(name) if "ns" in name else Path(name).read_text())
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:6]


def partial_name(path: Path) -> Path:
    """A hidden name beside ``path`` that no other writer, on this host or another, will take.

    It says which host and process made it, so that `sweep_partials` knows when that has ended.
    """
    mark = f"{_here()}{os.getpid():06x}{uuid4().hex[:8]}"
    return path.with_name(f".{path.name}.{mark}.partial")


def process_exists(pid: int) -> bool:
    """Whether a process of this host is running."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


PARTIAL = r"(\.[0-9a-f]{12,}\.partial)+"


def sweep_partials(path: Path, alone: bool = False) -> None:
    """Remove what killed processes left half-made in the place of ``path``.

    Parameters
    ----------
    path : Path
    alone : bool
        Whether nobody else can be writing it: then what processes of other hosts left goes too.
    """
    ours = re.compile(rf"\.+{re.escape(path.name)}{PARTIAL}")
    try:
        names = [entry.name for entry in os.scandir(path.parent) if ours.fullmatch(entry.name)]
    except OSError:
        return
    for name in names:
        mark = name.split(".")[-2]
        dead = len(mark) == 20 and mark[:6] == _here() and not process_exists(int(mark[6:12], 16))
        if not (alone or dead):
            continue
        left = path.with_name(name)
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or every file of a folder, is on the disk."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def staged_file(path: Path, sweep: bool = False) -> Iterator[Path]:
    """Yield a name to write to; the file takes its place only when complete.

    Where it replaces another it is on the disk before: a power cut leaves one of the two.

    Parameters
    ----------
    path : Path
    sweep : bool
        Whether to look for what killed processes left; in folders of few files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if sweep:
        sweep_partials(path)
    partial = partial_name(path)
    try:
        yield partial
        if path.exists():
            sync(partial)
        os.replace(partial, path)
    except OSError as problem:
        _name(problem, path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _name(problem: OSError, path: Path) -> None:
    """Say which file could not be written, where the system does not."""
    number = error_number(problem)
    if number is not None and problem.filename is None:
        problem.errno, problem.strerror = number, os.strerror(number)
        problem.filename = str(path)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path``, removed afterwards."""
    folder = partial_name(path)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, content: Mapping) -> None:
    """Write JSON in one step: a reader sees the old file or the new one, never half."""
    with staged_file(path) as partial:
        partial.write_bytes(json_bytes(content))


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step, unless it holds that text already."""
    if path.exists() and path.read_bytes() == text.encode():
        return
    with staged_file(path) as partial:
        partial.write_bytes(text.encode())


@contextmanager
def staged_folder(path: Path, schema: str) -> Iterator[Path]:
    """Build a zarr folder beside ``path`` and move it into place only when complete.

    Raises
    ------
    DataError
        If something else than a folder of the ``schema`` is there: it is never removed.
    """
    require_own(path, schema)
    with temporary_folder(path) as staging:
        try:
            yield staging
        except OSError as problem:
            _name(problem, path)
            raise
        if not os.path.lexists(path):
            os.replace(staging, path)
            return
        require_own(path, schema)
        sync(staging)
        replace_folder(staging, path)


def replace_folder(staging: Path, path: Path) -> None:
    """Put a folder in the place of another, which lies at ``staging`` afterwards or is gone.

    Where the system can exchange two names (Linux), there is no moment without a folder; else
    the old one is set aside for the moment that a rename takes.
    """
    if not _exchange(staging, path):
        aside = partial_name(path)
        os.rename(path, aside)
        try:
            os.rename(staging, path)
        except OSError:
            os.rename(aside, path)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def read_steadily(path: Path, read: Callable[[Path], T]) -> T:
    """Read a folder that another process may be replacing: again, where it was replaced meanwhile.

    Raises
    ------
    DataError
        As ``read`` raises, or if it is replaced all the time.
    """
    for _ in range(ATTEMPTS):
        before = _folder_id(path)
        try:
            result = read(path)
        except (DataError, OSError):
            if _folder_id(path) == before:
                raise
        else:
            if _folder_id(path) == before:
                return result
    raise DataError(f"{path} is being replaced all the time; wait for its writer to end")


def _folder_id(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step (renameat2 of Linux); False where that cannot be done."""
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    at, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return function(at, os.fsencode(first), at, os.fsencode(second), exchange) == 0


def write_toml(path: Path, values: Mapping) -> None:
    """Write a TOML file in one step."""
    with staged_file(path) as partial:
        partial.write_text(tomli_w.dumps(values), encoding="utf-8")
