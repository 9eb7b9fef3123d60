"""The user's cache: where it is, and which of its entries a running process uses."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

try:
    import fcntl
except ImportError:  # not on Windows: there, recent use alone protects an entry
    fcntl = None

__all__ = ["cache_folder", "hold", "let_go", "reserved"]

log = logging.getLogger(__name__)

SECONDS_WITHOUT_LOCKS = 3600.0

_held: dict[tuple[int, int], int] = {}  # open handles by device and inode


def cache_folder() -> Path:
    """Folder of grids and banks kept between calls: ``$XDG_CACHE_HOME/starsmith`` on Linux.

    In the folder of temporary files for users who have no home.
    """
    try:
        folder = user_cache_path("starsmith")
    except (RuntimeError, OSError, KeyError):
        folder = Path("none")
    if folder.is_absolute():
        return folder
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"starsmith-{user}"


def hold(path: Path) -> None:
    """Note that an entry is used, now and until this process ends.

    The time of use is that of the entry's folder. The lock is the system's: it ends with the
    process, however that ends. Where neither can be written (a cache lent for reading, a file
    system without locks) the entry is used all the same.

    Parameters
    ----------
    path : Path
        Folder of a grid or bank.
    """
    try:
        os.utime(path)
    except OSError as problem:
        log.debug("%s: time of use not noted (%s)", path, problem)
    if fcntl is None:
        return
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    status = os.fstat(handle)
    key = status.st_dev, status.st_ino
    if key in _held:
        os.close(handle)
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)  # others lock it for moments only
    except OSError as problem:
        os.close(handle)
        log.debug("%s: not locked (%s)", path, problem)
        return
    _held[key] = handle


def let_go() -> None:
    """Give back everything this process holds."""
    while _held:
        os.close(_held.popitem()[1])


@contextmanager
def reserved(path: Path, still: float) -> Iterator[bool]:
    """Yield whether an entry is in nobody's use; none can begin to hold it meanwhile.

    Parameters
    ----------
    path : Path
    still : float
        Seconds since its last use; where there are no locks, an entry used within the last
        hour counts as in use.
    """
    if fcntl is None:
        yield still > SECONDS_WITHOUT_LOCKS
        return
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            yield still > SECONDS_WITHOUT_LOCKS
            return
        yield True
    finally:
        os.close(handle)
