"""Posterior kernel: running sums of templates weighted by how well they fit each star."""

import math

import numpy as np
from numba import njit, prange

__all__ = [
    "accumulate",
    "fill_log_marginal",
    "fill_misfit",
    "log_marginal",
    "quadratic_forms",
]

SKIP = 40.0  # a template this far below the best weighs e^-40: beyond float64 of any sum
ROOT_HALF = math.sqrt(0.5)
SIGMA_SAFE = 8.0  # that far inside a limit the normal integral is 1 to 1e-15


@njit(cache=True, inline="always")
def log_marginal(cross, square, low, high, known):
    """Log-likelihood of a template, its amplitude A integrated out or known.

    ln L = A S1 - A² S2 / 2 + const. With p(A) proportional to 1/A in ``low..high`` (a flat
    range of magnitudes) and A well measured, ln ∫ L p dA = h - ln(2h) / 2 + ln(share), where
    h = S1² / (2 S2) and share is the part of the normal N(S1/S2, 1/S2) inside the limits.

    Parameters
    ----------
    cross, square : float
        S1 = Σ flux template / variance and S2 = Σ template² / variance.
    low, high : float
        Limits of A; not used when it is known.
    known : float
        The known A, or NaN.

    Returns
    -------
    log_likelihood : float
        -inf where no A within the limits fits.
    """
    if not math.isnan(known):
        return known * (cross - 0.5 * known * square)
    if cross <= 0.0:
        return -np.inf
    best = cross / square
    half = 0.5 * cross * best
    root = math.sqrt(square)
    above = (best - low) * root
    below = (high - best) * root
    if above > SIGMA_SAFE and below > SIGMA_SAFE:
        return half - 0.5 * math.log(2.0 * half)
    # the smaller tails are subtracted, so that a star outside the limits keeps its digits
    if above < 0.0 or below < 0.0:
        near = -above if above < 0.0 else -below
        far = near + (high - low) * root
        share = 0.5 * (math.erfc(near * ROOT_HALF) - math.erfc(far * ROOT_HALF))
    else:
        share = 1.0 - 0.5 * (math.erfc(above * ROOT_HALF) + math.erfc(below * ROOT_HALF))
    if share <= 0.0:
        return -np.inf
    inside = min(max(best, low), high)
    return half - math.log(inside * root) + math.log(share)


@njit(cache=True, parallel=True)
def fill_log_marginal(log_likelihood, cross, square, amplitude):
    """Apply `log_marginal` to every star and template.

    Parameters
    ----------
    log_likelihood : float64 array, shape (n_spec, n_template)
        Overwritten.
    cross, square : float64 arrays, shape (n_spec, n_template)
    amplitude : float64 array, shape (n_spec, 3)
        low, high and known A of each star.
    """
    n_spec, n_template = cross.shape
    for i in prange(n_spec):
        low, high, known = amplitude[i]
        for m in range(n_template):
            log_likelihood[i, m] = log_marginal(cross[i, m], square[i, m], low, high, known)


