"""Re-draw around one star: importance sampling where prior draws are too sparse.

A few damped Gauss-Newton steps from the best template find the fit and its covariance;
heavy-tailed draws around it, weighted by likelihood over proposal density and restricted to
the prior's box, give the same posterior moments with hundreds of draws instead of millions.
"""

import math
from dataclasses import dataclass, fields

import numba
import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.in_threads import in_threads
from starsmith.data_contract.random import DrawKey, normals
from starsmith.fisher.kernels.posterior import fill_log_marginal
from starsmith.fisher.posterior.basis import Basis, Stars
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import touches_filled

__all__ = ["LocalDraws", "redraw"]

N_STEP = 5  # of Gauss-Newton
WIDTH = 1.3  # of the proposal, in posterior standard deviations
FREEDOM = 5  # degrees of freedom of the multivariate t proposal
ESS_LOCAL = 50.0  # effective draws that a moment needs
N_ATTEMPT = 4  # each with twice the draws, about the moments of the one before
FLATTEN = 0.5  # power of the weights that the next proposal is made of
FLOOR = 0.05  # of the linear covariance, so that a proposal keeps some width
LEAST_SPREAD = 1e-12  # eigenvalue over the largest, below which a covariance has no Cholesky factor
WORDS = 4_000_000  # spline weights held at a time


@dataclass(frozen=True)
class LocalDraws:
    """Moments of re-drawn stars; fields as in `GridPosterior`."""

    mean: np.ndarray
    var: np.ndarray
    half_var: np.ndarray
    ess: np.ndarray
    flagged: np.ndarray

    @classmethod
    def linear(cls, best: np.ndarray, covariance: np.ndarray, free: np.ndarray) -> "LocalDraws":
        """Moments of the local linear model, all flagged."""
        var = np.zeros_like(best)
        var[:, free] = np.diagonal(covariance, axis1=1, axis2=2)
        n_spec = len(best)
        return cls(best.copy(), var, var.copy(), np.zeros(n_spec), np.ones(n_spec, dtype=bool))

    def put(
        self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, ess: np.ndarray
    ) -> None:
        """Replace some stars' moments by those of weighted draws."""
        self.mean[rows], _ = _moments(labels, weights)
        self.var[rows] = _variance(labels, weights)
        halves = [_variance(labels[:, h::2], weights[:, h::2]) for h in (0, 1)]
        self.half_var[rows] = np.mean(halves, axis=0)
        self.ess[rows], self.flagged[rows] = ess, False


def _box(bank: Bank, prior: Prior) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ranges = np.array([prior.ranges[name] for name in bank.label_names])
    return ranges[:, 0], ranges[:, 1], np.flatnonzero(ranges[:, 1] > ranges[:, 0])


@dataclass(frozen=True)
class ShortStars:
    """Stars as sums over modes.

    Attributes
    ----------
    cross : float64, shape (n_spec, n_mode)
        S1 = cross · c for a template c.
    gram : float64, shape (n_spec, n_mode, n_mode)
        S2 = c · gram · c.
    limits : float64, shape (n_spec, 3)
        As in `starsmith.fisher.posterior.templates.Stars`.
    """

    cross: np.ndarray
    gram: np.ndarray
    limits: np.ndarray

    @classmethod
    def of(cls, basis: Basis, stars: Stars) -> "ShortStars":
        """Sum observed stars over the modes of a basis."""
        cross, square, shared = basis.star_sums(stars)
        gram = np.tensordot(square, basis.square_modes, axes=1)
        return cls(cross, gram - shared.transpose(0, 2, 1) @ shared, stars.limits)

    def squares(self, short: np.ndarray) -> np.ndarray:
        """S2 of each star's own templates, float64 (n_spec, n_draw).

        ``short`` has shape (n_spec, n_draw, n_mode).
        """
        pairs = zip(short, self.gram, strict=True)
        return np.stack([np.einsum("mr,mr->m", own @ gram, own) for own, gram in pairs])

    def take(self, rows: np.ndarray) -> "ShortStars":
        """Return some of the stars."""
        return ShortStars(self.cross[rows], self.gram[rows], self.limits[rows])


