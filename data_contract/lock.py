"""The writer's lock: one process at a time may write a dataset."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starsmith.data_contract.errors import DataError

__all__ = ["writer_lock"]


@contextmanager
def writer_lock(path: Path | str) -> Iterator[None]:
    """Hold ``<path>.lock`` while writing; it names the process and host that hold it.

    Processes started by the holder write shards under its lock. A lock left by a process
    that died on this host is taken over.

    Raises
    ------
    DataError
        If another writer holds the lock.
    """
    lock = Path(f"{path}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    if not _acquire(lock):
        _remove_stale(lock, path)
        if not _acquire(lock):
            raise DataError(_refusal(lock, path, _holder(lock)))
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _acquire(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
    return True


def _holder(lock: Path) -> dict:
    try:
        return json.loads(lock.read_text())
    except (OSError, ValueError):
        return {}


def _remove_stale(lock: Path, path: Path | str) -> None:
    """Remove the lock of a dead process; renaming first keeps two successors apart."""
    holder = _holder(lock)
    if holder.get("host") != socket.gethostname() or _alive(holder["pid"]):
        raise DataError(_refusal(lock, path, holder))
    aside = lock.with_name(f".{lock.name}.{os.getpid()}.partial")
    try:
        os.rename(lock, aside)
    except FileNotFoundError:
        return
    if (taken := _holder(aside)) != holder:  # another successor was faster: give it back
        os.rename(aside, lock)
        raise DataError(_refusal(lock, path, taken))
    aside.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refusal(lock: Path, path: Path | str, holder: dict) -> str:
    return (
        f"{path}: process {holder.get('pid', '?')} on {holder.get('host', 'an unknown host')} is "
        f"writing it; wait for it to end, or delete {lock} if you know that it has"
    )
