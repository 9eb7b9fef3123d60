"""Memory in which the system holds what was written, given back."""

import os
from contextlib import suppress
from pathlib import Path
from threading import Thread

__all__ = ["give_back"]


def give_back(*files: Path) -> None:
    """Have the system write files to the disk now, and forget the parts of them that are there.

    Nobody waits for it, nor for the disk. A file whose last bytes are on their way is forgotten by
    a second call. Without such advice in the system (macOS, Windows), or without a file, nothing
    is done.
    """
    if hasattr(os, "posix_fadvise"):
        Thread(target=_advise, args=files, daemon=True).start()


def _advise(*files: Path) -> None:
    for file in files:
        with suppress(OSError):
            handle = os.open(file, os.O_RDONLY)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)