@njit(cache=True, parallel=True)
def accumulate(sums, peak, best, cross, square, standard, amplitude, first):
    """Add a block of templates to every star's running sums.

    Parameters
    ----------
    sums : float64 array, shape (n_spec, 2, 3 + 2 n_label)
        Updated; for even and odd templates apart: Σw, Σw², Σw A, Σw g, Σw g², w relative
        to the best template so far.
    peak : float64 array, shape (n_spec,)
        Updated: log-likelihood of the best template so far; start at -inf.
    best : int64 array, shape (n_spec,)
        Updated: which template that is.
    cross, square : float64 arrays, shape (n_spec, n_template)
        S1 and S2 of `log_marginal`.
    standard : float64 array, shape (n_template, 1 + n_label)
        Logarithm of each template's prior weight, then its labels, centred and scaled so
        that squares lose no digits.
    amplitude : float64 array, shape (n_spec, 3)
        low, high and known A of each star.
    first : int
        Number of the block's first template.
    """
    n_spec, n_template = cross.shape
    n_label = standard.shape[1] - 1
    for i in prange(n_spec):
        low, high, known = amplitude[i]
        for m in range(n_template):
            s_1 = cross[i, m]
            s_2 = square[i, m]
            prior = standard[m, 0]
            if math.isnan(known) and 0.5 * s_1 * s_1 / s_2 + prior < peak[i] - SKIP:
                continue  # h bounds the free-amplitude form wherever 2h > 1
            log_weight = log_marginal(s_1, s_2, low, high, known) + prior
            if log_weight == -np.inf:
                continue
            if log_weight > peak[i]:
                shrink = math.exp(peak[i] - log_weight)
                for half in range(2):
                    for k in range(sums.shape[2]):
                        sums[i, half, k] *= shrink * shrink if k == 1 else shrink
                peak[i] = log_weight
                best[i] = first + m
            elif log_weight < peak[i] - SKIP:
                continue
            weight = math.exp(log_weight - peak[i])
            total = sums[i, (first + m) % 2]
            total[0] += weight
            total[1] += weight * weight
            total[2] += weight * (known if not math.isnan(known) else s_1 / s_2)
            for k in range(n_label):
                value = standard[m, 1 + k]
                total[3 + k] += weight * value
                total[3 + n_label + k] += weight * value * value


@njit(cache=True, inline="always")
def _square(draw, gram, weighted):
    """Squared length c G c of one draw; ``weighted`` (n_mode,) is overwritten."""
    n_mode = weighted.size
    weighted[:] = 0.0
    for r in range(n_mode):
        for s in range(n_mode):
            weighted[s] += draw[r] * gram[r, s]
    total = 0.0
    for r in range(n_mode):
        total += weighted[r] * draw[r]
    return total


@njit(cache=True)
def fill_misfit(misfit, nodes, weights, node_modes, cross, gram, rows):
    """χ² of one template of each of some stars less that of none, the amplitude solved for.

    -S1 |S1| / S2: positive where the amplitude would be negative. The template's scale cancels.

    Parameters
    ----------
    misfit : float64 array, shape (n_row,)
        Overwritten.
    nodes : int32 array, shape (n_row, n_support)
        Nodes that a template leans on.
    weights : float64 array, shape (n_row, n_support)
    node_modes : float32 array, shape (n_node, at least n_mode)
        Coordinates of the nodes; those beyond n_mode are not read.
    cross : float64 array, shape (n_spec, n_mode)
        S1 = cross · c, of all stars.
    gram : float64 array, shape (n_spec, n_mode, n_mode)
        S2 = c · gram · c, of all stars.
    rows : int64 array, shape (n_row,)
        Which of them.
    """
    n_mode = cross.shape[1]
    short, weighted = np.empty(n_mode), np.empty(n_mode)
    for i in range(rows.size):
        short[:] = 0.0
        for k in range(nodes.shape[1]):
            node, weight = node_modes[nodes[i, k]], weights[i, k]
            for r in range(n_mode):
                short[r] += weight * node[r]
        s_1 = 0.0
        for r in range(n_mode):
            s_1 += cross[rows[i], r] * short[r]
        misfit[i] = -s_1 * abs(s_1) / _square(short, gram[rows[i]], weighted)


@njit(cache=True, parallel=True)
def quadratic_forms(square, short, gram):
    """Squared lengths c G c of every draw of every star.

    Parameters
    ----------
    square : float64 array, shape (n_spec, n_draw)
        Overwritten.
    short : float64 array, shape (n_spec, n_draw, n_mode)
        Coordinates c.
    gram : float64 array, shape (n_spec, n_mode, n_mode)
        Symmetric G of each star.
    """
    n_spec, n_draw, n_mode = short.shape
    for i in prange(n_spec):
        weighted = np.empty(n_mode)
        for m in range(n_draw):
            square[i, m] = _square(short[i, m], gram[i], weighted)
