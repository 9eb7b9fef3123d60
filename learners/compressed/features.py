"""What a network sees of a compressed spectrum: numbers without a unit, of order one.

With A the amplitude and s the noise of a coefficient, z/A is what the star's shape says and
q = s/A how well it is known. Coefficients enter twice: over their spread at that noise, and
shrunk to what the population and the noise let one expect of them (Wiener).
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from starsmith.fisher.posterior.compression import Compression
from starsmith.learners.preprocess import iterate_blocks

__all__ = ["Features"]

PIVOT, STRETCH = -2.4, 2.0  # of log10 q: the middle and the inverse spread over S/N 1 to 30
LEAST_AMPLITUDE = 1.0  # in units of s: fainter stars count as this bright
BLOCK = 64  # spectra at a time: their errors stay in the caches
PIXELS = 1024  # of modes at a time, likewise
LOOSE = 100.0  # how much freer than the population's the amplitude of a masked star is


@dataclass(frozen=True)
class Features:
    """Projection of spectra, and the scales of what it gives.

    Attributes
    ----------
    weight : float64, shape (n_wave,)
        1 / typical σ of a pixel [1/flux].
    modes : float64, shape (n_mode, n_wave)
        Orthonormal rows.
    centre : float64, shape (n_mode,)
        Mean of z/A over the population; its direction gives the amplitude.
    covariance : float64, shape (n_mode, n_mode)
        Of z/A.
    """

    weight: np.ndarray
    modes: np.ndarray
    centre: np.ndarray
    covariance: np.ndarray

    @classmethod
    def measure(cls, compression: Compression, noiseless: np.ndarray) -> "Features":
        """Scales of noiseless coefficients, float64 (n_star, n_mode)."""
        mean = noiseless.mean(axis=0)
        direction = mean / np.linalg.norm(mean)
        shape = noiseless / (noiseless @ direction)[:, None]
        return cls(
            compression.weight, compression.modes, shape.mean(axis=0), np.cov(shape, rowvar=False)
        )

    @property
    def n_input(self) -> int:
        """Numbers a network sees of each spectrum."""
        return 2 * len(self.modes) + 1

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array by the name it has in a checkpoint."""
        return {f"features.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "Features":
        """Inverse of `tensors`; other names are ignored."""
        return cls(*(tensors[f"features.{field.name}"] for field in fields(cls)))

    def of(self, seen: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Network input, float32 (n_spec, n_input).

        Parameters
        ----------
        seen : float array, shape (n_spec, n_mode)
            Observed coefficients z.
        level : float array, shape (n_spec,)
            Mean over pixels of w² e²: s².
        """
        direction = (self.centre / np.linalg.norm(self.centre)).astype(seen.dtype)
        noise = np.sqrt(level).astype(seen.dtype)
        amplitude = np.maximum(seen @ direction, LEAST_AMPLITUDE * noise)
        ratio = (noise / amplitude)[:, None]
        shape = seen / amplitude[:, None] - self.centre.astype(seen.dtype)
        spread = np.diagonal(self.covariance).astype(seen.dtype)
        total = spread + ratio**2
        both = shape / np.sqrt(total), shape * np.sqrt(spread) / total
        return np.concatenate(
            [*both, STRETCH * (np.log10(ratio) - PIVOT)], axis=1, dtype=np.float32
        )

    def project(self, flux: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and level of spectra without a bad pixel.

        Parameters
        ----------
        flux, error : float32 arrays, shape (n_spec, n_wave)
            Any linear unit, the same for both.

        Returns
        -------
        seen : float32 array, shape (n_spec, n_mode)
        level : float32 array, shape (n_spec,)
        """
        seen = flux @ (self.modes * self.weight).T.astype(np.float32)
        return seen, self.level(error)

    def level(self, error: np.ndarray) -> np.ndarray:
        """Mean over pixels of w² e², float32 (n_spec,), of errors (n_spec, n_wave)."""
        weight = self.weight.astype(np.float32)
        blocks = iterate_blocks(len(error), BLOCK)
        return np.concatenate([np.square(error[rows] * weight).mean(axis=1) for rows in blocks])

    def complete(
        self, flux: np.ndarray, error: np.ndarray, bad: np.ndarray, numbers: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Coefficients of one spectrum whose bad pixels are drawn, given the good ones.

        A least-squares fit of the coefficients to the good pixels, weighted by the spectrum's
        own errors, with the population as prior; then draws of what the bad pixels would have
        held, noise included (multiple imputation, Rubin 1987).

        Parameters
        ----------
        flux, error : float arrays, shape (n_wave,)
        bad : bool array, shape (n_wave,)
        numbers : float array, shape (n_draw, 2 n_mode)
            Standard normals.

        Returns
        -------
        seen : float64 array, shape (n_draw, n_mode)
        level : float
        """
        n_mode, good = len(self.modes), ~bad
        weight = np.where(good, self.weight, 0.0).astype(np.float32)
        value = np.where(good, flux, 0.0).astype(np.float32) * weight
        variance = np.square(error.astype(np.float32) * weight)
        level = float(variance[good].mean(dtype=np.float64))
        inverse = np.divide(1.0, variance, out=np.zeros_like(variance), where=good)
        mean, root = self._conditional(value, inverse, level)
        lost = self._columns[bad]
        gap = (lost.T @ lost).astype(np.float64)
        drawn = mean + solve_triangular(root, numbers[:, :n_mode].T, lower=True, trans=1).T
        noise = numbers[:, n_mode:] @ _root(gap * level).T
        return value @ self._columns + drawn @ gap + noise, level

    @cached_property
    def _columns(self) -> np.ndarray:
        """Modes pixel by pixel, float32 (n_wave, n_mode)."""
        return np.ascontiguousarray(self.modes.T, dtype=np.float32)

    @cached_property
    def _precision(self) -> np.ndarray:
        """Inverse covariance of the population's z/A, the amplitude far freer."""
        prior = self.covariance + LOOSE * np.outer(self.centre, self.centre)
        return np.linalg.inv(prior + 1e-12 * np.trace(prior) * np.eye(len(prior)))

    def _conditional(
        self, value: np.ndarray, inverse: np.ndarray, level: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the noiseless coefficients given good pixels, and L of their precision L Lᵀ.

        Products over pixels are of single precision: the coefficients are known to no better.
        """
        gram, root = np.zeros((len(self.modes), len(self.modes))), np.sqrt(inverse)
        for some in iterate_blocks(len(root), PIXELS):
            scaled = self._columns[some] * root[some, None]
            gram += scaled.T @ scaled
        cross = ((inverse * value) @ self._columns).astype(np.float64)
        amplitude = (self.centre @ cross) / (self.centre @ gram @ self.centre)
        amplitude = max(amplitude, np.sqrt(level))
        middle = amplitude * self.centre
        root = np.linalg.cholesky(gram + self._precision / amplitude**2)
        return middle + cho_solve((root, True), cross - gram @ middle), root


def _root(matrix: np.ndarray) -> np.ndarray:
    """R with R Rᵀ = a matrix that may be singular, to a millionth of its trace."""
    return np.linalg.cholesky(matrix + 1e-6 * np.trace(matrix) * np.eye(len(matrix)))
