"""Sums of truncated normals: moments, probabilities, quantiles. Plain arrays; no objects, no I/O.

A normal of unit variance, cut off at ``low`` and ``low + scale``, is the place u of a label by
z = low + scale u. Seen from the end nearer to the mode, it starts ``a`` above the mode.
"""

import math

import numpy as np
from numba import njit, prange

__all__ = ["fill_cumulative", "fill_moments", "fill_quantiles"]

N_STEP = 60  # at most: bisections reach 1e-18
NEAR = 1e-5  # of a probability
LAST = 2e-3  # of a probability: from here one of Newton's steps ends near enough
FAR = 30.0  # σ beyond which a truncated normal is an exponential
ROOT_HALF, ROOT_TWO_PI = math.sqrt(0.5), math.sqrt(2.0 * math.pi)
TURNED, START, BELOW, MASS = range(4)  # what is known of each truncated normal


@njit(cache=True)
def _prepare(low, scale, share, k):
    """Truncated normals of label k, float64 (n_component, n_node, 4)."""
    n_node = 1 if k == 0 else low.shape[1]  # the first label depends on no other
    out = np.empty((low.shape[0], n_node, 4))
    for c in range(low.shape[0]):
        for j in range(n_node):
            turned = 2.0 * low[c, j, k] + scale[c, k] < 0.0
            a = -low[c, j, k] - scale[c, k] if turned else low[c, j, k]
            out[c, j, TURNED], out[c, j, START] = turned, a
            if a > FAR:
                out[c, j, BELOW] = 1.0
                out[c, j, MASS] = -math.expm1(-a * scale[c, k])
            else:
                out[c, j, BELOW] = 0.5 * math.erfc(ROOT_HALF * a)
                beyond = 0.5 * math.erfc(ROOT_HALF * (a + scale[c, k]))
                out[c, j, MASS] = out[c, j, BELOW] - beyond
    return out


@njit(cache=True)
def _sum(u, parts, scale, share, k):
    """Probability below u, and density, of label k: components, and points of each, added up."""
    total, slope = 0.0, 0.0
    for c in range(parts.shape[0]):
        part, height = 0.0, 0.0
        for j in range(parts.shape[1]):
            turned, a = parts[c, j, TURNED] > 0.0, parts[c, j, START]
            t = scale[c, k] * (1.0 - u if turned else u)
            if a > FAR:
                above = math.exp(-a * t)
                density = a * above / parts[c, j, MASS]
            else:
                above = 0.5 * math.erfc(ROOT_HALF * (a + t))
                density = math.exp(-0.5 * (a + t) ** 2) / (ROOT_TWO_PI * parts[c, j, MASS])
            inside = (parts[c, j, BELOW] - above) / parts[c, j, MASS]
            part += 1.0 - inside if turned else inside
            height += density
        total += share[c] * part / parts.shape[1]
        slope += share[c] * scale[c, k] * height / parts.shape[1]
    return total, slope


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
            parts = _prepare(low[own], scale[own], share[own], k)
            out[i, k] = _sum(places[i, k], parts, scale[own], share[own], k)[0]


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
        own = slice(edges[i], edges[i + 1])
        for k in range(mean.shape[1]):
            parts = _prepare(low[own], scale[own], share[own], k)
            mean[i, k], square[i, k] = 0.0, 0.0
            for c in range(parts.shape[0]):
                part = share[edges[i] + c] / parts.shape[1]
                wide = scale[edges[i] + c, k]
                for j in range(parts.shape[1]):
                    first, second = _moments(parts[c, j], wide)
                    if parts[c, j, TURNED] > 0.0:
                        first, second = 1.0 - first, 1.0 - 2.0 * first + second
                    mean[i, k] += part * first
                    square[i, k] += part * second


@njit(cache=True)
def _moments(part, scale):
    """Mean and mean square of the distance from the near end, over ``scale``."""
    a = part[START]
    if a > FAR:
        x = a * scale
        end = math.exp(-x) / part[MASS]
        first = (1.0 - x * end) / a
        second = (2.0 - (x * x + 2.0 * x) * end) / (a * a)
    else:
        left = math.exp(-0.5 * a * a) / (ROOT_TWO_PI * part[MASS])
        right = math.exp(-0.5 * (a + scale) ** 2) / (ROOT_TWO_PI * part[MASS])
        first = left - right - a  # E[t], z = a + t
        second = 1.0 - a * first - scale * right  # E[t²]
    first = min(max(first / scale, 0.0), 1.0)
    return first, min(max(second / (scale * scale), first * first), first)


@njit(parallel=True, cache=True)
def fill_quantiles(out, levels, edges, share, low, scale):
    """Places below which these probabilities lie: Newton's steps, bisection where they leave.

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
                bottom, top, u = 0.0, 1.0, out[i, m, k]
                for _ in range(N_STEP):
                    found, slope = _sum(u, parts, scale[own], share[own], k)
                    apart = found - levels[m]
                    if abs(apart) < NEAR:
                        break
                    if apart > 0.0:
                        top = u
                    else:
                        bottom = u
                    u -= apart / max(slope, 1e-300)
                    if not bottom < u < top:
                        u = 0.5 * (bottom + top)
                    elif abs(apart) < LAST:
                        break
                out[i, m, k] = u
