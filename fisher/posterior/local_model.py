"""The linear model of a star around a guess of its labels: a Gauss-Newton step and its covariance.

Coefficients over their noise level are y = a f(θ) + n with a free amplitude a. Around a guess

    y = a (f + J δ) + n,    R = a² Jᵀ C⁻¹ J + P,    δ = R⁻¹ (a Jᵀ C⁻¹ (y - a f) + P (θ_mid - θ)),

with J orthogonal to f, P the precision of a uniform prior and C the covariance of n. C is the mean
over stars of like brightness seen in the same frame, so that stars are whitened by a few fixed
matrices.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from starsmith.fisher.posterior.compressed_draws import BasisNoise, DrawnStars, blocks_of
from starsmith.fisher.posterior.compression import Compression
from starsmith.fisher.posterior.spline_cells import MovingAxes, SplineAxes, combine_slopes

__all__ = ["LocalFit", "LocalModel"]

N_GROUP = 12  # of stars of like brightness
UNIFORM_PRECISION = 12.0  # of a place in 0..1
LONGEST = 0.5  # of the prior's range, that a step goes
LEAST_AMPLITUDE = 1.0  # over the noise of a coefficient: fainter stars count as this bright


@dataclass(frozen=True)
class LocalFit:
    """Where stars lie in the range of the prior, by their linear model.

    Attributes
    ----------
    place : float64, shape (n_spec, n_label)
        0 to 1 inside the prior; a step may leave it.
    root : float64, shape (n_spec, n_label, n_label)
        Lower triangular L with Lᵀ L the precision of the places.
    misfit : float64, shape (n_spec,)
        χ² over the number of coefficients, at the guess.
    """

    place: np.ndarray
    root: np.ndarray
    misfit: np.ndarray

    def marginal(self, columns: list[int]) -> "LocalFit":
        """Fit of some labels, the others integrated out."""
        if columns == list(range(self.place.shape[1])):
            return self
        inverse = np.linalg.inv(self.root)
        covariance = (inverse @ inverse.swapaxes(1, 2))[:, columns][:, :, columns]
        return LocalFit(self.place[:, columns], _lower_root(np.linalg.inv(covariance)), self.misfit)


@dataclass(frozen=True)
class LocalModel:
    """What a linear model needs of a bank and its noise.

    Attributes
    ----------
    axes : SplineAxes or MovingAxes
        Of the bank.
    low, high : float64, shape (n_label,)
        Range of the prior of all labels along the axes; equal ends do not vary.
    node_modes : float32, shape (n_node, n_mode), or (n_node, N_TERM * n_mode)
        Bank coefficients, projected.
    edges : float64, shape (N_GROUP - 1,)
        Log of noise over amplitude, between groups of stars.
    whiten : float32, shape (n_frame * N_GROUP, n_mode, n_mode)
        Wᵀ W is the inverse covariance of the noise, over its level.
    """

    axes: SplineAxes | MovingAxes
    low: np.ndarray
    high: np.ndarray
    node_modes: np.ndarray
    edges: np.ndarray
    whiten: np.ndarray

    @classmethod
    def measure(
        cls,
        ranges: Mapping[str, tuple[float, float]],
        compression: Compression,
        noise: BasisNoise | tuple[BasisNoise, ...],
        stars: DrawnStars,
    ) -> "LocalModel":
        """Group stars by frame and brightness, and average their noise.

        Parameters
        ----------
        ranges : mapping of str to (min, max)
            Of the labels along the axes.
        compression : Compression
        noise : BasisNoise, or one a frame
        stars : DrawnStars
            `BLOCK` of every frame at least.
        """
        gram, ratio = [], []
        seen_as = noise if isinstance(noise, tuple) else (noise,)
        for some in blocks_of(stars.index):
            short, frame = stars.noiseless[some], seen_as[stars.frame[some][0]]
            own, shared, level = frame.covariance(short, frame.under(stars.index[some]))
            total = (own + shared.swapaxes(1, 2) @ shared)[:, :-1, :-1]
            gram.append(total / level[:, None, None].astype(total.dtype))
            ratio.append(0.5 * np.log(level) - np.log(np.linalg.norm(short, axis=1)))
        covariance, quiet = np.concatenate(gram), np.concatenate(ratio)
        edges = np.quantile(quiet, np.arange(1, N_GROUP) / N_GROUP)
        group = N_GROUP * stars.frame + np.searchsorted(edges, quiet)
        means = [
            covariance[group == k].mean(axis=0, dtype=np.float64)
            for k in range(N_GROUP * len(seen_as))
        ]
        whiten = np.linalg.inv(np.linalg.cholesky(np.array(means))).astype(np.float32)
        axes = compression.axes
        low, high = np.array([ranges[name] for name in axes.label_names], dtype=np.float64).T
        return cls(axes, low, high, compression.shape_nodes, edges, whiten)

    @property
    def n_mode(self) -> int:
        """Coefficients of a spectrum."""
        return self.whiten.shape[1]

    @property
    def varying(self) -> tuple[str, ...]:
        """Labels whose places are fitted."""
        return tuple(np.array(self.axes.label_names)[self.high > self.low])

    def fit(
        self, seen: np.ndarray, level: np.ndarray, place: np.ndarray, frame: np.ndarray | int = 0
    ) -> LocalFit:
        """One step from guessed places.

        Parameters
        ----------
        seen : float array, shape (n_spec, n_mode)
            Observed coefficients z.
        level : float array, shape (n_spec,)
            Mean over pixels of w² e².
        place : float array, shape (n_spec, n_label)
            Of the labels that vary; beyond the prior they count as at its end.
        frame : int64 array, shape (n_spec,), or int
            Number of the frame each is seen in; 0 at rest.
        """
        guess = np.clip(place, 0.0, 1.0).astype(np.float64)
        rows = self._rows(guess)
        y = seen.astype(np.float32) / np.sqrt(level).astype(np.float32)[:, None]
        y, rows = self._whitened(y, rows, frame)
        shape, slopes = rows[:, 0], rows[:, 1:]
        power = np.einsum("nm,nm->n", shape, shape)
        amplitude = np.maximum(np.einsum("nm,nm->n", shape, y) / power, LEAST_AMPLITUDE)
        left = y - amplitude[:, None] * shape
        along = (slopes @ shape[:, :, None]) / power[:, None, None]
        slopes = amplitude[:, None, None] * (slopes - along * shape[:, None])
        prior = UNIFORM_PRECISION * np.eye(guess.shape[1])
        precision = (slopes @ slopes.swapaxes(1, 2)).astype(np.float64) + prior
        pull = (slopes @ left[:, :, None])[..., 0] + UNIFORM_PRECISION * (0.5 - guess)
        step = np.linalg.solve(precision, pull[..., None])[..., 0]
        return LocalFit(
            guess + np.clip(step, -LONGEST, LONGEST),
            _lower_root(precision),
            np.einsum("nm,nm->n", left, left).astype(np.float64) / y.shape[1],
        )

    def _rows(self, place: np.ndarray) -> np.ndarray:
        """Shape of stars and its slopes by place, float32 (n_spec, 1 + n_label, n_mode)."""
        varies = self.high > self.low
        labels = np.tile(self.low, (len(place), 1))
        labels[:, varies] += place * (self.high - self.low)[varies]
        rows = combine_slopes(self.axes, self.node_modes, labels, list(np.flatnonzero(varies)))
        rows[:, 1:] *= (self.high - self.low)[varies, None].astype(np.float32)
        return rows / np.linalg.norm(rows[:, 0], axis=1)[:, None, None]

    def _whitened(
        self, y: np.ndarray, rows: np.ndarray, frame: np.ndarray | int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and model under noise of unit covariance, by groups of stars."""
        bright = np.maximum(np.einsum("nm,nm->n", y, rows[:, 0]), LEAST_AMPLITUDE)
        group = N_GROUP * frame + np.searchsorted(self.edges, -np.log(bright))
        for k in np.unique(group):
            some = np.flatnonzero(group == k)
            y[some] = y[some] @ self.whiten[k].T
            rows[some] = rows[some] @ self.whiten[k].T
        return y, rows


def _lower_root(precision: np.ndarray) -> np.ndarray:
    """Lower triangular L with Lᵀ L = precision."""
    turned = np.linalg.cholesky(precision[:, ::-1, ::-1])
    return np.ascontiguousarray(turned[:, ::-1, ::-1].swapaxes(1, 2))
