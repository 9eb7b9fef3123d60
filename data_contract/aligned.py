"""Arrays that begin where a line of the cache does."""

from math import prod

import numpy as np

__all__ = ["aligned_empty"]

LINE = 64  # bytes


def aligned_empty(shape: tuple[int, ...], dtype: str | np.dtype | type) -> np.ndarray:
    """An array like that of ``numpy.empty``, whose rows lie in lines of the cache.

    NumPy's begin 16 bytes after one, so that every second vector of a row is read from two lines:
    weighted sums of a bank's rows took a third longer.
    """
    kind = np.dtype(dtype)
    n_bytes = prod(shape) * kind.itemsize
    room = np.empty(n_bytes + LINE, dtype=np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + n_bytes].view(kind).reshape(shape)
