"""Rounding of mantissas: the only lossy step of the store, declared in every file."""

import numpy as np
from numba import njit, prange

__all__ = ["bits_used", "round_mantissa", "round_to_steps"]

FLOAT32_MANTISSA_BITS = 23


@njit(cache=True, nogil=True)
def bits_used(words):
    """Bits that any of some float32 numbers uses, and the largest of them without its sign.

    Parameters
    ----------
    words : uint32 array, shape (n,)
        The numbers, viewed as integers.
    """
    used, largest = np.uint32(0), np.int32(0)
    for j in range(words.size):  # free of branches, signed: the form that becomes vectors
        used = np.uint32(used | words[j])
        size = np.int32(words[j] & np.uint32(0x7FFFFFFF))
        largest = size if size > largest else largest
    return used, largest


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


@njit(cache=True, parallel=True, error_model="numpy")
def round_to_steps(flux, sigma, per_sigma):
    """Round fluxes to whole steps, half to even, in place.

    A step is the largest power of two up to sigma / ``per_sigma``: a float32 keeps whole numbers
    of it exactly, and the bits below it are zeros.

    Parameters
    ----------
    flux : float32 array, shape (n_spec, n_wave)
        Overwritten.
    sigma : float32 array, shape (n_spec, n_wave)
        Positive, same unit.
    per_sigma : float
        A power of two.
    """
    exponent = np.uint32(0x7F800000)  # the bits of a float32 that are its power of two
    for i in prange(flux.shape[0]):
        powers = sigma[i].view(np.uint32)
        for j in range(flux.shape[1]):
            step = np.uint32(powers[j] & exponent).view(np.float32) / np.float32(per_sigma)
            flux[i, j] = np.rint(flux[i, j] / step) * step
