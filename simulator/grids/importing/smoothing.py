"""Spectra of any sampling brought to one Gaussian resolution and one set of wavelengths."""

import math

import numpy as np
from scipy.ndimage import gaussian_filter1d

from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.errors import GridError
from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum

__all__ = ["SAMPLES_PER_FWHM", "smooth_spectrum"]

SAMPLES_PER_FWHM = 3
BINS_PER_SAMPLE = 8
REACH_SIGMA = 5.0  # beyond, a Gaussian holds 6e-7
MOST_BINS = 2**25


def smooth_spectrum(
    spectrum: ModelSpectrum,
    carried: float,
    resolution: float,
    wave_min: float | None,
    wave_max: float | None,
) -> ModelSpectrum:
    """Spectrum at a resolution, three samples a FWHM, the same samples for every model.

    The stored spectrum, linear between its samples, is averaged over bins of 1/24 FWHM and smeared
    with what is left of the Gaussian; samples lie at whole multiples of 1 / (3 R) in ln(wave).

    Parameters
    ----------
    spectrum : ModelSpectrum
    carried, resolution : float
        wave / FWHM of the Gaussian the spectrum carries, and of the one it shall carry.
    wave_min, wave_max : float, optional
        Range kept [Å]; as much as the kernel allows where not given.

    Raises
    ------
    GridError
        If the spectrum is coarser, or its range too short.
    """
    if not carried > resolution:
        raise GridError(
            f"it carries R = {carried:g}, which cannot be brought to {resolution:g}; lower "
            "--to-resolution"
        )
    step = 1.0 / (SAMPLES_PER_FWHM * resolution * BINS_PER_SAMPLE)
    variance = FWHM_TO_SIGMA**2 * (resolution**-2 - carried**-2) - step**2 / 12.0
    sigma = math.sqrt(max(variance, 0.0)) / step
    reach = math.ceil(REACH_SIGMA * sigma) + 1
    held = np.log(spectrum.wave[[0, -1]]) / step + np.array([reach + 1, -reach - 1])
    low, high = _range(held * step, wave_min, wave_max)
    per_sample = step * BINS_PER_SAMPLE
    first, last = math.ceil(low / per_sample), math.floor(high / per_sample)
    n_bin = (last - first) * BINS_PER_SAMPLE + 2 * reach + 1
    if last - first < 2 or n_bin > MOST_BINS:
        raise GridError(
            f"its {spectrum.wave[0]:.2f}..{spectrum.wave[-1]:.2f} Å give {max(last - first, 0)} "
            f"samples at R = {resolution:g}; give --wave-min and --wave-max inside its range"
        )
    bins = first * BINS_PER_SAMPLE - reach + np.arange(n_bin + 1) - 0.5
    edge = np.exp(bins * step)
    rows = [
        None if values is None else _smeared(spectrum.wave, values, edge, sigma, reach)
        for values in (spectrum.flux, spectrum.continuum)
    ]
    wave = np.exp(np.arange(first, last + 1) * per_sample)
    return ModelSpectrum(wave=wave, flux=rows[0], continuum=rows[1])  # type: ignore[arg-type]


def _range(held: np.ndarray, wave_min: float | None, wave_max: float | None) -> tuple[float, float]:
    """Logarithms of the range kept, which must lie within the one held."""
    low, high = (
        end if given is None else math.log(given)
        for end, given in zip(held.tolist(), (wave_min, wave_max), strict=True)
    )
    if low < held[0] or high > held[1]:
        raise GridError(
            f"smoothed, it covers {math.exp(held[0]):.2f}..{math.exp(held[1]):.2f} Å, not the "
            f"{math.exp(low):.2f}..{math.exp(high):.2f} Å asked for; narrow --wave-min, --wave-max"
        )
    return low, high


def _smeared(
    wave: np.ndarray, values: np.ndarray, edge: np.ndarray, sigma: float, reach: int
) -> np.ndarray:
    """Means of a spectrum over bins, smeared, at every `BINS_PER_SAMPLE`-th bin."""
    values = values.astype(np.float64)
    width, rise = np.diff(wave), np.diff(values)
    integral = np.concatenate([[0.0], np.cumsum(width * (values[:-1] + 0.5 * rise))])
    cell = np.clip(np.searchsorted(wave, edge, side="right") - 1, 0, wave.size - 2)
    into = edge - wave[cell]
    at_edge = integral[cell] + into * (values[cell] + 0.5 * rise[cell] / width[cell] * into)
    means = np.diff(at_edge) / np.diff(edge)
    smeared = gaussian_filter1d(means, sigma, truncate=REACH_SIGMA) if sigma > 0 else means
    return smeared[reach : means.size - reach : BINS_PER_SAMPLE].astype(np.float32)
