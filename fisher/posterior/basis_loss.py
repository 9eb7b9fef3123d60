"""What a short basis costs in R², measured where it matters: on each star's own posterior."""

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.random import DrawKey, normals
from starsmith.fisher.kernels.posterior import fill_log_marginal
from starsmith.fisher.posterior.basis import Basis, Stars
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate, touches_filled

__all__ = ["basis_r2_loss", "probe_rows"]

N_STAR = 48
N_DRAW = 128


def _log_likelihoods(
    bank: Bank, basis: Basis, star: Stars, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of some templates for one star: over all pixels, and in the basis; (n_draw,) each."""
    spectra = interpolate(bank, labels, np.full(len(labels), basis.mag)).astype(np.float64)
    if basis.normalise == "known":
        spectra /= np.median(spectra, axis=1)[:, None]
    shared = star.shared_precision()
    cross = star.weighted_flux(shared) @ spectra.T
    square = np.sum(spectra**2 / star.variance, axis=1) - np.sum(
        (shared[0] @ spectra.T) ** 2, axis=0
    )
    star_cross, star_square, star_shared = basis.star_sums(star)
    short = basis.project(bank, labels)
    short_square = star_square @ basis.square_sums(short).T
    short_square -= np.sum((star_shared[0] @ short.T) ** 2, axis=0)
    pair = np.empty((2, 1, len(labels)))
    fill_log_marginal(pair[0], cross, square[None], star.limits)
    fill_log_marginal(pair[1], star_cross @ short.T, short_square, star.limits)
    return pair[0, 0], pair[1, 0]


def probe_rows(stars: Stars, mean: np.ndarray, var: np.ndarray) -> np.ndarray:
    """Stars that a loss is measured on: evenly through the list, and the brightest."""
    bright = np.argmax(np.sum(stars.flux**2 / stars.variance, axis=1))
    usable = np.all(np.isfinite(mean) & np.isfinite(var), axis=1)
    rows = np.linspace(0, len(stars) - 1, N_STAR).astype(int)
    rows = np.unique(np.append(rows, bright))
    return rows[usable[rows]]


def basis_r2_loss(
    bank: Bank,
    prior: Prior,
    basis: Basis,
    stars: Stars,
    mean: np.ndarray,
    var: np.ndarray,
) -> float:
    """Loss of R² by a basis: the larger of what means and what variances lose.

    For some stars, the brightest among them, templates are drawn from a normal distribution as
    wide as the posterior. Weighing them by the ratio of the full likelihood to the short one
    moves their mean and variance; the mean square of the former and the mean of the latter,
    over the variance of the label, are differences of R². Chance adds to both, so the result
    is an upper estimate.

    Parameters
    ----------
    bank : Bank
    prior : Prior
    basis : Basis
    stars : Stars
    mean, var : float64 arrays, shape (n_spec, n_label)
        Posterior moments of the stars.

    Returns
    -------
    loss : float
        Of the label that loses most.
    """
    low, high = np.array([prior.ranges[name] for name in bank.label_names]).T
    rows = probe_rows(stars, mean, var)
    standard = normals(DrawKey(0, "val", np.arange(N_DRAW)), "fisher", mean.shape[1]).astype(
        np.float64
    )
    moved, grown = [], []
    for row in rows:
        labels = np.clip(mean[row] + np.sqrt(var[row]) * standard, low, high)
        if bank.filled.any():
            labels = labels[~touches_filled(bank, labels)]
        if len(labels) < N_DRAW // 2:
            continue
        star = stars.take(slice(row, row + 1))
        full, short = _log_likelihoods(bank, basis, star, labels)
        finite = np.isfinite(full) & np.isfinite(short)
        if finite.sum() < N_DRAW // 2:
            continue
        apart = full[finite] - short[finite]
        weight = np.exp(np.clip(apart - np.median(apart), -5.0, 5.0))
        share = weight / weight.sum()
        before = labels[finite]
        shift = share @ before - before.mean(axis=0)
        moved.append(shift**2)
        grown.append(share @ before**2 - (share @ before) ** 2 - before.var(axis=0))
    total = var[rows].mean(axis=0) + mean[rows].var(axis=0)
    varies = (high > low) & (total > 0.0)
    if not moved or not varies.any():
        return float("nan")
    losses = np.maximum(np.mean(moved, axis=0), np.abs(np.mean(grown, axis=0)))
    return float(np.max(losses[varies] / total[varies]))
