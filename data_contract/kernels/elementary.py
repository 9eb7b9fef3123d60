"""Logarithm and exponential without a library call: same bits everywhere, loops become vectors.

Whole numbers pass into doubles and out of them by adding 2^52: registers of eight-byte numbers
have no other conversion before AVX-512.
"""

import math

import numpy as np
from numba import njit

__all__ = ["exponential", "logarithm", "whole_float"]

LN_2 = math.log(2.0)
LN_2_HIGH = float.fromhex("0x1.62E42FEFAp-1")  # 33 bits: its products with whole numbers are exact
LN_2_LOW = 1.6465949582897082e-12  # the rest of ln 2
SQRT_2 = math.sqrt(2.0)
MANTISSA = np.uint64(0x000FFFFFFFFFFFFF)  # 52 bits
ONE_BITS = np.uint64(0x3FF0000000000000)  # exponent of [1, 2)
BIAS = 1023  # of a double's exponent
TWO_52 = 2.0**52  # doubles from here on are whole numbers, in their last bits
TWO_52_BITS = np.uint64(0x4330000000000000)
ROUNDING = 1.5 * TWO_52  # added and taken off again: the nearest whole number, of either sign


@njit(cache=True, inline="always", error_model="numpy")
def whole_float(value):
    """Double of a whole number, uint64 below 2**52."""
    return np.uint64(value | TWO_52_BITS).view(np.float64) - TWO_52


@njit(cache=True, inline="always", error_model="numpy")
def logarithm(x):
    """Natural logarithm of a positive normal number.

    x = 2^e m with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh(s), s = (m-1)/(m+1),
    |s| < 0.1716: the terms left out of the series are below 1e-13.
    """
    bits = np.float64(x).view(np.uint64)  # own logarithm: libm differs between machines
    exponent = whole_float(bits >> np.uint64(52)) - BIAS
    mantissa = np.uint64((bits & MANTISSA) | ONE_BITS).view(np.float64)
    high = mantissa > SQRT_2  # mantissa within √½..√2: the series converges fast
    mantissa = mantissa * 0.5 if high else mantissa
    exponent = exponent + 1.0 if high else exponent
    s = (mantissa - 1.0) / (mantissa + 1.0)  # ln m = 2 artanh s
    z = s * s
    series = 1 / 15
    series = series * z + 1 / 13
    series = series * z + 1 / 11
    series = series * z + 1 / 9
    series = series * z + 1 / 7
    series = series * z + 1 / 5
    series = series * z + 1 / 3
    return exponent * LN_2 + 2.0 * s * (1.0 + z * series)


@njit(cache=True, inline="always", error_model="numpy")
def exponential(x):
    """Exponential of a number between -700 and 700, good to 3e-15 of it.

    x = n ln 2 + r with |r| < 0.347; Taylor to r^12 leaves 2e-16.
    """
    whole = x * (1.0 / LN_2) + ROUNDING
    n = whole - ROUNDING
    r = (x - n * LN_2_HIGH) - n * LN_2_LOW
    series = 1 / 479001600  # 12!
    series = series * r + 1 / 39916800
    series = series * r + 1 / 3628800
    series = series * r + 1 / 362880
    series = series * r + 1 / 40320
    series = series * r + 1 / 5040
    series = series * r + 1 / 720
    series = series * r + 1 / 120
    series = series * r + 1 / 24
    series = series * r + 1 / 6
    series = series * r + 0.5
    series = series * r + 1.0
    # n into the exponent's bits: those above it are shifted out
    power = (np.float64(whole).view(np.uint64) << np.uint64(52)) + ONE_BITS
    return (series * r + 1.0) * np.uint64(power).view(np.float64)