def fit(
    bank: Bank, prior: Prior, basis: Basis, stars: ShortStars, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton fit of the labels that vary, amplitude included unless known.

    Returns
    -------
    labels : float64 array, shape (n_spec, n_label)
        Best fit within the prior's box.
    covariance : float64 array, shape (n_spec, n_free, n_free)
        (I + Λ)^-1 there, Λ the precision of a Gaussian as wide as the prior.
    """
    low, high, free = _box(bank, prior)
    names = tuple(bank.label_names[k] for k in free)
    labels = start.copy()
    known = stars.limits[:, 2]
    precision = np.diag(12.0 / (high - low)[free] ** 2)  # variance of a uniform prior is range²/12
    for step in range(N_STEP + 1):
        short, slopes = basis.coordinates(bank, labels, names)
        weighted = np.einsum("nrs,ns->nr", stars.gram, short)  # C⁻¹ f in the basis
        square = np.sum(short * weighted, axis=1)
        best = np.sum(stars.cross * short, axis=1) / square  # amplitude of least χ²
        scale = np.where(np.isfinite(known), known, best)
        along = np.where(
            np.isfinite(known)[:, None], 0.0, np.einsum("npr,nr->np", slopes, weighted)
        )
        information = slopes @ stars.gram @ slopes.transpose(0, 2, 1)
        # marginalised over the amplitude
        information -= along[:, :, None] * along[:, None, :] / square[:, None, None]
        information = scale[:, None, None] ** 2 * information + precision
        identity = np.broadcast_to(np.eye(len(free)), information.shape)
        covariance = np.linalg.solve(information, identity)
        if step == N_STEP:
            break
        residual = stars.cross - scale[:, None] * weighted  # C⁻¹ (flux - amplitude x f)
        gradient = scale[:, None] * np.einsum("npr,nr->np", slopes, residual)
        change = np.einsum("npq,nq->np", covariance, gradient)
        labels[:, free] = np.clip(labels[:, free] + change, low[free], high[free])
    return labels, covariance


def _proposal(seed: int, n_draw: int, n_free: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard t draws (n_draw, n_free) and their log density, the same for every star."""
    words = normals(DrawKey(seed, "test", np.arange(n_draw)), "fisher", n_free + FREEDOM)
    words = words.astype(np.float64)
    chi_square = np.sum(words[:, n_free:] ** 2, axis=1)  # with FREEDOM degrees of freedom
    standard = words[:, :n_free] * np.sqrt(FREEDOM / chi_square)[:, None]
    tail = 0.5 * (FREEDOM + n_free)  # exponent of the multivariate t density
    return WIDTH * standard, -tail * np.log1p(np.sum(standard**2, axis=1) / FREEDOM)


def _log_likelihood(
    bank: Bank,
    basis: Basis,
    box: tuple[np.ndarray, np.ndarray],
    stars: ShortStars,
    labels: np.ndarray,
) -> np.ndarray:
    """Of every draw of every star, (n_spec, n_draw); -inf outside the box or on a hole."""
    n_spec, n_draw, n_label = labels.shape
    inside = np.all((labels >= box[0]) & (labels <= box[1]), axis=2)
    flat = np.clip(labels, *box).reshape(-1, n_label)  # evaluated at the edge, then given no weight
    if bank.filled.any():
        inside &= ~touches_filled(bank, flat).reshape(n_spec, n_draw)
    short = basis.project(bank, flat).reshape(n_spec, n_draw, -1)
    cross = np.einsum("nmr,nr->nm", short, stars.cross)
    square = stars.squares(short)
    log_likelihood = np.empty_like(cross)
    fill_log_marginal(log_likelihood, cross, square, stars.limits)
    return np.where(inside, log_likelihood, -np.inf)  # the prior ends there


def _moments(labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean (n_spec, n_label) and covariance (n_spec, n_label, n_label)."""
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    mean = np.einsum("nm,nmk->nk", share, labels)
    apart = labels - mean[:, None, :]
    return mean, (apart * share[:, :, None]).transpose(0, 2, 1) @ apart


def _variance(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.diagonal(_moments(labels, weights)[1], axis1=1, axis2=2)


def _factors(width: np.ndarray) -> np.ndarray:
    """Factors F of covariances F Fᵀ, (n_spec, n_free, n_free).

    One that rounding left not positive definite has its least eigenvalues raised: any factor
    is a proposal, and the weights make up for it.
    """
    values, vectors = np.linalg.eigh(width)
    least = LEAST_SPREAD * values[:, -1:]
    found = vectors * np.sqrt(np.maximum(values, least))[:, None]
    sound = values[:, 0] > least[:, 0]
    found[sound] = np.linalg.cholesky(width[sound])
    return found


def _redraw_block(
    bank: Bank,
    prior: Prior,
    basis: Basis,
    stars: ShortStars,
    start: np.ndarray,
    n_draw: int,
    seed: int,
) -> LocalDraws:
    low, high, free = _box(bank, prior)
    best, linear = fit(bank, prior, basis, stars, start)
    found = LocalDraws.linear(best, linear, free)
    centre, width, weak = best.copy(), linear.copy(), np.arange(len(best))
    for attempt in range(N_ATTEMPT):
        standard, log_density = _proposal(seed, n_draw << attempt, free.size)
        labels = np.repeat(centre[weak, None, :], len(standard), axis=1)
        # correlated as the proposal says
        labels[:, :, free] += standard @ _factors(width[weak]).transpose(0, 2, 1)
        log_weight = _log_likelihood(bank, basis, (low, high), stars.take(weak), labels)
        log_weight -= log_density  # importance weights: posterior over proposal
        peak = log_weight.max(axis=1, keepdims=True)  # taken out before exp
        weights = np.exp(log_weight - np.where(np.isfinite(peak), peak, 0.0))
        # Kish: (Σw)²/Σw²
        ess = weights.sum(axis=1) ** 2 / np.maximum(np.sum(weights**2, axis=1), 1e-300)
        good = ess >= ESS_LOCAL
        found.put(weak[good], labels[good], weights[good], ess[good])
        found.ess[weak] = ess
        weak, labels, weights = weak[~good], labels[~good], weights[~good]
        if not weak.size:
            break
        # flattened weights keep the next proposal from collapsing on one draw
        centre[weak], covariance = _moments(labels, weights**FLATTEN)
        width[weak] = covariance[:, free][:, :, free] + FLOOR * linear[weak]
    return found


def redraw(
    bank: Bank, prior: Prior, basis: Basis, stars: Stars, start: np.ndarray, n_draw: int, seed: int
) -> LocalDraws:
    """Posterior moments from draws around each star's own fit.

    Parameters
    ----------
    bank, prior, basis
    stars : Stars
    start : float64 array, shape (n_spec, n_label)
        Where each fit begins.
    n_draw, seed : int
        Draws per star, doubled for stars that need another attempt. All stars use the same
        standard draws, so a star's moments do not depend on its company.

    Returns
    -------
    moments : LocalDraws
        Flagged stars carry the linear model's mean and variance.
    """
    # spline weights of one template
    n_support = math.prod(min(4, nodes.size) for nodes in bank.axes)
    block = max(1, WORDS // (n_draw * n_support))
    basis.square_modes  # noqa: B018  formed once, not by every thread

    def drawn(rows: np.ndarray) -> LocalDraws:
        short = ShortStars.of(basis, stars.take(rows))
        return _redraw_block(bank, prior, basis, short, start[rows], n_draw, seed)

    every = np.array_split(np.arange(len(stars)), -(-len(stars) // block))
    blocks = list(in_threads(drawn, every, numba.get_num_threads()))
    joined = {
        field.name: np.concatenate([getattr(block, field.name) for block in blocks])
        for field in fields(LocalDraws)
    }
    return LocalDraws(**joined)
