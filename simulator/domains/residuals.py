"""What reduction leaves in real spectra: errors of the flux calibration, and of the sky's lines."""

import numpy as np

from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.fixed_math import matmul
from starsmith.simulator.instruments.instrument import BUILTIN

__all__ = ["FOR_SKY", "N_CALIBRATION", "calibration_modes", "sky_modes", "with_residuals"]

N_CALIBRATION = 5  # Legendre polynomials 1..5 of wavelength
FOR_SKY = {"flux_calibration": 0.03, "sky": 0.3}
"""Knobs of a domain for models meant for real spectra; sizes are assumed."""

# lines of the UVES atlas (Hanuschik 2003), with the first wavelength each table is used from [nm]
SKY_LINES = (("sky_lines_b.csv", 0.0), ("sky_lines_r.csv", 640.0), ("sky_lines_n.csv", 955.0))
N_SIGMA = 5.0


def calibration_modes(wave: np.ndarray) -> np.ndarray:
    """Legendre polynomials 1..5 over a range of wavelengths, (5, n_wave)."""
    place = 2.0 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1.0
    return np.polynomial.legendre.legvander(place, N_CALIBRATION)[:, 1:].T


def sky_modes(wave: np.ndarray, fwhm: np.ndarray) -> np.ndarray:
    """Sky lines and their derivative by wavelength, each of rms 1; zeros where none is known.

    What a wrong scale and a wrong place of the lines leave.

    Parameters
    ----------
    wave, fwhm : float64 arrays, shape (n_wave,)
        Centres of the pixels [vacuum Å], and the width of lines there [Å].

    Returns
    -------
    modes : float64 array, shape (2, n_wave)
    """
    modes = np.zeros((2, wave.size))
    for line, strength in _lines().T:
        at = min(int(np.searchsorted(wave, line)), wave.size - 1)
        sigma = FWHM_TO_SIGMA * fwhm[at]
        near = slice(*np.searchsorted(wave, (line - N_SIGMA * sigma, line + N_SIGMA * sigma)))
        away = (wave[near] - line) / sigma
        profile = strength * np.exp(-0.5 * np.square(away)) / sigma
        modes[0, near] += profile
        modes[1, near] += profile * away
    size = np.sqrt(np.square(modes).mean(axis=1, keepdims=True))
    return modes / np.where(size > 0.0, size, 1.0)


def with_residuals(
    flux: np.ndarray, wave: np.ndarray, fwhm: np.ndarray, snr: float, seed: int
) -> np.ndarray:
    """Spectra with errors of calibration and sky of the sizes of `FOR_SKY`, keyed by star.

    Parameters
    ----------
    flux : float64 array, shape (n_spec, n_wave)
        Noiseless.
    wave, fwhm : float64 arrays, shape (n_wave,)
        Centres of the pixels [vacuum Å], and the width of lines there [Å].
    snr : float
        At which the sky's residual is in units of noise.
    seed : int

    Returns
    -------
    flux : float64 array, shape (n_spec, n_wave)
    """
    modes, sky = calibration_modes(wave), sky_modes(wave, fwhm)
    draw = np.array([
        np.random.default_rng([seed, 46, star]).standard_normal(len(modes) + len(sky))
        for star in range(len(flux))
    ])  # fmt: skip
    left = matmul(FOR_SKY["sky"] / np.sqrt(2.0) / snr * draw[:, len(modes) :], sky)
    scale = 1.0 + matmul(FOR_SKY["flux_calibration"] * draw[:, : len(modes)], modes)
    return flux * scale + flux.mean(axis=1, keepdims=True) * left


def _lines() -> np.ndarray:
    """Wavelengths [vacuum Å] and strengths of the night sky's lines, 378-1262 nm, (2, n_line)."""
    ends = [start for _, start in SKY_LINES[1:]] + [np.inf]
    parts = []
    for (name, start), end in zip(SKY_LINES, ends, strict=True):
        wave, strength = np.loadtxt(BUILTIN / name, delimiter=",", comments=("#", "w")).T
        inside = (wave >= start) & (wave < end)
        parts.append([10.0 * wave[inside], np.maximum(strength[inside], 0.0)])
    return np.concatenate(parts, axis=1)
