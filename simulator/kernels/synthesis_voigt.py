"""The Voigt function for line profiles."""

import math

import numpy as np
from numba import njit

__all__ = ["add_voigt", "voigt"]

INV_SQRT_PI = 1.0 / math.sqrt(math.pi)
FAR, NEAR = 15.0, 5.5  # |x| + a from which two poles, and four, are enough
MOST_DAMPING = 0.15  # up to which Harris's series in a is taken
PER_WIDTH = 32  # cells of its table per Doppler width


def _dawson(x: float) -> float:
    """Dawson's integral by the sum of Rybicki (1989), exact with steps of 0.2."""
    terms = [math.exp(-((x - 0.2 * n) ** 2)) / n for n in range(-69, 70, 2)]
    return INV_SQRT_PI * math.fsum(terms)


def _harris_table() -> np.ndarray:
    """Cubic pieces of exp(-x²) and Harris's H1 and H3 on cells of 1/32, shape (n_cell, 12).

    H(a, x) = exp(-x²) (1 + a²(1 - 2x²) + a⁴(1/2 - 2x² + 2x⁴/3)) + a H1(x) + a³ H3(x) (Harris 1948,
    ApJ 108, 112), with H1 and H3 by Dawson's integral; truncated, 5e-5 of H at a = 0.15.
    """
    edges = np.arange(int(NEAR * PER_WIDTH) + 2) / PER_WIDTH
    dawson = np.array([_dawson(x) for x in edges])
    slope = 1.0 - 2.0 * edges * dawson  # of Dawson's integral
    # each function and its derivative
    h1 = -2.0 * slope
    d1 = 4.0 * (dawson + edges * slope)
    h3 = -4.0 / 3.0 * (1.0 - edges**2 - (3.0 - 2.0 * edges**2) * edges * dawson)
    d3 = (
        4.0
        / 3.0
        * (2.0 * edges + (3.0 - 6.0 * edges**2) * dawson + (3.0 - 2.0 * edges**2) * edges * slope)
    )
    h0 = math.sqrt(math.pi) * np.array([math.exp(-x * x) for x in edges])
    pieces = []
    for value, derivative in ((h0, -2.0 * edges * h0), (h1, d1), (h3, d3)):
        left, rise, rate = value[:-1], np.diff(value), derivative / PER_WIDTH
        square = 3.0 * rise - 2.0 * rate[:-1] - rate[1:]
        pieces += [left, rate[:-1], square, rate[:-1] + rate[1:] - 2.0 * rise]
    return INV_SQRT_PI * np.ascontiguousarray(np.array(pieces).T)


HARRIS = _harris_table()


@njit(cache=True, inline="always")
def voigt(a, x):
    """Voigt function H(a, x), the real part of the Faddeeva function.

    Rational approximations of Humlicek (1982, JQSRT 27, 437), relative error below 1.1e-4 for
    a > 0 wherever the profile matters; H(0, 0) = 1 and the integral over x is sqrt(pi).

    Parameters
    ----------
    a : float64
        Damping over Doppler width, 0 < a < 100.
    x : float64
        Distance from the line centre in Doppler widths.

    Returns
    -------
    float64
    """
    x = abs(x)
    s = x + a  # regions of Humlíček (1982, JQSRT 27, 437)
    y2 = x * x
    if s > 15.0:  # region I: two poles
        real = a * a - y2 + 0.5
        return INV_SQRT_PI * a * (a * a + y2 + 0.5) / (real * real + 4.0 * a * a * y2)
    t = complex(a, -x)  # w(z) with z = x + ia is a function of a - ix
    u = t * t
    if s > 5.5:  # region II
        return (t * (1.410474 + u * 0.5641896) / (0.75 + u * (3.0 + u))).real
    if a > 0.195 * x - 0.176:  # region III
        top = 16.4955 + t * (20.20933 + t * (11.96482 + t * (3.778987 + t * 0.5642236)))
        bottom = 16.4955 + t * (38.82363 + t * (39.27121 + t * (21.69274 + t * (6.699398 + t))))
        return (top / bottom).real
    top = t * (
        36183.31
        - u
        * (
            3321.9905
            - u * (1540.787 - u * (219.0313 - u * (35.76683 - u * (1.320522 - u * 0.56419))))
        )
    )
    bottom = 32066.6 - u * (
        24322.84
        - u * (9022.228 - u * (2186.181 - u * (364.2191 - u * (61.57037 - u * (1.841439 - u)))))
    )
    # region IV: near the real axis the Gaussian is split off
    core = math.exp(a * a - y2) * math.cos(2.0 * a * x)
    return core - (top / bottom).real


