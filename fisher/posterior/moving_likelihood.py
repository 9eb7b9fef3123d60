"""Likelihood of labels of stars that move, their velocity integrated out.

    L(θ) = ∫ L(θ, v) dv / ∫ dv,      v flat over the prior's velocities,

by the midpoint rule over the frames that a spectrum may be seen in, each of which holds the
velocities nearest to its own. In a frame the pixels, weighted by their own errors, are summed over
its moved modes, so that frames differ by what they say of the same pixels. Node vectors are
Chebyshev series in the velocity: the sums of a draw are made once, and hold for every velocity.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.fisher.kernels.posterior import fill_log_marginal
from starsmith.fisher.posterior.basis_likelihood import amplitude_reach
from starsmith.fisher.posterior.frames import Frames
from starsmith.fisher.posterior.pixel_likelihood import moving_sums
from starsmith.fisher.posterior.spline_cells import N_TERM, MovingAxes, combine_nodes, find_cells

__all__ = ["MovingLikelihood", "Weighed"]

SPACING = 1.25  # σ of the velocity between nodes: the midpoint rule then errs by 1e-5
COARSEST = 5.0  # km/s between nodes, at most
DEEP = 12.0  # below the best: velocities with e^-12 of the posterior are not rendered


@dataclass(frozen=True)
class Weighed:
    """One observed spectrum as likelihoods need it.

    Attributes
    ----------
    value : float64, shape (n_wave,)
        Flux [flux unit], 0 where bad.
    weight : float64, shape (n_wave,)
        1 / σ² [1 / flux unit²], 0 where bad.
    """

    value: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, flux: np.ndarray, error: np.ndarray, good: np.ndarray) -> "Weighed":
        """Weigh a spectrum by its own errors; all of shape (n_wave,)."""
        sigma = np.where(good, np.asarray(error, dtype=np.float64), np.inf)
        return cls(np.where(good, flux, 0.0).astype(np.float64), sigma**-2.0)


@dataclass(frozen=True)
class MovingLikelihood:
    """What the likelihood of a moving star needs.

    Attributes
    ----------
    frames : Frames
        They tile the prior's velocities.
    node_modes : float32, shape (n_node, N_TERM * (n_mode + 1))
        See `Compression`.
    axes : MovingAxes
    span : float
        Width of the prior's velocities [km/s].
    mags : (float, float)
        Range of the prior's magnitudes.
    """

    frames: Frames
    node_modes: np.ndarray
    axes: MovingAxes
    span: float
    mags: tuple[float, float]

    def log_likelihood(
        self, star: Weighed, likely: np.ndarray, labels: np.ndarray, bank: Bank | None = None
    ) -> np.ndarray:
        """Log-likelihood of draws of labels, up to a constant of the star.

        Parameters
        ----------
        star : Weighed
        likely : int64 array, shape (n_frame,)
            Numbers of the frames that it may be seen in; the others count as 0.
        labels : float64 array, shape (n_draw, n_label)
            All labels of the bank at rest, inside it.
        bank : Bank, optional
            All pixels count, rendered at every velocity, not their sums over modes.

        Returns
        -------
        log_likelihood : float64 array, shape (n_draw,)

        Raises
        ------
        DataError
            If the bank does not reach these velocities.
        """
        rv, log, limits = self._at_velocities(star, likely, labels)
        n_node = len(rv) // len(likely)
        if bank is not None:
            some = log.max(axis=0) > log.max() - DEEP
            middle = np.full(len(labels), 0.5 * sum(self.mags))
            sums = moving_sums(bank, star.value, star.weight, labels, middle, rv[some])
            log = _marginal(*sums, limits)
        return logsumexp(log, axis=1) - np.log(n_node * len(self.frames))

    def _at_velocities(
        self, star: Weighed, likely: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Velocities (n_node,), log-likelihoods there (n_draw, n_node), limits of the amplitude."""
        series = self._series(labels)
        seen = np.logical_and.reduce([self.frames.covers(k) for k in likely])
        sums = [self._sums(star, k, seen, series) for k in likely]
        at_middle = [self._at(one, np.zeros(1)) for one in sums]
        best = int(np.argmax([np.median(x**2 / q) for x, q in at_middle]))
        cross, square = at_middle[best]
        slope = self.axes.terms(np.zeros(1), True)
        bend = _squares(sums[best][1], slope) * (cross / square) ** 2  # Fisher information on v
        limits = amplitude_reach(cross.T, square.T, self.mags)[0]
        width = self.span / len(self.frames)
        step = min(SPACING / np.sqrt(np.median(bend)), COARSEST)
        n_node = max(1, int(np.ceil(width / step)))
        residual = width * ((np.arange(n_node) + 0.5) / n_node - 0.5)
        log = [_marginal(*self._at(one, residual), limits) for one in sums]
        rv = self.frames.velocities[likely][:, None] + residual
        return rv.ravel(), np.concatenate(log, axis=1), limits

    def _series(self, labels: np.ndarray) -> np.ndarray:
        """Series of every draw at the middle magnitude, float64 (n_draw, N_TERM, n_mode)."""
        rest = self.axes.rest
        found = combine_nodes(rest, find_cells(rest, labels), self.node_modes, labels)
        found = found.reshape(len(labels), N_TERM, -1)
        band = found[:, 0, -1]  # of the star at rest: its other terms are 0
        middle = 10.0 ** (-0.2 * sum(self.mags))
        return found[:, :, :-1] * (middle / band)[:, None, None]

    def _sums(
        self, star: Weighed, frame: int, seen: np.ndarray, series: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums of every draw, as series: (n_draw, N_TERM) and (n_draw, N_TERM, N_TERM)."""
        modes = self.frames.flux_modes(frame)[:, seen].astype(np.float64)
        weighed = modes * star.weight[seen]
        cross, gram = weighed @ star.value[seen], weighed @ modes.T
        return series @ cross, (series @ gram) @ series.swapaxes(1, 2)

    def _at(
        self, sums: tuple[np.ndarray, np.ndarray], residual: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """S1 and S2 of `log_marginal` at residual velocities, (n_draw, n_node)."""
        terms = self.axes.terms(residual, False)
        return sums[0] @ terms.T, _squares(sums[1], terms)


def _squares(square: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Quadratic forms of series (n_draw, N_TERM, N_TERM) in terms (n_node, N_TERM)."""
    pairs = terms[:, :, None] * terms[:, None, :]
    return square.reshape(len(square), -1) @ pairs.reshape(len(terms), -1).T


def _marginal(cross: np.ndarray, square: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Log-likelihood of sums (n_draw, n_node), the amplitude integrated out."""
    log = np.empty(cross.shape)
    fill_log_marginal(log, cross, square, np.tile(limits, (len(log), 1)))
    return log
