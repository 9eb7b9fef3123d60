"""What the cache keeps: read where it is whole, else made again; the cache can fail no command."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import partial_name
from starsmith.simulator.cache.use import hold

__all__ = ["kept_or_made"]

log = logging.getLogger(__name__)

T = TypeVar("T")


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
