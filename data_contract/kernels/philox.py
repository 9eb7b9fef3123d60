"""Counter-based random numbers: Philox4x32-10 and normals made from it.

Salmon, Moraes, Dror & Shaw 2011 (Parallel random numbers: as easy as 1, 2, 3).
A word depends on its key and counter alone, so any spectrum can be drawn alone,
in any order, on any number of workers.
"""

import math

import numpy as np
from numba import njit, prange

from starsmith.data_contract.kernels.elementary import logarithm, whole_float

__all__ = ["fill_normals", "fill_words", "philox_block"]

MULTIPLIER_0 = np.uint64(0xD2511F53)  # Salmon et al. (2011, SC11), Philox4x32
MULTIPLIER_1 = np.uint64(0xCD9E8D57)
WEYL_0 = np.uint64(0x9E3779B9)  # golden ratio, 32 bits
WEYL_1 = np.uint64(0xBB67AE85)  # √3 - 1
LOW = np.uint64(0xFFFFFFFF)  # lower half of a product
HALF = np.uint64(32)
WORD = 2.0**-32  # one step of a 32-bit uniform


@njit(cache=True, inline="always", error_model="numpy")
def philox_block(c0, c1, c2, c3, k0, k1):
    """Turn one counter into four random words.

    Parameters
    ----------
    c0, c1, c2, c3 : uint64 scalars below 2**32
        Counter: block, 0, spectrum index, split.
    k0, k1 : uint64 scalars below 2**32
        Key: seed, stream.

    Returns
    -------
    words : four uint64 scalars below 2**32
    """
    for _ in range(10):  # Philox4x32-10
        product_0 = MULTIPLIER_0 * c0
        product_1 = MULTIPLIER_1 * c2
        c0 = ((product_1 >> HALF) ^ c1 ^ k0) & LOW
        c1 = product_1 & LOW
        c2 = ((product_0 >> HALF) ^ c3 ^ k1) & LOW
        c3 = product_0 & LOW
        k0 = (k0 + WEYL_0) & LOW
        k1 = (k1 + WEYL_1) & LOW
    return c0, c1, c2, c3


@njit(cache=True, parallel=True, error_model="numpy")
def fill_words(words, index, split, seed, stream):
    """Fill rows of random 32-bit words, one row per spectrum.

    Parameters
    ----------
    words : uint32 array, shape (n_spec, 4 * n_block)
        Overwritten.
    index : uint64 array, shape (n_spec,)
        Spectrum index within its split.
    split, seed, stream : uint64 scalars below 2**32
        Last counter word and the two key words.
    """
    for i in prange(words.shape[0]):
        for b in range(words.shape[1] // 4):
            w0, w1, w2, w3 = philox_block(np.uint64(b), np.uint64(0), index[i], split, seed, stream)
            words[i, 4 * b] = w0  # four words a block
            words[i, 4 * b + 1] = w1
            words[i, 4 * b + 2] = w2
            words[i, 4 * b + 3] = w3


@njit(cache=True, inline="always", error_model="numpy")
def _sin_half_turn(x):
    """sin(pi x) for |x| <= 1/2; Taylor to x^15, error below 1e-11."""
    y = math.pi * x  # |x| ≤ 1/2
    z = y * y
    series = -1 / 1307674368000  # 15!
    series = series * z + 1 / 6227020800
    series = series * z - 1 / 39916800
    series = series * z + 1 / 362880
    series = series * z - 1 / 5040
    series = series * z + 1 / 120
    series = series * z - 1 / 6
    return y * (1.0 + z * series)


@njit(cache=True, error_model="numpy")
def row_normals(normals, scratch, index, split, seed, stream):
    """Fill one row with standard normals: Philox words, then Box & Muller 1958.

    All 32 bits of a word enter, so tails reach 6.7 sigma. The loops are kept apart, free of
    library calls and of the check for divisions by zero, so that the compiler turns each into
    vector instructions.

    Parameters
    ----------
    normals : float32 array, shape (n,)
        Overwritten.
    scratch : float64 array, shape (4, n_block), n_block = ceil(n / 4)
        Working space.
    index, split, seed, stream : uint64 scalars below 2**32
    """
    n = normals.size
    n_block = scratch.shape[1]
    for b in range(n_block):
        w0, w1, w2, w3 = philox_block(np.uint64(b), np.uint64(0), index, split, seed, stream)
        scratch[0, b] = (whole_float(w0) + 0.5) * WORD  # never 0: its logarithm is taken
        scratch[1, b] = whole_float(w1) * WORD - 0.5  # turns, -1/2 to 1/2
        scratch[2, b] = (whole_float(w2) + 0.5) * WORD
        scratch[3, b] = whole_float(w3) * WORD - 0.5
    for pair in range(0, 4, 2):
        for b in range(n_block):
            radius = math.sqrt(-2.0 * logarithm(scratch[pair, b]))  # Box & Muller (1958)
            turn = scratch[pair + 1, b]
            # cos(2 pi t) = 1 - 2 sin^2(pi t); sin(2 pi t) = 2 sin(pi t) cos(pi t)
            sine = _sin_half_turn(turn)
            cosine = _sin_half_turn(0.5 - abs(turn))  # cos πt = sin π(1/2 - |t|)
            scratch[pair, b] = radius * (1.0 - 2.0 * sine * sine)
            scratch[pair + 1, b] = radius * 2.0 * sine * cosine
    for j in range(n):
        normals[j] = scratch[j % 4, j // 4]  # four normals a block, in the order of words


@njit(cache=True, parallel=True, error_model="numpy")
def fill_normals(normals, index, split, seed, stream):
    """Fill rows of standard normals, one keyed row per spectrum.

    Parameters
    ----------
    normals : float32 array, shape (n_spec, n)
        Overwritten.
    index : uint64 array, shape (n_spec,)
    split, seed, stream : uint64 scalars below 2**32
    """
    n_spec, n = normals.shape
    for i in prange(n_spec):
        scratch = np.empty((4, (n + 3) // 4))
        row_normals(normals[i], scratch, index[i], split, seed, stream)
