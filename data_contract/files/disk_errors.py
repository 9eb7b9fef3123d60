"""What the disk refuses, told in one line: what is kept, what to do, and how to go on."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

from starsmith.data_contract.errors import StarsmithError

__all__ = ["disk_story", "error_number", "told_of_disk"]

ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on the size of files",
    errno.EACCES: "give yourself permission to write there",
    errno.EPERM: "give yourself permission to write there",
    errno.EROFS: "mount it for writing",
    errno.EIO: "look after the disk",
    errno.ESTALE: "wait for the file server",
}


@contextmanager
def told_of_disk(out: Path, kept: str = "finished shards are kept") -> Iterator[None]:
    """Turn what the disk refuses while ``out`` is written into one line.

    Parameters
    ----------
    out : path
    kept : str
        What is not lost.

    Raises
    ------
    StarsmithError
        For disks that are full, failing or may not be written; other errors pass.
    """
    try:
        yield
    except OSError as problem:
        number = error_number(problem)
        if number not in ADVICE:
            raise
        raise StarsmithError(
            f"{out}: {os.strerror(number)} ({_place(problem)}); {kept}: {ADVICE[number]}, then run "
            "the same command again to resume"
        ) from None


def disk_story(problem: OSError) -> str:
    """What the disk refused and what to do about it; empty where it is something else."""
    number = error_number(problem)
    if number not in ADVICE:
        return ""
    name = re.sub(r"\.+([^/]+?)(\.[0-9a-f]{12,}\.partial)+.*", r"\1", str(problem.filename or ""))
    return (
        f"{name or _unnamed(problem)}: {os.strerror(number)}; nothing half-written is left: "
        f"{ADVICE[number]}, then run the same command again"
    )


def _unnamed(problem: OSError) -> str:
    """What could not be written where the system names no file."""
    frames = [frame.f_code.co_filename for frame, _ in walk_tb(problem.__traceback__)]
    if any("numba" in name for name in frames):
        return "numba's folder of compiled functions (NUMBA_CACHE_DIR names another)"
    return "a file"


def error_number(problem: OSError) -> int | None:
    """Error number of the system; HDF5 and astropy hide it in their texts."""
    if problem.errno is not None:
        return problem.errno
    found = re.search(r"[Ee]rrno(?: =)? (\d+)", str(problem))
    return int(found[1]) if found else None


def _place(problem: OSError) -> str:
    """The file, unless it is one that nobody has heard of."""
    name = str(problem.filename or "")
    return "while writing" if not name or ".partial" in name else name
