"""Two order statistics of signal over noise, without sorting a pixel.

A count of the pixels below a threshold runs at the width of the processor's registers. The
threshold is moved by interpolation, and by halves, until it parts the pixels at the rank that is
asked for. Floats are compared as the integers of their bits: exact, ties and infinities included.
"""

import numpy as np
from numba import njit, prange

__all__ = [
    "extremes",
    "fill_medians",
    "median_and_p95",
    "median_and_p95_of_row",
    "median_of",
    "p95_of",
]

LEAST, LARGEST = np.int32(-(2**31)), np.int32(2**31 - 1)
BELOW_SIGN = np.int32(0x7FFFFFFF)


@njit(cache=True, inline="always")
def _key(value):
    """Bits of a float32, turned so that integers are in the order of the floats."""
    bits = np.float32(value).view(np.int32)
    key = np.int32(bits ^ ((bits >> np.int32(31)) & BELOW_SIGN))
    return key if value == value else LARGEST  # NaN comes last, as in numpy


@njit(cache=True, error_model="numpy")
def _keys(flux, sigma, keys):
    """Write the keys of the ratio."""
    for j in range(flux.size):
        keys[j] = _key(np.float32(flux[j] / sigma[j]))


@njit(cache=True)
def _count_up_to(keys, threshold):
    """Count the keys up to a threshold."""
    n = np.int32(0)
    for j in range(keys.size):
        n = np.int32(n + np.int32(keys[j] <= threshold))
    return n


@njit(cache=True)
def _beside(keys, threshold):
    """Largest key up to a threshold and least one above it."""
    largest, least = LEAST, LARGEST
    for j in range(keys.size):
        key = keys[j]
        largest = max(largest, key if key <= threshold else LEAST)
        least = min(least, key if key > threshold else LARGEST)
    return largest, least


@njit(cache=True)
def extremes(values):
    """Least and largest of some numbers; numpy's own compile for a second."""
    least, largest = values[0], values[0]
    for j in range(values.size):
        least, largest = min(least, values[j]), max(largest, values[j])
    return least, largest


@njit(cache=True)
def _pair(keys, rank):
    """Keys of a rank, counted from 0, and of the next; the last has itself beside it."""
    least, largest = extremes(keys)
    if rank + 1 >= keys.size:
        return largest, largest
    low, high = np.int64(least) - 1, np.int64(largest)
    n_low, n_high, step = 0, keys.size, 0
    while high - low > 1:
        share = 0.5 if step % 3 == 2 else (rank + 1 - n_low) / (n_high - n_low)
        middle = low + min(max(np.int64((high - low) * share), 1), high - low - 1)
        n = _count_up_to(keys, np.int32(middle))
        if n == rank + 1:
            return _beside(keys, np.int32(middle))
        if n < rank + 1:
            low, n_low = middle, n
        else:
            high, n_high = middle, n
        step += 1
    return np.int32(high), np.int32(high)  # equal pixels on both sides of the rank


@njit(cache=True)
def _value(key):
    """Float of a key."""
    return np.int32(key ^ ((key >> np.int32(31)) & BELOW_SIGN)).view(np.float32)


@njit(cache=True)
def median_and_p95_of_row(flux, sigma, out):
    """Median and 95th percentile of one row; arguments as below, one dimension less."""
    keys = np.empty(flux.size, np.int32)
    last = flux.size - 1
    _keys(flux, sigma, keys)
    low, high = _pair(keys, last // 2)
    out[0] = median_of(_value(low), _value(high), last)
    low, high = _pair(keys, 95 * last // 100)
    out[1] = p95_of(_value(low), _value(high), last)


@njit(cache=True)
def median_of(low, high, last):
    """Median from the float32 numbers of ranks ``last // 2`` and the next, as numpy has it."""
    return np.float32(0.5) * np.float32(low + high) if last % 2 else low


@njit(cache=True)
def p95_of(low, high, last):
    """95th percentile from the numbers of ranks ``95 * last // 100`` and the next."""
    step = np.float64(high) - np.float64(low)
    return np.float64(low) + (95 * last % 100) / 100.0 * step


@njit(cache=True, parallel=True)
def median_and_p95(flux, sigma, out):
    """Median and 95th percentile over pixels of flux / sigma, as numpy defines both.

    Parameters
    ----------
    flux, sigma : float32 arrays, shape (n_spec, n_wave)
    out : float64 array, shape (n_spec, 2)
        Overwritten.
    """
    for i in prange(flux.shape[0]):
        median_and_p95_of_row(flux[i], sigma[i], out[i])


@njit(cache=True, parallel=True)
def fill_medians(medians, values):
    """Median of each row without its NaN; NaN of a row that has nothing else.

    Parameters
    ----------
    medians : float32 array, shape (n_row,)
        Overwritten.
    values : float32 array, shape (n_row, n_value)
    """
    n_row, n_value = values.shape
    for i in prange(n_row):
        row, keys = values[i], np.empty(n_value, np.int32)
        for j in range(n_value):
            keys[j] = _key(row[j])
        last = np.int64(_count_up_to(keys, np.int32(LARGEST - 1))) - 1
        medians[i] = np.nan
        if last >= 0:
            low, high = _pair(keys, last // 2)
            medians[i] = median_of(_value(low), _value(high), last)
