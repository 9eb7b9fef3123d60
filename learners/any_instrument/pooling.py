"""Native pixels pooled by their keys: attention whose weights are inverse variances.

A pixel is a token of flux f, inverse variance 1/σ² and key b (`field`). With A the star's
amplitude, f = A (b₀ + Σ_k a_k b_k) + noise and the amounts a standard normal over the stars. Their
posterior is what attention of every key to every pixel gives, solved for what the keys share:

    M = P + Σ_i b_i b_iᵀ / σ_i²,      c = M⁻¹ (p + Σ_i b_i f_i / σ_i²),

with P and p of the prior. It needs no common pixels, and a masked one has no weight.
"""

from dataclasses import dataclass

import numpy as np

from starsmith.learners.any_instrument.field import Field
from starsmith.learners.preprocess import iterate_blocks

__all__ = ["Tokens", "n_feature"]

LOOSE = 10.0  # standard deviation of the amplitude, over its first estimate
LEAST_SNR = 1.0  # of all pixels together: fainter stars count as this bright
BLOCK = 512
LEAST_SHRUNK = 1e-3  # variance of a posterior mean over that of the prior
PIVOT, STRETCH = 2.5, 1.5  # of log10 S/N of all pixels together: about 0, of order one


def n_feature(n_key: int) -> int:
    """Numbers a network sees of each spectrum, with ``n_key`` keys besides the mean."""
    return 3 * n_key + 1


@dataclass(frozen=True, eq=False)
class Tokens:
    """An instrument's pixels as tokens.

    Attributes
    ----------
    keys : float32 array, shape (n_wave, n_key + 1)
        The mean spectrum first.
    products : float32 array, shape (n_wave, n_pair)
        Products of every two keys of a pixel.
    known : bool array, shape (n_wave,)
        Pixels that the field knows; others have no weight.
    """

    keys: np.ndarray
    products: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, field: Field, wave: np.ndarray, fwhm: np.ndarray) -> "Tokens":
        """Tokens of pixels; DataError where the field knows hardly one."""
        keys, known = field.keys(wave, fwhm)
        first, second = np.triu_indices(keys.shape[1])
        products = (keys[:, first] * keys[:, second]).astype(np.float32)
        return cls(keys.astype(np.float32), products, known)

    def features(self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """What a network sees of spectra, float32 (n_spec, 3 n_key + 1).

        Parameters
        ----------
        flux, error : float arrays, shape (n_spec, n_wave)
            Any linear unit, the same for both.
        mask : integer array, shape (n_spec, n_wave)
            0 = good.
        """
        parts = [
            self._features(flux[rows], error[rows], mask[rows])
            for rows in iterate_blocks(len(flux), BLOCK)
        ]
        return np.concatenate(parts)

    def _features(self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray) -> np.ndarray:
        good = (mask == 0) & self.known
        scale = np.where(good, error, 0.0).sum(axis=1) / np.maximum(good.sum(axis=1), 1)
        scale = np.where(scale > 0, scale, 1.0)[:, None]  # any unit: of order one from here on
        sigma = np.where(good, error / scale, 1.0)
        weight = np.where(good, 1.0 / np.square(sigma), 0.0).astype(np.float32)
        seen = np.where(good, flux / scale, 0.0).astype(np.float32) * weight
        pull = (seen @ self.keys).astype(np.float64)
        inner = self._inner(weight)
        norm = np.sqrt(np.maximum(inner[:, 0, 0], 1e-30))
        amplitude = np.maximum(pull[:, 0] / norm, LEAST_SNR) / norm
        return _posterior(inner, pull, amplitude, norm)

    def _inner(self, weight: np.ndarray) -> np.ndarray:
        """Sum over pixels of products of keys, weighted, float64 (n_spec, n_key + 1, n_key + 1)."""
        n_key = self.keys.shape[1]
        first, second = np.triu_indices(n_key)
        inner = np.empty((len(weight), n_key, n_key))
        inner[:, first, second] = weight @ self.products
        inner[:, second, first] = inner[:, first, second]
        return inner


def _posterior(
    inner: np.ndarray, pull: np.ndarray, amplitude: np.ndarray, norm: np.ndarray
) -> np.ndarray:
    """Posterior means of the amounts, the same over their spread, their variance, and log S/N."""
    n_key = inner.shape[1]
    square = np.square(amplitude)[:, None]
    precision = inner.copy()
    diagonal = np.full((1, n_key), 1.0)
    diagonal[:, 0] = LOOSE**-2
    prior = diagonal / square
    precision[:, np.arange(n_key), np.arange(n_key)] += prior
    start = np.zeros_like(pull)
    start[:, 0] = prior[:, 0] * amplitude
    covariance = np.linalg.inv(precision)
    found = np.einsum("ijk,ik->ij", covariance, pull + start)
    level = np.maximum(found[:, :1], 0.1 * amplitude[:, None])
    variance = np.einsum("ijj->ij", covariance)[:, 1:] / square
    mean = found[:, 1:] / level
    shrunk = np.maximum(1.0 - variance, LEAST_SHRUNK)
    snr = np.log10(np.maximum(amplitude * norm, LEAST_SNR))[:, None]
    parts = [mean, mean / np.sqrt(shrunk), 2.0 * np.sqrt(np.clip(variance, 0.0, 1.0)) - 1.0]
    return np.concatenate([*parts, STRETCH * (snr - PIVOT)], axis=1).astype(np.float32)
