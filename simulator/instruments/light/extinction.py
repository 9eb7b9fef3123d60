"""Atmosphere: continuum extinction and telluric lines as an arm sees them."""

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.instruments.instrument import Instrument
from starsmith.simulator.instruments.light.mtf import modulation, pixel_response, profile_knots
from starsmith.simulator.instruments.parts import Atmosphere

__all__ = ["REACH_PIXEL", "airmass", "extinction", "object_airmass", "telluric"]

REACH_PIXEL = 16.0  # on either side of a line
"""Half-width of the window a line profile is followed over [pixel]."""

PROFILE_STEP_PIXEL = 0.125
SAMPLES_PER_PIXEL = 5  # of the calculator, counted from each block's centre redward


def airmass(zenith_angle: np.ndarray) -> np.ndarray:
    """Airmass of the glowing layer at ``zenith_angle`` [deg]; Krisciunas & Schaefer (1991)."""
    # of glowing layers (Krisciunas & Schaefer 1991)
    return 1.0 / np.sqrt(1.0 - 0.96 * np.sin(np.radians(zenith_angle)) ** 2)


def object_airmass(zenith_angle: np.ndarray) -> np.ndarray:
    """Airmass in front of a star at ``zenith_angle`` [deg]: plane-parallel."""
    return 1.0 / np.cos(np.radians(zenith_angle))


def extinction(atmosphere: Atmosphere, wave_nm: np.ndarray) -> np.ndarray:
    """Continuum extinction [mag/airmass] at ``wave_nm`` [nm], same shape."""
    return np.interp(wave_nm, atmosphere.extinction_wave_nm, atmosphere.extinction_mag_per_airmass)


def telluric(instrument: Instrument, shift_pixel: float = 0.0) -> np.ndarray:
    """Transmission of the telluric lines through the line profile.

    Parameters
    ----------
    instrument : Instrument
        With one arm.
    shift_pixel : float
        Where it is evaluated, redward of the pixel centres [pixel].

    Returns
    -------
    transmission : float64 array, shape (n_wave,)
        Mean over each pixel's response; continuum extinction not included.

    Raises
    ------
    ConfigError
        If the table ends within reach of a pixel.
    """
    arm, atmosphere = instrument.arm, instrument.atmosphere
    line_wave, line_transmission = instrument.table(atmosphere.telluric_table)
    offset, profile_at = _samples(atmosphere.telluric_sampling)
    # (n_pixel, n_sample)
    seen_nm = arm.wave_nm[:, None] + (shift_pixel + offset) * arm.dispersion_nm
    if seen_nm[0, 0] < line_wave[0] or seen_nm[-1, -1] > line_wave[-1]:
        raise ConfigError(
            f"telluric_table {atmosphere.telluric_table!r} spans {line_wave[0]:g}-"
            f"{line_wave[-1]:g} nm, but the arm sees {seen_nm[0, 0]:.2f}-{seen_nm[-1, -1]:.2f} nm"
        )
    knot = profile_knots(arm)
    smoothed = atmosphere.telluric_smoothing_sigma_nm
    profile = pixel_response(modulation(arm, knot, smoothed), profile_at)
    step = (arm.wave_nm - knot[0]) / (knot[1] - knot[0])  # place among the knots of the profile
    left = np.minimum(step.astype(int), knot.size - 2)
    fraction = (step - left)[:, None]
    weight = (1.0 - fraction) * profile[left] + fraction * profile[left + 1]
    transmission = np.interp(seen_nm, line_wave, line_transmission)
    # normalised: a featureless sky passes whole
    return np.sum(weight * transmission, axis=1) / np.sum(weight, axis=1)


def _samples(sampling: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the air is sampled and where the profile, from the pixel's centre [pixel]."""
    if sampling == "centred":
        offset = np.arange(-REACH_PIXEL, REACH_PIXEL + PROFILE_STEP_PIXEL / 2, PROFILE_STEP_PIXEL)
        return offset, offset
    block = np.arange(-REACH_PIXEL, REACH_PIXEL) + 0.5
    within = np.arange(SAMPLES_PER_PIXEL) / SAMPLES_PER_PIXEL
    return (block[:, None] + within).ravel(), np.repeat(block, SAMPLES_PER_PIXEL)
