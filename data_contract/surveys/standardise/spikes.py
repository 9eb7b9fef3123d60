"""Spikes: pixels that light through the spectrograph's optics cannot have made."""

import numpy as np
import scipy
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d

from starsmith.data_contract.constants import FWHM_TO_SIGMA, MAD_TO_SIGMA
from starsmith.data_contract.errors import DataError

__all__ = ["SPIKE_METHODS", "find_spikes", "printed_spikes"]

SPIKE_METHODS = ("aware", "printed")

NEIGHBOUR = np.array([-3, -2, -1, 1, 2, 3])
TYPICAL_FWHM = 2.5  # pixel; where nobody knows better
LINE_AMPLITUDE = 30.0  # of the prior of lines, over the noise
NOT_GAUSSIAN = 0.03  # of a line: what the wings of real profiles differ by
SIGNIFICANT = 5.0  # of the noise of a pixel less its prediction
BRIDGED = 0.6  # of a line's depth, by which a straight line across a hole may err
DARK = 0.3  # of what a dark pixel lacks of its prediction, by which it is below its neighbours
BASELINE = 51  # pixel; wider than a line's core
MOST_ROUNDS = 10  # a spike of n pixels takes n
NOISE_PIXELS = 201
WINDOW, LIMIT = 101, 10.0  # of the printed recipe


def _prediction(fwhm: float) -> tuple[np.ndarray, float]:
    """Weights of six neighbours that predict a pixel, and the share of a line they may miss.

    The best linear prediction of a process of lines of the LSF's width, 30 times the noise
    (Wiener 1949): C w = c, C of Gaussians exp(-Δ²/4σ²) and of white noise.
    """
    sigma = FWHM_TO_SIGMA * fwhm

    def covariance(lag: np.ndarray) -> np.ndarray:
        return LINE_AMPLITUDE**2 * np.exp(-(lag**2) / (4.0 * sigma**2))

    apart = NEIGHBOUR[:, None] - NEIGHBOUR[None, :]
    weight = scipy.linalg.solve(covariance(apart) + np.eye(NEIGHBOUR.size), covariance(NEIGHBOUR))
    centre = np.linspace(-4.0, 4.0, 161)[:, None]
    line = np.exp(-0.5 * ((NEIGHBOUR - centre) / sigma) ** 2)
    missed = np.abs(np.exp(-0.5 * (centre[:, 0] / sigma) ** 2) - line @ weight)
    return weight, NOT_GAUSSIAN + float((missed / line.max(axis=1)).max())


def find_spikes(
    flux: np.ndarray,
    error: np.ndarray | None,
    usable: np.ndarray,
    fwhm_pixel: float | None = None,
) -> np.ndarray:
    r"""Find pixels that stand out of what their neighbours allow, bool (n_wave,).

    A line is as wide as the LSF, so that its neighbours know of it; a cosmic ray is not. With p
    the prediction from three neighbours on either side, d the largest departure of theirs from a
    running median, and q the share of a line that the prediction misses, a spike has

    .. math:: |f_i - p_i| > 5 \sqrt{\sigma_i^2 + \Sigma w^2 \sigma^2} + q\, d

    Found pixels are bridged and the rest looked at again; one between two found is taken with them.

    Parameters
    ----------
    flux, error : float arrays, shape (n_wave,)
        Native pixels of one arm; without an error, the scatter of f - p stands for it.
    usable : bool array, shape (n_wave,)
    fwhm_pixel : float, optional
        Of the LSF [pixel]; 2.5 where it is unknown.
    """
    found = np.zeros(flux.shape, dtype=bool)
    if usable.sum() < 2 * BASELINE:
        return found
    fwhm = fwhm_pixel if fwhm_pixel and np.isfinite(fwhm_pixel) else TYPICAL_FWHM
    weight, missed = _prediction(fwhm)
    pixel = np.arange(flux.size)
    variance = None
    if error is not None:
        good = np.interp(pixel, pixel[usable], error[usable].astype(np.float64)) ** 2
        variance = good + _around(good, weight**2)
    for _ in range(MOST_ROUNDS):
        kept = usable & ~found
        bridged = np.interp(pixel, pixel[kept], flux[kept].astype(np.float64))
        level = median_filter(bridged, BASELINE, mode="nearest")
        away = np.abs(bridged - level)
        excess = bridged - level - _around(bridged - level, weight)
        stands = np.abs(excess)
        noise = _scatter(stands) if variance is None else np.sqrt(variance)
        known = np.max(_neighbours(away), axis=0)
        holes = maximum_filter1d(~kept, 3)
        ratio = stands / (SIGNIFICANT * noise + np.where(holes, BRIDGED, missed) * known)
        new = kept & (ratio > 1.0) & (ratio == maximum_filter1d(ratio, 7))
        if not new.any():
            break
        found[_culprits(np.flatnonzero(new), excess, bridged)] = True
        found &= usable
    between = np.zeros_like(found)
    between[1:-1] = found[:-2] & found[2:]
    return found | (between & usable)


def _culprits(at: np.ndarray, excess: np.ndarray, flux: np.ndarray) -> np.ndarray:
    """Pixels to blame: beside a spike of several pixels the prediction is what is wrong.

    A pixel below its prediction is itself the culprit where it is darker than both neighbours;
    else it is the brighter of them.
    """
    left, right = np.maximum(at - 1, 0), np.minimum(at + 1, flux.size - 1)
    darker = np.minimum(flux[left], flux[right]) - flux[at] > DARK * np.abs(excess[at])
    brighter = np.where(flux[left] > flux[right], left, right)
    return np.where((excess[at] > 0) | darker, at, brighter)


def _neighbours(values: np.ndarray) -> np.ndarray:
    """Values of the six neighbours of every pixel, (6, n_wave), reflected at the ends."""
    reach = NEIGHBOUR.max()
    padded = np.pad(values, reach, mode="reflect")
    return np.stack([padded[reach + k : reach + k + values.size] for k in NEIGHBOUR])


def _around(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return weight @ _neighbours(values)


def _scatter(stands: np.ndarray) -> np.ndarray:
    return MAD_TO_SIGMA * np.maximum(
        median_filter(stands, min(NOISE_PIXELS, stands.size), mode="nearest"),
        1e-12 * stands.max() + np.finfo(float).tiny,
    )


def printed_spikes(flux: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Find spikes as a paper prints it, bool (n_wave,): it takes cores of strong lines, too.

    Those more than 10 × 1.4826 MAD from the median of the residuals of a moving average over
    101 pixels (Zhao et al. 2026, Eq. L.5). It flags cores of the Ca II triplet from S/N 50 on.

    Raises
    ------
    DataError
        If there are fewer than 101 usable pixels.
    """
    pixel = np.arange(flux.size)
    if usable.sum() < WINDOW:
        raise DataError(f"spikes as printed need {WINDOW} usable pixels, found {usable.sum()}")
    bridged = np.interp(pixel, pixel[usable], flux[usable].astype(np.float64))
    residual = bridged - uniform_filter1d(bridged, WINDOW, mode="nearest")
    residual -= np.median(residual)
    return usable & (np.abs(residual) > LIMIT * MAD_TO_SIGMA * np.median(np.abs(residual)))
