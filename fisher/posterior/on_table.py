"""The posterior over the rows of a table, each at its own magnitude: a sum, without draws."""

from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.fisher.kernels.posterior import fill_log_marginal
from starsmith.fisher.posterior.basis import Basis, Stars
from starsmith.fisher.posterior.basis_loss import probe_rows
from starsmith.fisher.posterior.template_sums import Moments, StarSums, Weighing, add_to
from starsmith.fisher.posterior.templates import TableRows
from starsmith.simulator.rendering.interpolate import interpolate

__all__ = ["TablePosterior", "posterior_of_table", "rough_table"]

ANY_AMPLITUDE = (1e-9, 1e9, np.nan)
N_ROUGH = 4000  # rows behind the variance of a star's own photons
TEMPERS = (1.0, 0.25, 0.0625)  # powers of likelihoods: the noise once, twice and four times
LEAST = 20.0  # effective rows that a mean may rest on
N_TOP = 128


@dataclass(frozen=True)
class TablePosterior:
    """Moments over all rows, and over those of other stars.

    Attributes
    ----------
    moments : Moments
    unseen, unseen_error : float64, shape (n_spec, n_label), optional
        Means over the other rows and what their squared errors should be, infinite for a star
        that too few others resemble.
    r2_loss : float
    """

    moments: Moments
    unseen: np.ndarray | None
    unseen_error: np.ndarray | None
    r2_loss: float


def rough_table(bank: Bank, basis: Basis, rows: TableRows, stars: Stars) -> Moments:
    """Moments over some of the rows at any amplitude, relative to the basis's magnitude."""
    wide = np.broadcast_to(ANY_AMPLITUDE, (len(stars), 3))
    some = rows.every(max(1, len(rows) // N_ROUGH))
    sums = StarSums.of(basis, replace(stars, limits=np.array(wide)))
    weighing = Weighing(sums, some.values[:, :-1].mean(axis=0), some.values[:, :-1].std(axis=0))
    for templates in some.templates(bank, basis, basis.mag):
        weighing.add(replace(templates, labels=templates.labels[:, :-1]))
    return weighing.moments()


def posterior_of_table(
    bank: Bank, basis: Basis, rows: TableRows, stars: Stars, own: np.ndarray | None
) -> TablePosterior:
    """Weigh every row against every star.

    Parameters
    ----------
    bank : Bank
    basis : Basis
    rows : TableRows
    stars : Stars
        Their known amplitude is 1.
    own : int64 array, shape (n_spec,), optional
        Group of rows that each star was drawn from; asks for ``unseen``, which leaves it out:
        an estimate that one could make without knowing the star. Likelihoods are raised to the
        largest of `TEMPERS` that leaves enough effective rows.

    Returns
    -------
    posterior : TablePosterior
    """
    sums = StarSums.of(basis, stars)
    centre, spread = rows.values.mean(axis=0), rows.values.std(axis=0)
    every = (Weighing(sums, centre, spread),)
    if own is not None:
        every += tuple(Weighing(sums, centre, spread, own=own, temper=t) for t in TEMPERS)
    for templates in rows.templates(bank, basis):
        add_to(every, templates)
    moments = every[0].moments()
    unseen, error = (None, None) if own is None else _of_others(every[1:])
    return TablePosterior(moments, unseen, error, _loss(bank, basis, rows, stars, moments))


def _of_others(others: tuple[Weighing, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Means over other rows (n_spec, n_label), and what their squared errors should be.

    A variance of likelihoods to the power t is that of the posterior over t; a mean of n rows
    adds an n-th of it.
    """
    found = others[-1].moments()
    mean = found.mean[:, :-1].copy()
    error = np.full_like(mean, np.inf)
    for weighing in reversed(others):
        found = weighing.moments()
        enough = found.ess >= LEAST
        share = (weighing.temper + 1.0 / found.ess[enough])[:, None]
        mean[enough] = found.mean[enough, :-1]
        error[enough] = found.var[enough, :-1] * share
    return mean, error


def _loss(bank: Bank, basis: Basis, rows: TableRows, stars: Stars, moments: Moments) -> float:
    """Loss of R² by the basis: the likeliest rows of some stars weighed by every pixel instead."""
    chosen = probe_rows(stars, moments.mean, moments.var)
    some = stars.take(chosen)
    sums = StarSums.of(basis, some)
    parts = [np.stack(sums.products(slice(None), t)) for t in rows.templates(bank, basis)]
    cross, square = np.concatenate(parts, axis=2)
    short = np.empty_like(cross)
    fill_log_marginal(short, cross, square, some.limits)
    short += rows.log_weight
    shift, growth = [], []
    for k in range(len(some)):
        top = np.argsort(short[k])[-N_TOP:]
        values = rows.values[top]
        full = _full_log_likelihood(bank, some.take(slice(k, k + 1)), values)
        full += rows.log_weight[top]
        (mean, var), (exact_mean, exact_var) = (
            _moments(log_weight, values[:, :-1]) for log_weight in (short[k, top], full)
        )
        shift.append((mean - exact_mean) ** 2)
        growth.append(var - exact_var)
    total = rows.values[:, :-1].var(axis=0)
    losses = np.maximum(np.mean(shift, axis=0), np.abs(np.mean(growth, axis=0)))
    varies = total > 0.0
    return float(np.max(losses[varies] / total[varies])) if varies.any() else 0.0


def _full_log_likelihood(bank: Bank, star: Stars, values: np.ndarray) -> np.ndarray:
    """Over all pixels, of rows at their own magnitude, float64 (n_row,)."""
    spectra = interpolate(bank, values[:, :-1], values[:, -1]).astype(np.float64)
    shared = star.shared_precision()
    square = np.sum(spectra**2 / star.variance, axis=1)
    square -= np.sum((shared[0] @ spectra.T) ** 2, axis=0)
    return star.weighted_flux(shared)[0] @ spectra.T - 0.5 * square


def _moments(log_weight: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = np.exp(log_weight - log_weight.max())
    share /= share.sum()
    mean = share @ labels
    return mean, share @ (labels - mean) ** 2
