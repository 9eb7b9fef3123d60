"""Rounding of mantissas: the only lossy step of the store, declared in every file."""

import numpy as np
from numba import njit, prange

__all__ = ["round_mantissa"]

FLOAT32_MANTISSA_BITS = 23


@njit(cache=True, parallel=True)
def round_mantissa(bits, keep_bits):
    """Round float32 numbers to ``keep_bits`` mantissa bits, half to even, in place.

    The relative error is at most 2^-(keep_bits + 1). Not for NaN or infinity.

    Parameters
    ----------
    bits : uint32 array, shape (n_spec, n_wave)
        The numbers, viewed as integers; overwritten.
    keep_bits : int
        1..22.
    """
    shift = np.uint32(FLOAT32_MANTISSA_BITS - keep_bits)
    one = np.uint32(1)
    half = np.uint32((one << np.uint32(shift - one)) - one)
    mask = np.uint32(0xFFFFFFFF) << shift
    for i in prange(bits.shape[0]):
        for j in range(bits.shape[1]):
            word = bits[i, j]
            bits[i, j] = (word + half + ((word >> shift) & one)) & mask
