"""Sums of truncated normals: moments, probabilities, quantiles. Plain arrays; no objects, no I/O.

A normal of unit variance, cut off at ``low`` and ``low + scale``, is the place u of a label by
z = low + scale u. Seen from the end nearer to the mode, it starts ``a`` above the mode; tails are
taken over exp(-a²/2) where a > 0, so that none is too small for a number.
"""

import math

import numpy as np
from numba import njit, prange

from starsmith.learners.compressed.tails import truncated_place, upper_tail

__all__ = [
    "fill_cumulative",
    "fill_limits",
    "fill_moments",
    "fill_normal_quantiles",
    "fill_quantiles",
]

N_STEP = 60  # at most: bisections reach 1e-18
NEAR, CLOSE = 1e-5, 1e-8  # of a probability
LAST = 4e-3  # of a probability: from here one of Halley's steps ends near enough
BENT = 2.0  # Halley's step is at most so many times Newton's, or so many times less
FAR = 30.0  # σ beyond which a truncated normal is an exponential
ROOT_HALF, ROOT_TWO_PI = math.sqrt(0.5), math.sqrt(2.0 * math.pi)
START, STEP, TOP, TAIL, SHARE, WHOLE = range(6)  # what is known of each truncated normal
LOOSE = {"contract", "reassoc", "nsz"}  # sums in any order: side by side in vector registers


@njit(cache=True)
def fill_limits(low, mean, factor, uniform):
    """Lower limit of each truncated normal of a chain, at points of the labels before it.

    Parameters
    ----------
    low : float64 array, shape (n_component, n_node, n_label)
        Overwritten.
    mean : float64 array, shape (n_component, n_label)
    factor : float64 array, shape (n_component, n_label, n_label)
        Lower triangular P; see `truncated`.
    uniform : float64 array, shape (n_node, n_label - 1)
        Probability of each point.
    """
    n_component, n_node, n_label = low.shape
    apart = np.empty(n_label)
    for c in range(n_component):
        for j in range(n_node):
            for k in range(n_label):
                total = -factor[c, k, k] * mean[c, k]
                for m in range(k):
                    total += factor[c, k, m] * apart[m]
                low[c, j, k] = total
                if k < n_label - 1:
                    u = truncated_place(total, factor[c, k, k], uniform[j, k])
                    apart[k] = u - mean[c, k]


@njit(cache=True, fastmath=LOOSE)
def _prepare(low, scale, share, k):
    """Truncated normals of label k, float64 (6, n_component * n_node).

    One that is seen from its upper end has a negative step.
    """
    n_node = 1 if k == 0 else low.shape[1]  # the first label depends on no other
    out = np.empty((6, low.shape[0] * n_node))
    i = 0
    for c in range(low.shape[0]):
        wide, part = scale[c, k], share[c] / n_node
        for j in range(n_node):
            turned = 2.0 * low[c, j, k] + wide < 0.0
            a = -low[c, j, k] - wide if turned else low[c, j, k]
            top, z = max(a, 0.0), a + wide
            tail = upper_tail(a, math.exp(-0.5 * (a - top) * (a + top)))
            weight = part / (tail - upper_tail(z, math.exp(-0.5 * (z - top) * (z + top))))
            out[START, i], out[STEP, i] = (z, -wide) if turned else (a, wide)
            out[TOP, i], out[TAIL, i] = top, tail
            out[SHARE, i], out[WHOLE, i] = (-weight, part) if turned else (weight, 0.0)
            i += 1
    return out


@njit(cache=True, fastmath=LOOSE)
def _sum(u, parts):
    """Probability below u, its density, and the slope of that: all parts added up."""
    start, step, top = parts[START], parts[STEP], parts[TOP]
    tail, share, whole = parts[TAIL], parts[SHARE], parts[WHOLE]
    total, slope, bend = 0.0, 0.0, 0.0
    for i in range(start.size):
        z = start[i] + step[i] * u
        height = math.exp(-0.5 * (z - top[i]) * (z + top[i]))
        total += whole[i] + share[i] * (tail[i] - upper_tail(z, height))
        density = share[i] * step[i] * height
        slope += density
        bend -= density * z * step[i]
    return total, slope / ROOT_TWO_PI, bend / ROOT_TWO_PI


@njit(parallel=True, cache=True)
def fill_cumulative(out, places, edges, share, low, scale):
    """Probability of every label below its place.

    Parameters
    ----------
    out, places : float64 arrays, shape (n_spec, n_label)
        The first is overwritten; places are 0 to 1.
    edges : int64 array, shape (n_spec + 1,)
        Where the components of each spectrum begin.
    share : float64 array, shape (n_component,)
        Adds up to 1 for each spectrum.
    low : float64 array, shape (n_component, n_node, n_label)
        Lower limit of each truncated normal, at each point of the labels before it.
    scale : float64 array, shape (n_component, n_label)
        Upper limit less lower.
    """
    for i in prange(len(out)):
        own = slice(edges[i], edges[i + 1])
        for k in range(out.shape[1]):
            out[i, k] = _sum(places[i, k], _prepare(low[own], scale[own], share[own], k))[0]


