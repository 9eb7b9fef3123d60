"""Memory that a process keeps from one shard to the next."""

import ctypes

__all__ = ["keep_memory"]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of the C library's malloc.h
KEPT = 2**30  # bytes


def keep_memory() -> None:
    """Have the C library keep what arrays free, in a process that does nothing but make shards.

    The arrays of a shard are so large that each is mapped anew, and clearing its pages costs 6 µs
    of a spectrum. Without glibc nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, KEPT)
