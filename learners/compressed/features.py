"""What a network sees of a compressed spectrum: numbers without a unit, of order one.

With A the amplitude and s the noise of a coefficient, z/A is what the star's shape says and
q = s/A how well it is known. Coefficients enter twice: over their spread at that noise, and
shrunk to what the population and the noise let one expect of them (Wiener).
"""

from dataclasses import dataclass, fields

import numpy as np

from starsmith.fisher.posterior.compression import Compression

__all__ = ["Features"]

PIVOT, STRETCH = -2.4, 2.0  # of log10 q: the middle and the inverse spread over S/N 1 to 30
LEAST_AMPLITUDE = 1.0  # in units of s: fainter stars count as this bright
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
        weight = self.weight.astype(np.float32)
        seen = flux @ (self.modes * self.weight).T.astype(np.float32)
        return seen, np.square(error * weight).mean(axis=1)

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
        n_mode = len(self.modes)
        good, rows = ~bad, self.modes[:, ~bad]
        value = flux[good].astype(np.float64) * self.weight[good]
        variance = (error[good] * self.weight[good]).astype(np.float64) ** 2
        level = float(variance.mean())
        mean, spread = self._conditional(rows, value, variance)
        gap = self.modes[:, bad] @ self.modes[:, bad].T
        drawn = mean + numbers[:, :n_mode] @ spread.T
        noise = numbers[:, n_mode:] @ _root(gap * level).T
        return rows @ value + drawn @ gap + noise, level

    def _conditional(
        self, rows: np.ndarray, value: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the noiseless coefficients given good pixels, and a root of their covariance."""
        template = self.centre @ rows
        amplitude = np.sum(template * value / variance) / np.sum(template**2 / variance)
        amplitude = max(amplitude, np.sqrt(variance.mean()))
        prior = self.covariance + LOOSE * np.outer(self.centre, self.centre)
        prior = amplitude**2 * (prior + 1e-12 * np.trace(prior) * np.eye(len(prior)))
        precision = (rows / variance) @ rows.T + np.linalg.inv(prior)
        middle = amplitude * self.centre
        mean = middle + np.linalg.solve(precision, (rows / variance) @ (value - middle @ rows))
        return mean, np.linalg.inv(np.linalg.cholesky(precision)).T


def _root(matrix: np.ndarray) -> np.ndarray:
    """R with R Rᵀ = a matrix that may be singular."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))