@njit(parallel=True, cache=True)
def fill_moments(mean, square, edges, share, low, scale):
    """Mean place of every label, and mean square.

    Parameters
    ----------
    mean, square : float64 arrays, shape (n_spec, n_label)
        Overwritten.
    edges, share, low, scale : arrays
        As in `fill_cumulative`.
    """
    for i in prange(len(mean)):
        for k in range(mean.shape[1]):
            n_node = 1 if k == 0 else low.shape[1]
            mean[i, k], square[i, k] = 0.0, 0.0
            for c in range(edges[i], edges[i + 1]):
                for j in range(n_node):
                    turned = 2.0 * low[c, j, k] + scale[c, k] < 0.0
                    a = -low[c, j, k] - scale[c, k] if turned else low[c, j, k]
                    first, second = _moments(a, scale[c, k])
                    if turned:
                        first, second = 1.0 - first, 1.0 - 2.0 * first + second
                    mean[i, k] += share[c] / n_node * first
                    square[i, k] += share[c] / n_node * second


@njit(cache=True)
def _moments(a, scale):
    """Mean and mean square of the distance from the near end, over ``scale``."""
    if a > FAR:
        x = a * scale
        end = math.exp(-x) / -math.expm1(-x)
        first = (1.0 - x * end) / a
        second = (2.0 - (x * x + 2.0 * x) * end) / (a * a)
    else:
        mass = 0.5 * (math.erfc(ROOT_HALF * a) - math.erfc(ROOT_HALF * (a + scale)))
        left = math.exp(-0.5 * a * a) / (ROOT_TWO_PI * mass)
        right = math.exp(-0.5 * (a + scale) ** 2) / (ROOT_TWO_PI * mass)
        first = left - right - a  # E[t], z = a + t
        second = 1.0 - a * first - scale * right  # E[t²]
    first = min(max(first / scale, 0.0), 1.0)
    return first, min(max(second / (scale * scale), first * first), first)


@njit(parallel=True, cache=True)
def fill_quantiles(out, levels, edges, share, low, scale):
    """Places below which these probabilities lie: Halley's steps, bisection where they leave.

    Parameters
    ----------
    out : float64 array, shape (n_spec, n_level, n_label)
        First guesses; overwritten.
    levels : float64 array, shape (n_level,)
    edges, share, low, scale : arrays
        As in `fill_cumulative`.
    """
    for i in prange(len(out)):
        own = slice(edges[i], edges[i + 1])
        for k in range(out.shape[2]):
            parts = _prepare(low[own], scale[own], share[own], k)
            for m in range(len(levels)):
                out[i, m, k] = _quantile(out[i, m, k], levels[m], parts, 0.0, 1.0, NEAR, LAST)


@njit(parallel=True, cache=True)
def fill_normal_quantiles(out, levels, share, mean, sigma, reach):
    """Values below which these probabilities lie, of mixtures of normals that are not cut off.

    Parameters
    ----------
    out : float64 array, shape (n_spec, n_level, n_label)
        First guesses, inside -reach..reach; overwritten.
    levels : float64 array, shape (n_level,)
    share : float64 array, shape (n_spec, n_component)
        Adds up to 1 for each spectrum.
    mean, sigma : float64 arrays, shape (n_spec, n_component, n_label)
    reach : float
        Largest value either way.
    """
    for i in prange(len(out)):
        parts = np.zeros((6, share.shape[1]))
        parts[SHARE], parts[TAIL] = share[i], 1.0
        for k in range(out.shape[2]):
            parts[STEP] = 1.0 / sigma[i, :, k]
            parts[START] = -mean[i, :, k] * parts[STEP]
            for m in range(len(levels)):
                guess, level = out[i, m, k], levels[m]
                out[i, m, k] = _quantile(guess, level, parts, -reach, reach, CLOSE, 0.0)


@njit(cache=True)
def _quantile(u, level, parts, bottom, top, near, last):
    """Value between two others below which a probability lies, from a guess.

    It ends at one that is ``near``, or one of Halley's steps from one within ``last``.
    """
    for _ in range(N_STEP):
        found, slope, bend = _sum(u, parts)
        apart = found - level
        if abs(apart) < near:
            break
        if apart > 0.0:
            top = u
        else:
            bottom = u
        step = apart / max(slope, 1e-300)
        bent = 1.0 - 0.5 * step * bend / max(slope, 1e-300)
        u -= step / min(max(bent, 1.0 / BENT), BENT)
        if not bottom < u < top:
            u = 0.5 * (bottom + top)
        elif abs(apart) < last:
            break
    return u