@njit(cache=True)
def add_voigt(values, offset, strength, a, per_width):
    """Add ``strength`` times a Voigt profile to ``values``, within 1.5e-4 of it.

    Parameters
    ----------
    values : float64 array, shape (n,)
        At even steps; the first lies ``offset`` steps from the line's centre.
    strength : float64
    a : float64
        Damping over Doppler width.
    per_width : float64
        Doppler widths per step.
    """
    n = values.size
    bounds = np.empty(4, np.int64)  # where the two-pole, four-pole and inner parts meet
    for side, reach in enumerate((FAR, NEAR)):
        half = max(reach - a, 0.0) / per_width
        bounds[side] = min(max(math.ceil(-half - offset), 0), n)
        bounds[3 - side] = min(max(math.floor(half - offset) + 1, bounds[side]), n)
    bounds[2] = max(bounds[2], bounds[1])
    add_two_poles(values[: bounds[0]], offset, strength, a, per_width)
    add_four_poles(values[bounds[0] : bounds[1]], offset + bounds[0], strength, a, per_width)
    inner = values[bounds[1] : bounds[2]]
    if a <= MOST_DAMPING:
        add_harris(inner, offset + bounds[1], strength, a, per_width)
    else:
        for j in range(inner.size):
            inner[j] += strength * voigt(a, (offset + bounds[1] + j) * per_width)
    add_four_poles(values[bounds[2] : bounds[3]], offset + bounds[2], strength, a, per_width)
    add_two_poles(values[bounds[3] :], offset + bounds[3], strength, a, per_width)


@njit(cache=True)
def add_two_poles(values, offset, strength, a, per_width):
    """Region I of Humlicek, as in `voigt`."""
    scale, square = strength * INV_SQRT_PI * a, a * a
    for i in range(values.size):
        x = (offset + i) * per_width
        y2 = x * x
        real = square - y2 + 0.5
        values[i] += scale * (square + y2 + 0.5) / (real * real + 4.0 * square * y2)


@njit(cache=True)
def add_four_poles(values, offset, strength, a, per_width):
    """Region II of Humlicek in real arithmetic: t (c₀ + c₁u)/(0.75 + u(3 + u)), u = t²."""
    for i in range(values.size):
        x = (offset + i) * per_width
        u_real, u_imag = a * a - x * x, -2.0 * a * x
        p_real, p_imag = 1.410474 + 0.5641896 * u_real, 0.5641896 * u_imag
        top_real, top_imag = a * p_real + x * p_imag, a * p_imag - x * p_real
        low_real = 0.75 + u_real * (3.0 + u_real) - u_imag * u_imag
        low_imag = u_imag * (3.0 + 2.0 * u_real)
        values[i] += (
            strength
            * (top_real * low_real + top_imag * low_imag)
            / (low_real * low_real + low_imag * low_imag)
        )


@njit(cache=True)
def add_harris(values, offset, strength, a, per_width):
    """Harris's series in a, for |x| < `NEAR` and a <= `MOST_DAMPING`."""
    a2 = a * a
    linear, cubic = strength * a, strength * a * a2
    last = HARRIS.shape[0] - 1
    for i in range(values.size):
        x = abs(offset + i) * per_width
        place = x * PER_WIDTH
        cell = min(int(place), last)
        t = place - cell
        c = HARRIS[cell]
        h0 = c[0] + t * (c[1] + t * (c[2] + t * c[3]))
        h1 = c[4] + t * (c[5] + t * (c[6] + t * c[7]))
        h3 = c[8] + t * (c[9] + t * (c[10] + t * c[11]))
        x2 = x * x
        even = 1.0 + a2 * (1.0 - 2.0 * x2 + a2 * (0.5 - x2 * (2.0 - x2 / 1.5)))
        values[i] += strength * h0 * even + linear * h1 + cubic * h3
