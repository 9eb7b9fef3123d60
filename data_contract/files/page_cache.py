"""Memory in which the system holds what was written, given back."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["give_back"]


def give_back(file: Path) -> None:
    """Have the system write a file to the disk now, and forget the part of it that is there.

    Nothing waits. A file whose last bytes are on their way is forgotten by a second call.
    Without such advice in the system (macOS, Windows), or without the file, nothing is done.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    with suppress(OSError):
        handle = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
