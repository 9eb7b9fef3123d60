"""The posterior over lines through the grid: quadrature, refined where it is too coarse."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.fisher.kernels.posterior import fill_log_marginal
from starsmith.fisher.posterior.basis import Basis, Stars
from starsmith.fisher.posterior.importance_sampling import ShortStars, fit
from starsmith.fisher.posterior.template_lines import Lines
from starsmith.fisher.posterior.template_sums import StarSums, Weighing
from starsmith.simulator.prior import Prior

__all__ = ["LinePosterior", "posterior_on_lines"]

AGREE_MEAN, AGREE_VAR = 0.1, 0.05  # of σ and of the variance, between both quadratures
N_LINE = 16  # refined for a star, more where these do not hold all
GROWTH = 4  # times as many lines where the first do not hold all
MAX_LINES = 1024
LEFT_OUT = 1e-3  # share of the posterior that the last quarter of a star's lines may hold
N_STEP = 3  # of Newton, to the peak along a line
REACH = 7.0  # of σ to either side
N_POINT = 24  # Gauss-Legendre: a normal within 7 σ to 1e-8
BLOCK = 64  # stars refined at once


@dataclass(frozen=True)
class LinePosterior:
    """Moments (n_spec, n_label), effective points, and which stars were refined or given up."""

    mean: np.ndarray
    var: np.ndarray
    ess: np.ndarray
    local: np.ndarray
    flagged: np.ndarray


def posterior_on_lines(
    bank: Bank, prior: Prior, basis: Basis, lines: Lines, stars: Stars, n_template: int
) -> LinePosterior:
    """Integrate the posterior along every line.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        With the nodes that ``lines`` were made from.
    basis : Basis
    lines : Lines
    stars : Stars
    n_template : int
        Points shared by all stars, about. Where two rules do not agree, points are laid
        about the peaks of the star's likelihood along each line that matters.

    Returns
    -------
    posterior : LinePosterior
    """
    low, high = np.array([prior.ranges[name] for name in bank.label_names]).T  # (n_label,) each
    weighing = Weighing(StarSums.of(basis, stars), 0.5 * (low + high), high - low)
    for templates in lines.templates(bank, basis, n_template):
        weighing.add(templates)
    # every other line: two estimates that share nothing
    every, halves = weighing.moments(), [weighing.moments(half) for half in (0, 1)]
    mean, var, ess = every.mean, every.var, every.ess
    scale = var + 1e-9 * (high - low) ** 2  # a label that does not vary divides by no zero
    # in posterior standard deviations
    apart = np.abs(halves[0].mean - halves[1].mean) / np.sqrt(scale)
    wider = np.abs(halves[0].var - halves[1].var) / scale
    weak = ~np.all((apart < AGREE_MEAN) & (wider < AGREE_VAR), axis=1)
    flagged = np.zeros(len(stars), dtype=bool)
    rows = np.flatnonzero(weak)
    for first in range(0, rows.size, BLOCK):
        some = rows[first : first + BLOCK]
        short = ShortStars.of(basis, stars.take(some))
        start = weighing.best_labels[some]
        found = _refine(bank, prior, basis, lines, short, start)
        mean[some], var[some], ess[some], flagged[some] = found
    return LinePosterior(mean, var, ess, weak, flagged)


def _refine(
    bank: Bank, prior: Prior, basis: Basis, lines: Lines, stars: ShortStars, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Moments, effective points and failure of stars, from the lines nearest to their fits."""
    best, covariance = fit(bank, prior, basis, stars, start)
    order, nearest = _nearest_lines(bank, prior, lines, best, covariance)
    mean, var = np.empty_like(best), np.empty_like(best)
    ess, flagged = np.zeros(len(best)), np.ones(len(best), dtype=bool)
    todo, n_line = np.arange(len(best)), min(N_LINE, len(lines))
    while todo.size:
        place = np.take_along_axis(nearest[todo], order[todo, :n_line], axis=1)
        labels, log_weight = _points(bank, basis, lines, stars.take(todo), order[todo], place)
        share = np.exp(log_weight - log_weight.max(axis=(1, 2), keepdims=True))
        # posterior over all points of all lines of a star
        share /= share.sum(axis=(1, 2), keepdims=True)
        mean[todo] = np.einsum("nlq,nlqk->nk", share, labels)
        var[todo] = np.einsum("nlq,nlqk->nk", share, (labels - mean[todo, None, None]) ** 2)
        ess[todo] = 1.0 / np.sum(share**2, axis=(1, 2))  # as many equal weights would be as good
        # what the farthest quarter holds bounds what is left out
        last = share[:, n_line - n_line // 4 :].sum(axis=(1, 2))
        held = (last < LEFT_OUT) | (n_line == len(lines))
        flagged[todo] = ~held
        todo = todo[~held]
        if n_line >= MAX_LINES:
            break
        n_line = min(GROWTH * n_line, len(lines))
    return mean, var, ess, flagged


def _nearest_lines(
    bank: Bank, prior: Prior, lines: Lines, best: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lines by rising misfit in the linear model, and where each comes nearest to the fit.

    Both of shape (n_spec, n_line).
    """
    ranges = np.array([prior.ranges[name] for name in bank.label_names])
    varies = np.flatnonzero(ranges[:, 1] > ranges[:, 0])
    column = np.full(len(ranges), -1)
    column[varies] = np.arange(varies.size)
    precision = np.linalg.inv(covariance)  # of the Gaussian about the best fit
    misfit, place = (np.empty((len(best), len(lines))) for _ in range(2))
    for free in np.unique(lines.free):
        rows = np.flatnonzero(lines.free == free)
        apart = lines.fixed[rows][None, :, varies] - best[:, None, varies]
        k = column[free]
        if k >= 0:
            apart[:, :, k] = 0.0  # along the free label the line meets the Gaussian where it likes
            # conditional mean along the line
            pull = np.einsum("nj,nlj->nl", precision[:, k], apart) / precision[:, k, k, None]
            target = np.clip(best[:, free, None] - pull, lines.low[rows], lines.high[rows])
            apart[:, :, k] = target - best[:, free, None]
        else:
            target = np.broadcast_to(lines.low[rows], (len(best), rows.size))
        place[:, rows] = target
        # Mahalanobis distance squared at the nearest point
        misfit[:, rows] = np.einsum("nlj,nlj->nl", apart @ precision, apart)
    return np.argsort(misfit, axis=1, kind="stable"), place


def _points(
    bank: Bank,
    basis: Basis,
    lines: Lines,
    stars: ShortStars,
    order: np.ndarray,
    place: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature points on each star's lines and their log weights.

    ``order`` (n_spec, at least n_line) which lines, ``place`` (n_spec, n_line) where to start;
    labels (n_spec, n_line, n_point, n_label), log weights (n_spec, n_line, n_point).
    """
    n_spec, n_line = place.shape
    star = np.repeat(np.arange(n_spec), n_line)  # which star a line belongs to
    some = lines.take(order[:, :n_line].reshape(-1))
    centre, sigma = _peaks(bank, basis, some, stars, star, place.reshape(-1))
    low = np.maximum(centre - REACH * sigma, some.low)
    high = np.minimum(centre + REACH * sigma, some.high)
    points, mass = np.polynomial.legendre.leggauss(N_POINT)
    # points mapped from -1..1 to the stretch
    along = low[:, None] + 0.5 * (points + 1.0) * (high - low)[:, None]
    labels = some.labels(along)
    length = some.high - some.low
    # of the line's prior mass; a line of no length has all of it
    share = np.where(length > 0.0, (high - low) / np.where(length > 0.0, length, 1.0), 1.0)
    with np.errstate(divide="ignore"):
        log_weight = np.log(some.mass * share)[:, None] + np.log(0.5 * mass)
    short = basis.project(bank, labels.reshape(-1, labels.shape[2]))
    short = short.reshape(n_spec, n_line * N_POINT, -1)
    square = stars.squares(short)
    log_likelihood = np.empty_like(square)
    cross = np.einsum("nmr,nr->nm", short, stars.cross)
    fill_log_marginal(log_likelihood, cross, square, stars.limits)
    shape = (n_spec, n_line, N_POINT)
    points = labels.reshape(n_spec, n_line, N_POINT, -1)
    return points, log_likelihood.reshape(shape) + log_weight.reshape(shape)


def _peaks(
    bank: Bank, basis: Basis, lines: Lines, stars: ShortStars, star: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Best place on each line for its star, and the width of the likelihood there, (n_line,)."""
    centre, sigma = place.copy(), np.zeros(len(place))
    for free in np.unique(lines.free):
        rows = np.flatnonzero((lines.free == free) & (lines.high > lines.low))
        if not rows.size:
            continue
        some, own = lines.take(rows), stars.take(star[rows])
        known = own.limits[:, 2]  # NaN where the amplitude is free
        for _ in range(N_STEP):
            labels = some.labels(centre[rows, None])[:, 0]
            short, slopes = basis.coordinates(bank, labels, (bank.label_names[free],))
            slope = slopes[:, 0]
            weighted = np.einsum("nrs,ns->nr", own.gram, short)  # C⁻¹ f in the basis
            square = np.sum(short * weighted, axis=1)
            # best amplitude, unless known
            scale = np.where(np.isfinite(known), known, np.sum(own.cross * short, axis=1) / square)
            # what a free amplitude can imitate
            along = np.where(np.isfinite(known), 0.0, np.sum(slope * weighted, axis=1))
            information = np.einsum("nr,nrs,ns->n", slope, own.gram, slope) - along**2 / square
            # never flatter than the line is long
            information = np.maximum(scale**2 * information, 1.0 / (some.high - some.low) ** 2)
            gradient = scale * np.sum(slope * (own.cross - scale[:, None] * weighted), axis=1)
            step = gradient / information
            centre[rows] = np.clip(centre[rows] + step, some.low, some.high)
        sigma[rows] = 1.0 / np.sqrt(information)
    return centre, sigma
