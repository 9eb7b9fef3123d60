"""The writers' locks: one process at a time may write a dataset, or one each of its parts."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.store import partial_name

__all__ = ["writer_lock"]


@contextmanager
def writer_lock(path: Path | str, part: range | None = None) -> Iterator[None]:
    """Hold ``<path>.lock``, or ``<path>.0-50.lock`` for a part, while writing.

    Processes started by the holder write shards under its lock. A lock left by a process
    that died on this host is taken over. Nothing here depends on clocks.

    Parameters
    ----------
    path : path
    part : range, optional
        Numbers of the shards to be written; writers of parts that do not overlap may work at
        the same time, on any host. Without it nobody else may write.

    Raises
    ------
    DataError
        If another writer of the same shards holds a lock.
    """
    path = Path(path)
    suffix = f".{part.start}-{part.stop}.lock" if part is not None else ".lock"
    lock = path.with_name(path.name + suffix)
    lock.parent.mkdir(parents=True, exist_ok=True)
    if not _acquire(lock):
        _remove_stale(lock, path)
        if not _acquire(lock):
            raise DataError(_refusal(lock, path, _holder(lock)))
    try:
        for other in _rivals(path, lock, part):  # looked for after ours is visible to them
            _remove_stale(other, path)
        yield
    finally:
        lock.unlink(missing_ok=True)


def _rivals(path: Path, lock: Path, part: range | None) -> Iterator[Path]:
    """Locks on shards that ``part`` has as well."""
    for other in sorted(path.parent.glob(f"{_escaped(path.name)}*.lock")):
        span = other.name[len(path.name) : -len(".lock")].lstrip(".").split("-")
        if other == lock or not (span == [""] or all(number.isdigit() for number in span)):
            continue
        whole = part is None or span == [""]
        if whole or (int(span[0]) < part.stop and part.start < int(span[-1])):
            yield other


def _escaped(name: str) -> str:
    """A file name with nothing in it that a pattern would expand."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


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


def _remove_stale(lock: Path, path: Path) -> None:
    """Remove the lock of a dead process; renaming first keeps two successors apart."""
    holder = _holder(lock)
    if not holder and not lock.exists():
        return  # given back meanwhile
    if holder.get("host") != socket.gethostname() or _alive(holder["pid"]):
        raise DataError(_refusal(lock, path, holder))
    aside = partial_name(lock)
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


def _refusal(lock: Path, path: Path, holder: dict) -> str:
    return (
        f"{path}: process {holder.get('pid', '?')} on {holder.get('host', 'an unknown host')} is "
        f"writing it; wait for it to end, or delete {lock} if you know that it has"
    )
