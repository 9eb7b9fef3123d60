"""Tail of the normal distribution, fast: numbers in, numbers out.

Mills' ratio times √(2π) is erfcx: 1 - Φ(z) = M(z) exp(-z²/2), M(z) = erfcx(z/√2) / 2. With
t = (z - 4.5) / (z + 4.5), (z + 4.5) M is a polynomial in t (the map of Shepherd & Laframboise 1981;
here a Chebyshev fit of degree 10), to 3e-8 of itself at any z of 0 or more.
"""

import math

from numba import njit

__all__ = ["mills", "truncated_place", "upper_tail"]

MIDDLE = 4.5
C_0, C_1, C_2, C_3 = 0.76323053344304, -0.6402578548047753, 0.4464521911121566, -0.2531398589778941
C_4, C_5, C_6 = 0.11138646462566391, -0.033882629521433165, 0.004206676173761123
C_7, C_8 = 0.0017764000774807703, -0.0008836169484023841
C_9, C_10 = -2.4908931569603395e-05, 7.889599095964961e-05
ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
FAR = 4.0  # σ beyond which tails are compared by their logarithms


@njit(cache=True, inline="always")
def mills(z):
    """M of a number of 0 or more."""
    y = 1.0 / (z + MIDDLE)
    t = (z - MIDDLE) * y
    s = t * t
    low = (C_0 + C_1 * t) + (C_2 + C_3 * t) * s
    middle = (C_4 + C_5 * t) + (C_6 + C_7 * t) * s
    return y * (low + s * s * (middle + s * s * ((C_8 + C_9 * t) + C_10 * s)))


@njit(cache=True, inline="always")
def upper_tail(z, height):
    """1 - Φ(z), times the factor by which ``height`` is larger than exp(-z²/2).

    The factor is 1 for a negative z.
    """
    near = mills(abs(z)) * height
    return 1.0 - near if z < 0.0 else near


@njit(cache=True)
def truncated_place(low, scale, p):
    """Place, 0..1, of a normal between ``low`` and ``low + scale``.

    It has probability p between it and the end farther from the mode.
    """
    turned = 2.0 * low + scale < 0.0
    a = -low - scale if turned else low  # the nearer end
    place = (_far(a, scale, 1.0 - p) if a > FAR else _near(a, scale, 1.0 - p)) / scale
    place = min(max(place, 0.0), 1.0)
    return 1.0 - place if turned else place


@njit(cache=True)
def _near(a, scale, p):
    """Distance from a by Hastings' formula (Abramowitz & Stegun 26.2.23) and a Newton step."""
    z = a + scale
    start, last = math.exp(-0.5 * a * a), math.exp(-0.5 * z * z)
    mass = upper_tail(a, start) - upper_tail(z, last)
    tail = upper_tail(a, start) - p * mass
    sign = 1.0
    if tail > 0.5:  # a < 0
        tail, sign = mills(-a) * start + p * mass, -1.0
    tail = max(tail, 1e-300)
    t = math.sqrt(-2.0 * math.log(tail))
    above = 2.515517 + t * (0.802853 + t * 0.010328)
    z = t - above / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    height = math.exp(-0.5 * z * z)
    z += (upper_tail(z, height) - tail) * ROOT_TWO_PI / height
    return sign * z - a


@njit(cache=True)
def _far(a, scale, p):
    """Distance from a by Newton's steps for the logarithm of the tail."""
    z = a + scale
    start = mills(a)
    last = mills(z) * math.exp(-0.5 * scale * (a + z))
    goal = math.log1p(-p * (1.0 - last / start))
    t = -2.0 * goal / (a + math.sqrt(a * a - 2.0 * goal))
    for _ in range(3):
        here = mills(a + t)
        t += (math.log(here / start) - 0.5 * t * (2.0 * a + t) - goal) * ROOT_TWO_PI * here
    return t
