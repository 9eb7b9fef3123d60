"""Posterior kernel: running sums of templates weighted by how well they fit each star."""

import math

import numpy as np
from numba import njit

from starsmith.data_contract.kernels.elementary import exponential, logarithm
from starsmith.data_contract.kernels.fused import add_sixteen

__all__ = ["accumulate", "fill_log_marginal", "fill_misfit", "log_marginal"]

LANES = 16  # sums side by side
SKIP = 40.0  # a template this far below the best weighs e^-40: beyond float64 of any sum
FAR = 300.0  # e^-300 stands for less, and has a square that is a normal number
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


@njit(cache=True, error_model="numpy")
def _log_weights(log_weight, best, cross, square, prior, amplitude, floor):
    """`log_marginal` of one star and every template, and the prior; below ``floor`` maybe -inf.

    In vectors where the amplitude, which goes to ``best``, is far inside its limits; else one
    by one.
    """
    low, high, known = amplitude
    if not math.isnan(known):
        best[:] = known
        for m in range(log_weight.size):
            log_weight[m] = known * (cross[m] - 0.5 * known * square[m]) + prior[m]
        return
    for m in range(log_weight.size):
        best[m] = cross[m] / square[m]
        half = 0.5 * cross[m] * best[m]
        inside = min(best[m] - low, high - best[m])
        safe = inside * abs(inside) * square[m] > SIGMA_SAFE**2
        log_weight[m] = half - 0.5 * logarithm(2.0 * half) + prior[m] if safe else np.nan
    for m in range(log_weight.size):
        if math.isnan(log_weight[m]):
            if 0.5 * cross[m] * best[m] + prior[m] < floor:
                log_weight[m] = -np.inf  # h bounds the marginal form wherever 2h > 1
            else:
                log_weight[m] = log_marginal(cross[m], square[m], low, high, known) + prior[m]
            if log_weight[m] == -np.inf:
                best[m] = 0.0  # finite: its weight is next to none, not none


@njit(cache=True, nogil=True)
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
    flat, best = np.zeros(cross.shape[1]), np.empty(cross.shape[1])
    for i in range(len(cross)):
        _log_weights(log_likelihood[i], best, cross[i], square[i], flat, amplitude[i], -np.inf)


@njit(cache=True)
def _first_largest(values):
    """Where the largest number is; the first of equal ones."""
    place, largest = 0, values[0]
    for m in range(values.size):
        if values[m] > largest:
            place, largest = m, values[m]
    return place


@njit(cache=True)
def _add(total, values, lanes, first):
    """Add up numbers, those of even and odd templates apart, sixteen sums at a time."""
    lanes[:] = 0.0
    add_sixteen(lanes, values)
    for k in range(LANES):
        total[(first + k) % 2] += lanes[k]


@njit(cache=True, nogil=True, error_model="numpy")
def accumulate(sums, peak, best, cross, square, standard, amplitude, first):
    """Add a block of templates to every star's running sums.

    Parameters
    ----------
    sums : float64 array, shape (n_spec, 3 + 2 n_label, 2)
        Updated; Σw, Σw², Σw A, Σw g, Σw g² with w relative to the best template so far; for
        even and odd templates apart.
    peak : float64 array, shape (n_spec,)
        Updated: log-likelihood of the best template so far; start at -inf.
    best : int64 array, shape (n_spec,)
        Updated: which template that is.
    cross, square : float64 arrays, shape (n_spec, n_template)
        S1 and S2 of `log_marginal`.
    standard : float64 array, shape (1 + n_label, n_template)
        Logarithm of each template's prior weight, then its labels, centred and scaled so
        that squares lose no digits.
    amplitude : float64 array, shape (n_spec, 3)
        low, high and known A of each star.
    first : int
        Number of the block's first template.
    """
    n = cross.shape[1]
    n_label = len(standard) - 1
    n_padded = (n + LANES - 1) // LANES * LANES  # the last ones are and stay 0
    weight, part, lanes = np.zeros(n_padded), np.zeros(n_padded), np.empty(LANES)
    own, scale = weight[:n], np.empty(n)
    for i in range(len(cross)):
        total = sums[i]
        _log_weights(own, scale, cross[i], square[i], standard[0], amplitude[i], peak[i] - SKIP)
        top = _first_largest(own)
        if own[top] == -np.inf or own[top] < peak[i] - SKIP:
            continue
        if own[top] > peak[i]:
            shrink = math.exp(peak[i] - own[top])
            total *= shrink
            total[1] *= shrink
            peak[i], best[i] = own[top], first + top
        for m in range(n):
            apart = own[m] - peak[i]
            own[m] = exponential(apart if apart > -FAR else -FAR)
        _add(total[0], weight, lanes, first)
        for m in range(n):
            part[m] = own[m] * own[m]
        _add(total[1], part, lanes, first)
        for m in range(n):
            part[m] = own[m] * scale[m]
        _add(total[2], part, lanes, first)
        for k in range(n_label):
            value = standard[1 + k]
            for m in range(n):
                part[m] = own[m] * value[m]
            _add(total[3 + k], part, lanes, first)
            for m in range(n):
                part[m] *= value[m]
            _add(total[3 + n_label + k], part, lanes, first)


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
