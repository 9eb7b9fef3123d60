"""The writers' locks: one process at a time may write a dataset, or one each of its parts."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starsmith.data_contract.errors import BusyError
from starsmith.data_contract.files.atomic import partial_name, process_exists, sweep_partials

__all__ = ["writer_lock"]


@contextmanager
def writer_lock(path: Path | str, part: range | None = None) -> Iterator[None]:
    """Hold ``<path>.lock``, or ``<path>.0-50.lock`` for a part, while writing.

    Processes started by the holder write shards under its lock. A lock left by a process
    that died on this host is taken over, be its number in use again or the host restarted.
    Nothing here depends on clocks. Where nobody else can be writing, folders that killed
    processes left half-made beside ``path`` are removed at the end.

    Parameters
    ----------
    path : path
    part : range, optional
        Numbers of the shards to be written; writers of parts that do not overlap may work at
        the same time, on any host. Without it nobody else may write.

    Raises
    ------
    BusyError
        If another writer of the same shards holds a lock.
    """
    path = Path(os.path.abspath(path))  # "." has no name of its own
    suffix = f".{part.start}-{part.stop}.lock" if part is not None else ".lock"
    lock = path.with_name(path.name + suffix)
    lock.parent.mkdir(parents=True, exist_ok=True)
    if not _acquire(lock):
        _remove_stale(lock, path)
        if not _acquire(lock):
            raise BusyError(_refusal(lock, path, _holder(lock)))
    try:
        for other in _rivals(path, lock, part):  # looked for after ours is visible to them
            _remove_stale(other, path)
        yield
        if part is None:
            sweep_partials(path, alone=True)
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
    """Whether the lock is ours now. It appears with its contents, also on a disk that is full."""
    ours = partial_name(lock)
    try:
        ours.write_text(json.dumps(_identity(os.getpid())))
        try:
            os.link(ours, lock)
        except FileExistsError:  # file servers may lose the answer to a link that succeeded
            return ours.stat().st_nlink == 2
        except OSError:  # no hard links here
            return _create(lock, ours.read_bytes())
        return True
    finally:
        ours.unlink(missing_ok=True)


def _create(lock: Path, content: bytes) -> bool:
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError:
        lock.unlink()
        raise
    return True


def _identity(pid: int) -> dict:
    """Who a process is: numbers are used again, hosts restart, and several may share a name."""
    return {
        "pid": pid,
        "host": socket.gethostname(),
        "machine": _first_word(Path("/etc/machine-id")),
        "boot": _first_word(Path("/proc/sys/kernel/random/boot_id")),
        "started": _started(pid),
    }


def _first_word(file: Path) -> str:
    """Content of a system's file; empty where this system has none."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in ticks since its machine did (Linux; else empty)."""
    fields = _first_word(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


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
    if _may_live(holder):
        raise BusyError(_refusal(lock, path, holder))
    aside = partial_name(lock)
    try:
        os.rename(lock, aside)
    except FileNotFoundError:
        return
    if (taken := _holder(aside)) != holder:  # another successor was faster: give it back
        os.rename(aside, lock)
        raise BusyError(_refusal(lock, path, taken))
    aside.unlink()


def _may_live(holder: dict) -> bool:
    """Whether the holder is alive, or cannot be looked for from here."""
    try:
        here = _identity(int(holder["pid"]))
    except (LookupError, TypeError, ValueError):
        return True
    if holder.get("host") != here["host"] or holder.get("machine", "") not in ("", here["machine"]):
        return True
    if holder.get("boot", here["boot"]) != here["boot"]:
        return not here["machine"]  # restarted since, or another machine of that name
    return process_exists(here["pid"]) and holder.get("started", here["started"]) == here["started"]


def _refusal(lock: Path, path: Path, holder: dict) -> str:
    return (
        f"{path}: process {holder.get('pid', '?')} on {holder.get('host', 'an unknown host')} is "
        f"writing it; wait for it to end, or delete {lock} if you know that it has"
    )
