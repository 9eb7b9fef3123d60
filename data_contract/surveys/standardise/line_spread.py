"""Line-spread functions brought to a target's: sharper ones are smeared, broader ones told."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array

from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.kernels.lsf import N_SIGMA
from starsmith.data_contract.surveys.standardise.resampling import (
    Operator,
    pixel_edges,
    resampling_matrix,
)

__all__ = ["LineMatch", "brought_to", "match_lines"]

TOLERANCE = 0.02  # of the target's FWHM: widths of lines are hardly known better
FIVE_TAPS = 0.75  # pixel; of narrower Gaussians samples have another width


@dataclass(frozen=True, eq=False)
class LineMatch:
    """What brings lines to a target's width.

    Attributes
    ----------
    matrix : csr_array, shape (n_wave, n_wave), or None
        Rows sum to 1; None where there is nothing to do.
    broader : bool, shape (n_wave,)
        Where lines are broader than the target's by more than 2 %: nothing is done there.
    """

    matrix: csr_array | None
    broader: np.ndarray


def match_lines(
    wave: np.ndarray, fwhm: float | np.ndarray, target_fwhm: float | np.ndarray
) -> LineMatch:
    r"""Find the Gaussian that lacks between two line profiles, as a matrix on native pixels.

    .. math:: \sigma^2 = (\mathrm{FWHM}_\mathrm{target}^2 - \mathrm{FWHM}^2) / (8 \ln 2)

    Of pixels that are averages the result is too: a box and a Gaussian commute. Below 0.75 pixel
    the samples of a Gaussian have another variance than it; five weights with its second and
    fourth moment stand for it, (3σ⁴ - σ²)/24 two pixels away, σ²/2 less four of them next to it.

    Parameters
    ----------
    wave : float64 array, shape (n_wave,)
        Of one arm, increasing [Å].
    fwhm, target_fwhm : float, or float array of shape (n_wave,)
        Of Gaussians, pixel included in both or in neither [Å]; NaN where it is unknown.
    """
    width, target = (
        np.broadcast_to(np.asarray(w, np.float64), wave.shape) for w in (fwhm, target_fwhm)
    )
    broader = width > (1.0 + TOLERANCE) * target
    with np.errstate(invalid="ignore"):
        lacking = np.sqrt(np.maximum(target**2 - width**2, 0.0)) * FWHM_TO_SIGMA
    lacking = np.where(np.isfinite(lacking), lacking, 0.0) / np.diff(pixel_edges(wave))
    if not lacking.any():
        return LineMatch(None, broader)
    reach = max(2, int(np.ceil(N_SIGMA * lacking.max())))
    offset = np.arange(-reach, reach + 1)
    weight = _gaussians(lacking, offset)
    column = np.arange(wave.size)[:, None] + offset
    weight[(column < 0) | (column >= wave.size)] = 0.0
    weight /= weight.sum(axis=1, keepdims=True)
    kept = weight != 0.0
    start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    shape = (wave.size, wave.size)
    return LineMatch(csr_array((weight[kept], column[kept], start), shape=shape), broader)


def brought_to(
    source: np.ndarray,
    wave: np.ndarray,
    method: str,
    widths: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Operator, np.ndarray]:
    """Operator that smears and resamples, and where lines are broader; the last eight are kept.

    Parameters
    ----------
    source : float64 array, shape (n_source,)
        Pixels of one arm [Å].
    wave : float64 array, shape (n_wave,)
        New pixels [Å].
    method : str
        One of `METHODS`.
    widths : pair of float arrays, shape (n_source,), optional
        FWHM of lines and of the target's [Å]; nothing is smeared without.
    """
    arrays = (source, wave, *(widths or ()))
    return _kept(method, *(np.ascontiguousarray(a, dtype=np.float64).tobytes() for a in arrays))


@lru_cache(maxsize=8)
def _kept(method: str, *arrays: bytes) -> tuple[Operator, np.ndarray]:
    source, wave, *widths = (np.frombuffer(array) for array in arrays)
    matrix = resampling_matrix(source, wave, method)
    if not widths:
        return Operator.of(matrix), np.zeros(source.size, bool)
    match = match_lines(source, fwhm=widths[0], target_fwhm=widths[1])
    if match.matrix is not None:
        matrix = csr_array(matrix @ match.matrix)
    return Operator.of(matrix), match.broader


def _gaussians(sigma: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Weights at whole pixels, float64 (n_wave, n_offset), of Gaussians [pixel]."""
    narrow = sigma < FIVE_TAPS
    variance = sigma**2
    with np.errstate(divide="ignore", under="ignore"):
        wide = np.exp(-0.5 * offset**2 / np.where(narrow, 1.0, variance)[:, None])
    wide /= wide.sum(axis=1, keepdims=True)
    second = (3.0 * variance**2 - variance) / 24.0
    first = 0.5 * variance - 4.0 * second
    taps = np.stack([1.0 - 2.0 * (first + second), first, second], axis=1)
    near = np.abs(offset) <= 2
    five = np.zeros_like(wide)
    five[:, near] = taps[:, np.abs(offset[near])]
    return np.where(narrow[:, None], five, wide)
