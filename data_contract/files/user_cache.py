"""The user's cache: where it is, what it keeps, which entries a running process uses.

What is whole is read, what is not is made again; the cache can fail no command.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from platformdirs import user_cache_path

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import partial_name

try:
    import fcntl
except ImportError:  # not on Windows: there, recent use alone protects an entry
    fcntl = None

__all__ = ["cache_folder", "hold", "kept_or_made", "let_go", "reserved", "shared_until_whole"]

log = logging.getLogger(__name__)

T = TypeVar("T")

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


@contextmanager
def shared_until_whole(folder: Path) -> Iterator[None]:
    """Fill a folder with parts of something, as other processes may; the last removes it.

    It stays where the block ends with an error: whoever comes next goes on from there.
    """
    if fcntl is None:
        yield
        shutil.rmtree(folder, ignore_errors=True)
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, fcntl.LOCK_SH)
        yield
        if _lock(handle, fcntl.LOCK_EX):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _lock(handle: int, kind: int) -> bool:
    """Lock an open folder, unless others hold it; True as well where locks do not work."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as problem:
        log.debug("folder not locked (%s)", problem)
    return True


def kept_or_made(
    path: Path, read: Callable[[Path], T], make: Callable[[], T], save: Callable[[T, Path], None]
) -> T:
    """Read an entry of the cache, or make it and keep it there.

    An entry that is damaged, whatever it is, gives way to a new one. What cannot be kept, on a
    disk that is full or may not be written, is used all the same.

    Parameters
    ----------
    path : Path
        Of the entry.
    read : callable
        Reads the entry at a path.
    make : callable
        Makes what the entry holds.
    save : callable
        Writes it to a path, under the writers' lock.
    """
    damaged = False
    if os.path.lexists(path):
        try:
            hold(path)
            return read(path)
        except Exception as problem:  # damage may show as anything
            damaged = os.path.lexists(path)
            log.warning("%s: made again (%s)", path, " ".join(str(problem).split()))
    made = make()
    try:
        if damaged:
            _remove(path)
        if not os.path.lexists(path):  # another process may have kept it meanwhile
            path.parent.mkdir(parents=True, exist_ok=True)
            save(made, path)
        hold(path)
    except (OSError, DataError) as problem:
        log.info("%s: not kept (%s)", path, problem)
    return made


def _remove(path: Path) -> None:
    """Remove what is in the place of an entry: a folder, a file or a link."""
    aside = partial_name(path)
    os.rename(path, aside)
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)
