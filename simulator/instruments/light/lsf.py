"""Line-spread function of an arm for stellar spectra: from the optics, or a user's table.

A profile is kept as its Fourier transform without the pixel, at knots along the arm. The pixel
is integrated once, and the width that a grid's spectra already have is divided out, both as
factors of that transform; the inverse is a kernel tabulated over offsets.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.kernels.lsf import Tabulated, fill_tabulated_weights
from starsmith.simulator.instruments.instrument import Instrument
from starsmith.simulator.instruments.light.lsf_table import read_lsf
from starsmith.simulator.instruments.light.mtf import (
    FREQUENCY,
    optics_modulation,
    profile_knots,
)

__all__ = [
    "KERNEL_REACH_PIXEL",
    "PixelKernel",
    "StarProfile",
    "kernel_weights",
    "pixel_kernel",
    "star_profile",
]

CORE_PIXEL, CORE_STEP = 12.0, 1.0 / 64.0  # between steps linear interpolation errs by 2e-5
WING_STEP = 0.25  # [pixel]; wings are smooth
KERNEL_REACH_PIXEL = 100.0
"""Half-width of a kernel, half the period of its Fourier sum, which folds all light into it."""

# [cycles/pixel]; finer than 1/(2 reach), or the kernel repeats
NODE_STEP = 0.5 / KERNEL_REACH_PIXEL
NODE = NODE_STEP * np.arange(1000)
"""Frequencies of the sum, from 0 on [cycle/pixel], shape (n_frequency,)."""

LEAST_TRANSFORM = 1e-6  # below, what is left of a tabulated profile is rounding


@dataclass(frozen=True, eq=False)
class StarProfile:
    """A line profile without its pixel.

    Attributes
    ----------
    wave_nm : float64, shape (n_knot,)
        Where along the arm it is known, increasing; linear between, constant outside.
    transform : complex128, shape (n_knot, n_frequency)
        At `NODE`; 1 at frequency 0. A profile shifted redward has a phase of exp(-2πi u x).
    """

    wave_nm: np.ndarray
    transform: np.ndarray


@dataclass(frozen=True, eq=False)
class PixelKernel:
    """Share of a line's light in a pixel, tabulated.

    Attributes
    ----------
    wave_nm : float64, shape (n_knot,)
    offset : float64, shape (n_offset,)
        Pixel centre minus line, increasing [pixel].
    response : float64, shape (n_knot, n_offset)
        Sums to 1 over pixels.
    """

    wave_nm: np.ndarray
    offset: np.ndarray
    response: np.ndarray

    def places(self, wave_nm: np.ndarray | float) -> np.ndarray:
        """Knot at a wavelength [nm], as a fractional row of ``response``."""
        return np.interp(wave_nm, self.wave_nm, np.arange(self.wave_nm.size, dtype=np.float64))

    def at(self, wave_nm: float, offset: np.ndarray) -> np.ndarray:
        """Response of the pixel at ``wave_nm`` [nm] to lines at an ``offset`` [pixel]."""
        step = self.places(wave_nm)
        left = min(int(step), self.wave_nm.size - 1)
        right = min(left + 1, self.wave_nm.size - 1)
        mixed = (1.0 - (step - left)) * self.response[left] + (step - left) * self.response[right]
        return np.interp(offset, self.offset, mixed, left=0.0, right=0.0)


def star_profile(instrument: Instrument) -> StarProfile:
    """Profile that spectra of stars are rendered with, where it is not a Gaussian.

    Parameters
    ----------
    instrument : Instrument
        With one arm, whose ``lsf`` is ``mtf`` or names a table.

    Returns
    -------
    profile : StarProfile

    Raises
    ------
    ConfigError
        If the table is missing, damaged or not of unit area.
    """
    arm = instrument.arm
    if arm.lsf == "mtf":
        knot = profile_knots(arm)
        # without the pixel, which is integrated later
        between = optics_modulation(arm, knot) / np.sinc(FREQUENCY)
        # smooth up to frequency 0, where it has a kink: interpolated on one side only
        known = np.hstack([np.ones((knot.size, 1)), between])
        smooth = scipy.interpolate.CubicSpline(np.insert(FREQUENCY, 0, 0.0), known, axis=1)
        return StarProfile(knot, smooth(NODE) + 0.0j)
    coefficients = arm.lsf_coefficients and instrument.table_path(arm.lsf_coefficients)
    table = read_lsf(instrument.table_path(arm.lsf), coefficients or None)
    offset = table.offset / arm.dispersion_nm if table.unit == "nm" else table.offset
    phase = 2.0 * np.pi * np.outer(offset, NODE)
    area = table.values * np.gradient(offset)  # each sample with its width
    transform = fixed.matmul(area, np.cos(phase)) - 1.0j * fixed.matmul(area, np.sin(phase))
    return StarProfile(table.wave_nm, transform / area.sum(axis=1, keepdims=True))


def pixel_kernel(
    instrument: Instrument, resolution: float, profile: StarProfile | None = None
) -> PixelKernel:
    """Kernel from spectra that have a Gaussian profile already to the instrument's pixels.

    Parameters
    ----------
    instrument : Instrument
        With one arm.
    resolution : float
        wave / FWHM of the Gaussian divided out; infinite for none.
    profile : StarProfile, optional
        `star_profile` of the instrument by default.

    Returns
    -------
    kernel : PixelKernel

    Raises
    ------
    GridError
        If the spectra are blurred more than the instrument would.
    """
    profile = profile or star_profile(instrument)
    dispersion = instrument.arm.dispersion_nm
    # of the grid's own profile [pixel²]
    variance = (profile.wave_nm / resolution / dispersion) ** 2 / (8.0 * math.log(2.0))
    size = np.abs(profile.transform)
    # dividing out a Gaussian; 300 keeps exp finite
    gain = fixed.exp(np.minimum(2.0 * (np.pi * NODE) ** 2 * variance[:, None], 300.0))
    # up to the first frequency that is mere rounding
    known = np.cumsum(size < LEAST_TRANSFORM, axis=1) == 0
    left = np.where(known, profile.transform * gain, 0.0)
    if np.any(np.abs(left) > 1.0 + 1e-6):
        raise GridError(
            f"spectra of resolution {resolution:g} are blurred more than instrument "
            f"{instrument.name!r} would blur them; use a grid of higher resolution"
        )
    core = np.arange(0.0, CORE_PIXEL, CORE_STEP)
    half = np.concatenate([core, np.arange(CORE_PIXEL, KERNEL_REACH_PIXEL, WING_STEP)])
    offset = np.concatenate([-half[:0:-1], half])  # symmetric grid, 0 once
    phase = 2.0 * np.pi * np.outer(NODE, offset)
    pixelled = 2.0 * NODE_STEP * left * np.sinc(NODE)
    pixelled[:, 0] *= 0.5  # trapezoid at frequency 0
    response = fixed.matmul(pixelled.real, np.cos(phase))
    response -= fixed.matmul(pixelled.imag, np.sin(phase))
    return PixelKernel(profile.wave_nm, offset, response)


def kernel_weights(
    instrument: Instrument,
    kernel: PixelKernel,
    taps: tuple[np.ndarray, np.ndarray],
    wave: np.ndarray,
    cell: np.ndarray,
) -> np.ndarray:
    """Weights of samples in pixel averages, pixel after pixel; each pixel's sum to 1.

    Parameters
    ----------
    instrument : Instrument
        With one arm.
    kernel : PixelKernel
    taps : (first, count)
        int64 arrays of shape (n_pixel,): each pixel's first sample and number of samples.
    wave, cell : float64 arrays, shape (n_sample,)
        Where a spectrum is sampled, and the trapezoid weight of each sample [both nm].

    Returns
    -------
    weight : float64 array, shape (sum of count,)
    """
    arm = instrument.arm
    first, count = taps
    start = np.concatenate([[0], np.cumsum(count)])
    weight = np.empty(start[-1])
    place = kernel.places(arm.wave_nm)
    table = Tabulated(kernel.offset, kernel.response, place, arm.wave_nm, arm.dispersion_nm)
    fill_tabulated_weights(weight, np.asarray(first), start, table, wave, cell)
    for low, high in pairwise(start):
        weight[low:high] /= weight[low:high].sum()
    return weight
