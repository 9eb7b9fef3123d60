"""Likelihood of labels from the coefficients of spectra: what weighs draws of a posterior.

z = A c(θ) + n, with n normal of covariance C. Where all pixels are good C = Σ_k q_k B diag(V_k) Bᵀ
(see `compressed_draws`), q found from the honest error, whose own noise the few modes average
out; where some are bad, sums over the good pixels weighted by that error take its place. The
amplitude is integrated out over the prior's magnitudes.
"""

from dataclasses import dataclass

import numpy as np

from starsmith.fisher.kernels.posterior import fill_log_marginal
from starsmith.fisher.posterior.compressed_draws import BasisNoise
from starsmith.fisher.posterior.compression import Compression
from starsmith.fisher.posterior.spline_cells import SplineAxes, combine_nodes, find_cells

__all__ = ["OWN", "BasisLikelihood", "StarForms", "amplitude_reach"]

OWN = ("node_modes", "variance", "gram")
"""Arrays of a likelihood that are not those of the projection."""

SLACK = 1.5  # how far an amplitude may lie beyond the prior's before its limits follow it


@dataclass(frozen=True)
class StarForms:
    """Log-likelihood of stars as a form of the noiseless coefficients: A c·a - A² c M c / 2.

    Attributes
    ----------
    cross : float64, shape (n_spec, n_mode)
        a.
    square : float64, shape (n_spec, n_mode, n_mode)
        M.
    """

    cross: np.ndarray
    square: np.ndarray


@dataclass(frozen=True)
class BasisLikelihood:
    """What a likelihood needs of a bank and its noise.

    Attributes
    ----------
    weight : float64, shape (n_wave,)
    modes : float64, shape (n_mode, n_wave)
    node_modes : float32, shape (n_node, n_mode + 1)
        See `Compression`.
    variance : float64, shape (n_variance, n_wave)
        Orthonormal modes V of whitened variances.
    gram : float32, shape (n_variance, n_mode, n_mode)
        B diag(V_k) Bᵀ.
    """

    weight: np.ndarray
    modes: np.ndarray
    node_modes: np.ndarray
    variance: np.ndarray
    gram: np.ndarray

    @classmethod
    def of(cls, compression: Compression, noise: BasisNoise) -> "BasisLikelihood":
        """Collect it from the projection and its noise."""
        n_row = len(compression.modes) + 1
        gram = noise.gram.reshape(-1, n_row, n_row)[:, :-1, :-1]
        return cls(compression.weight, compression.modes, compression.node_modes, noise.modes, gram)

    def tensors(self) -> dict[str, np.ndarray]:
        """Arrays that are its own, by name."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in OWN}

    def forms(self, flux: np.ndarray, error: np.ndarray, good: np.ndarray) -> StarForms:
        """Forms of observed stars.

        Parameters
        ----------
        flux, error : float arrays, shape (n_spec, n_wave)
            Finite where ``good``.
        good : bool array, shape (n_spec, n_wave)
        """
        value = np.where(good, flux, 0.0) * self.weight
        whitened = np.where(good, (error * self.weight) ** 2, 0.0)
        q = whitened @ self.variance.T
        n_mode = len(self.modes)
        cross, square = np.empty((len(flux), n_mode)), np.empty((len(flux), n_mode, n_mode))
        whole = good.all(axis=1)
        covariance = np.tensordot(q[whole], self.gram, axes=1)
        square[whole] = np.linalg.inv(covariance)
        cross[whole] = np.einsum("nij,nj->ni", square[whole], value[whole] @ self.modes.T)
        for k in np.flatnonzero(~whole):
            # the error itself: that of a star moved to rest has its sky at other pixels
            rows = self.modes[:, good[k]] / whitened[k, good[k]]
            cross[k], square[k] = rows @ value[k, good[k]], rows @ self.modes[:, good[k]].T
        return StarForms(cross, square)

    def log_likelihood(
        self, forms: StarForms, labels: np.ndarray, axes: SplineAxes, mags: tuple[float, float]
    ) -> np.ndarray:
        """Log-likelihood of draws of labels, up to a constant of each star.

        Parameters
        ----------
        forms : StarForms
        labels : float64 array, shape (n_spec, n_draw, n_label)
            All labels of the bank, inside it.
        axes : SplineAxes
            Of the bank.
        mags : (float, float)
            Range of the prior's magnitudes.

        Returns
        -------
        log_likelihood : float64 array, shape (n_spec, n_draw)
        """
        n_spec, n_draw, n_label = labels.shape
        flat = labels.reshape(-1, n_label)
        found = combine_nodes(axes, find_cells(axes, flat), self.node_modes, flat)
        middle = 0.5 * sum(mags)
        short = found[:, :-1] * (10.0 ** (-0.4 * middle) / found[:, -1:])
        short = short.reshape(n_spec, n_draw, -1)
        cross = np.einsum("ndm,nm->nd", short, forms.cross)
        square = np.einsum("ndm,nmk,ndk->nd", short, forms.square, short, optimize=True)
        log = np.empty((n_spec, n_draw))
        fill_log_marginal(log, cross, square, amplitude_reach(cross, square, mags))
        return log


def amplitude_reach(cross: np.ndarray, square: np.ndarray, mags: tuple[float, float]) -> np.ndarray:
    """Limits of each star's amplitude over that of the middle magnitude, float64 (n_spec, 3).

    A star somewhat beyond the prior's magnitudes has limits that follow it.
    """
    best = np.median(cross / square, axis=1)
    reach = 10.0 ** (0.2 * abs(mags[1] - mags[0]))
    limits = np.full((len(best), 3), np.nan)
    limits[:, 0] = np.minimum(1.0 / reach, best / SLACK)
    limits[:, 1] = np.maximum(reach, best * SLACK)
    return limits
