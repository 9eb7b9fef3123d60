"""The Voigt function for line profiles."""

import math

import numpy as np
from numba import njit

__all__ = ["add_voigt", "voigt"]

INV_SQRT_PI = 1.0 / math.sqrt(math.pi)
FAR, NEAR = 15.0, 5.5  # |x| + a from which two poles, and four, are enough
MOST_DAMPING = 0.165  # up to which Harris's series in a is taken
PER_WIDTH = 32  # cells of its table per Doppler width
# Hui, Armstrong & Wray (1978, JQSRT 19, 509), p = 6: numerator and denominator, lowest power first
HUI_TOP = (
    122.607931777104326,
    214.382388694706425,
    181.928533092181549,
    93.155580458138441,
    30.180142196210589,
    5.912626209773153,
    0.564189583562615,
)
HUI_LOW = (
    122.607931773875350,
    352.730625110963558,
    457.334478783897737,
    348.703917719495792,
    170.354001821091472,
    53.992906912940207,
    10.479857114260399,
)


def _dawson(x: float) -> float:
    """Dawson's integral by the sum of Rybicki (1989), exact with steps of 0.2."""
    terms = [math.exp(-((x - 0.2 * n) ** 2)) / n for n in range(-69, 70, 2)]
    return INV_SQRT_PI * math.fsum(terms)


def _harris_table() -> np.ndarray:
    """Cubic pieces of exp(-x²) and Harris's H1 on cells of 1/32, shape (n_cell, 8).

    H(a, x) = exp(-x²) (1 + a²(1 - 2x²) + a⁴(1/2 - 2x² + 2x⁴/3)) + a H1(x) + a³ H3(x) (Harris 1948,
    ApJ 108, 112), with H1 by Dawson's integral; truncated, 5e-5 of H at a = 0.15.
    """
    edges = np.arange(int(NEAR * PER_WIDTH) + 2) / PER_WIDTH
    dawson = np.array([_dawson(x) for x in edges])
    slope = 1.0 - 2.0 * edges * dawson  # of Dawson's integral
    # each function and its derivative
    h1 = -2.0 * INV_SQRT_PI * slope
    d1 = 4.0 * INV_SQRT_PI * (dawson + edges * slope)
    h0 = np.array([math.exp(-x * x) for x in edges])
    pieces = []
    for value, derivative in ((h0, -2.0 * edges * h0), (h1, d1)):
        left, rise, rate = value[:-1], np.diff(value), derivative / PER_WIDTH
        square = 3.0 * rise - 2.0 * rate[:-1] - rate[1:]
        pieces += [left, rate[:-1], square, rate[:-1] + rate[1:] - 2.0 * rise]
    return np.ascontiguousarray(np.array(pieces).T)


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


@njit(cache=True, error_model="numpy")
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
    near = max(NEAR - a, 0.0) / per_width
    if -near <= offset and offset + n - 1.0 <= near:
        add_inner(values, offset, strength, a, per_width)
        return
    # where the two-pole, four-pole and inner parts meet
    far = max(FAR - a, 0.0) / per_width
    first = min(max(math.ceil(-far - offset), 0), n)
    last = min(max(math.floor(far - offset) + 1, first), n)
    inner = min(max(math.ceil(-near - offset), first), last)
    outer = min(max(math.floor(near - offset) + 1, inner), last)
    add_two_poles(values[:first], offset, strength, a, per_width)
    add_four_poles(values[first:inner], offset + first, strength, a, per_width)
    add_inner(values[inner:outer], offset + inner, strength, a, per_width)
    add_four_poles(values[outer:last], offset + outer, strength, a, per_width)
    add_two_poles(values[last:], offset + last, strength, a, per_width)


@njit(cache=True, error_model="numpy")
def add_inner(values, offset, strength, a, per_width):
    """Profile near the centre, |x| + a < `NEAR`."""
    if a <= MOST_DAMPING:
        add_harris(values, offset, strength, a, per_width)
    else:
        add_seven_poles(values, offset, strength, a, per_width)


@njit(cache=True, error_model="numpy")
def add_two_poles(values, offset, strength, a, per_width):
    """Region I of Humlicek, as in `voigt`."""
    scale, square = strength * INV_SQRT_PI * a, a * a
    for i in range(values.size):
        x = (offset + i) * per_width
        y2 = x * x
        real = square - y2 + 0.5
        values[i] += scale * (square + y2 + 0.5) / (real * real + 4.0 * square * y2)


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def add_seven_poles(values, offset, strength, a, per_width):
    """Rational form of Hui, Armstrong & Wray in t = a - ix, within 1.2e-4 for a > `MOST_DAMPING`.

    Polynomials of real coefficients in real arithmetic: b_k = c_k + 2a b_k+1 - |t|² b_k+2.
    """
    r = 2.0 * a
    for i in range(values.size):
        x = (offset + i) * per_width
        s = a * a + x * x
        p5 = HUI_TOP[5] + r * HUI_TOP[6]
        p4 = HUI_TOP[4] + r * p5 - s * HUI_TOP[6]
        p3 = HUI_TOP[3] + r * p4 - s * p5
        p2 = HUI_TOP[2] + r * p3 - s * p4
        p1 = HUI_TOP[1] + r * p2 - s * p3
        q6 = HUI_LOW[6] + r
        q5 = HUI_LOW[5] + r * q6 - s
        q4 = HUI_LOW[4] + r * q5 - s * q6
        q3 = HUI_LOW[3] + r * q4 - s * q5
        q2 = HUI_LOW[2] + r * q3 - s * q4
        q1 = HUI_LOW[1] + r * q2 - s * q3
        top, low = HUI_TOP[0] + a * p1 - s * p2, HUI_LOW[0] + a * q1 - s * q2
        top_imag, low_imag = x * p1, x * q1
        values[i] += (
            strength * (top * low + top_imag * low_imag) / (low * low + low_imag * low_imag)
        )


@njit(cache=True, error_model="numpy")
def add_harris(values, offset, strength, a, per_width):
    """Harris's series in a, for |x| < `NEAR` and a <= `MOST_DAMPING`."""
    a2 = a * a
    linear, cubic = strength * a, strength * a * a2 / 1.5
    last = HARRIS.shape[0] - 1
    for i in range(values.size):
        x = abs(offset + i) * per_width
        place = x * PER_WIDTH
        cell = min(int(place), last)
        t = place - cell
        c = HARRIS[cell]
        h0 = c[0] + t * (c[1] + t * (c[2] + t * c[3]))
        h1 = c[4] + t * (c[5] + t * (c[6] + t * c[7]))
        x2 = x * x
        even = 1.0 + a2 * (1.0 - 2.0 * x2 + a2 * (0.5 - x2 * (2.0 - x2 / 1.5)))
        h3 = INV_SQRT_PI + h1 * (1.5 - x2)  # 3/2 of it: both by the same integral of Dawson
        values[i] += strength * h0 * even + linear * h1 + cubic * h3
