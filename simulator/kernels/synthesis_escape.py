"""The emergent flux of layers of given opacity and source function."""

import math

import numpy as np
from numba import njit

__all__ = ["E4_MAX", "exponential_integral", "flux_from_opacity"]

EULER = 0.5772156649015329
E4_MAX = 14.0  # beyond this optical depth nothing escapes: E4(14) = 5e-8
E4_PER_UNIT = 32  # table cells per unit optical depth; cubic Hermite, error below 2e-7


def _expn(n: int, x: float) -> float:
    """Exponential integral E_n(x), n = 3 or 4, x >= 0 (Abramowitz & Stegun 5.1.12 and 5.1.22)."""
    if x == 0.0:
        return 1.0 / (n - 1)
    if x > 1.0:  # continued fraction, from far down upwards
        tail = 0.0
        for i in range(200, 0, -1):
            tail = i * (n - 1 + i) / (x + n + 2 * i - tail)
        return math.exp(-x) / (x + n - tail)
    digamma = sum(1.0 / i for i in range(1, n)) - EULER
    terms = [(-x) ** m / ((m - n + 1) * math.factorial(m)) for m in range(30) if m != n - 1]
    log_part = (-x) ** (n - 1) / math.factorial(n - 1) * (digamma - math.log(x))
    return log_part - math.fsum(terms)


def _e4_table() -> np.ndarray:
    """Cubic Hermite pieces of E4(x) on cells of 1/32, shape (n_cell + 1, 4), lowest power first.

    Value and slope (-E3) are exact at the cell edges, so differences over a small step keep their
    relative accuracy. The last row is zero, for all that lies beyond.
    """
    edges = np.arange(int(E4_MAX * E4_PER_UNIT) + 1) / E4_PER_UNIT  # cell borders in optical depth
    value = np.array([_expn(4, x) for x in edges])
    slope = -np.array([_expn(3, x) for x in edges]) / E4_PER_UNIT  # dE4/dx = -E3
    left, right = value[:-1], value[1:]
    rise = right - left
    # cubic Hermite: value and slope are right at both ends
    square = 3.0 * rise - 2.0 * slope[:-1] - slope[1:]
    cube = slope[:-1] + slope[1:] - 2.0 * rise
    pieces = np.array([left, slope[:-1], square, cube]).T
    return np.ascontiguousarray(np.concatenate([pieces, np.zeros((1, 4))]))


E4 = _e4_table()
END = E4.shape[0] - 1.0  # place of the last row


@njit(cache=True, inline="always")
def exponential_integral(x):
    """E4(x) from its table of cubic pieces; zero beyond the table."""
    return integral_at(x * E4_PER_UNIT)


@njit(cache=True, inline="always")
def integral_at(place):
    """E4 at an optical depth in cells of the table."""
    inside = min(place, END)
    cell = int(inside)
    t = inside - cell
    c = E4[cell]
    return c[0] + t * (c[1] + t * (c[2] + t * c[3]))


@njit(cache=True, error_model="numpy")
def flux_from_opacity(flux, tau, opacity, source):
    """Exact flux of a source function linear in optical depth between the depth points.

    F = 2π [S(0)/2 + Σ (dS/dτ) (E4(τ_k) - E4(τ_k+1))] (Hubeny & Mihalas 2014, ch. 11, integrated by
    parts), the source being constant above the first depth.

    Parameters
    ----------
    flux : float64 array, shape (n,)
        Overwritten with the flux.
    tau : float64 array, shape (n_depth,)
        Standard optical depth.
    opacity, source : float64 array, shape (n_depth, n)
        Opacity over the standard one; source function.
    """
    place = np.empty(flux.size)
    layer = add_thin_layers(flux, place, tau, opacity, source)
    add_thick_layers(flux, place, tau, opacity, source, layer)
    for j in range(flux.size):
        flux[j] *= 2.0 * math.pi  # F = 2π ∫ S E2 dτ


@njit(cache=True, error_model="numpy")
def add_thin_layers(total, place, tau, opacity, source):
    """Start the sum with the layers that lie within the table's first cell at all wavelengths.

    Their differences of E4 need no table: (E4(a) - E4(b))/(b - a) is a parabola in a and b.

    Parameters
    ----------
    total : float64 array, shape (n,)
        Overwritten with S(0)/2 + Σ of the layers.
    place : float64 array, shape (n,)
        Overwritten with the optical depth reached, in cells of the table.
    tau, opacity, source : float64 array
        As of `flux_from_opacity`.

    Returns
    -------
    layer : int
        The first depth that is not in the sum.
    """
    linear, square, cube = -E4[0, 1] * E4_PER_UNIT, -E4[0, 2] * E4_PER_UNIT, -E4[0, 3] * E4_PER_UNIT
    for j in range(total.size):
        place[j] = opacity[0, j] * (tau[0] * E4_PER_UNIT)  # above, opacity is that of the first
        total[j] = 0.5 * source[0, j]  # ∫ S E2 dτ by parts: S(0)/2 + Σ dS/dτ ΔE4
    for k in range(1, tau.size):
        half_step = 0.5 * E4_PER_UNIT * (tau[k] - tau[k - 1])  # trapezoid in τ
        upper, lower = opacity[k - 1], opacity[k]
        beyond = 0
        for j in range(total.size):
            beyond += place[j] + half_step * (upper[j] + lower[j]) >= 1.0
        if beyond > 0:
            return k
        left, right = source[k - 1], source[k]
        for j in range(total.size):
            a = place[j]
            b = a + half_step * (upper[j] + lower[j])
            slope = linear + square * (a + b) + cube * (a * a + b * (a + b))
            total[j] += (right[j] - left[j]) * slope
            place[j] = b
    return tau.size


@njit(cache=True, error_model="numpy")
def add_thick_layers(total, place, tau, opacity, source, layer):
    """Add all layers from ``layer`` down to where nothing escapes; as `add_thin_layers`."""
    above = np.empty(total.size)
    for j in range(total.size):
        above[j] = integral_at(place[j])
    for k in range(layer, tau.size):
        half_step = 0.5 * E4_PER_UNIT * (tau[k] - tau[k - 1])
        upper, lower = opacity[k - 1], opacity[k]
        left, right = source[k - 1], source[k]
        seen = 0
        for j in range(total.size):
            # source is linear in optical depth between layers
            step = half_step * (upper[j] + lower[j])
            place[j] += step
            below = integral_at(place[j])
            total[j] += (right[j] - left[j]) / step * (above[j] - below) * E4_PER_UNIT
            above[j] = below
            seen += place[j] < END
        if seen == 0:
            return
