"""Night sky: emission lines spread by the line profile, and the continuum between them."""

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.constants import PHOTONS_PER_ERG_NM
from starsmith.simulator.instruments.instrument import Instrument
from starsmith.simulator.instruments.light.extinction import (
    REACH_PIXEL,
    airmass,
    extinction,
    object_airmass,
)
from starsmith.simulator.instruments.light.mtf import modulation, pixel_response, trace_fraction

__all__ = ["efficiency", "sky_continuum", "sky_lines", "sky_rate"]

CONTINUUM_FROM_NM = 370.0  # the model was fitted to a spectrum of the optical
LINE_UNIT_ERG = 1.0e-12  # of the line table, erg/s/m²/arcsec²


def efficiency(instrument: Instrument, wave_nm: np.ndarray) -> np.ndarray:
    """Electrons per photon from telescope to detector at ``wave_nm`` [nm], same shape."""
    arm = instrument.arm
    return arm.throughput_factor * np.interp(wave_nm, arm.throughput_wave_nm, arm.throughput)


def sky_continuum(wave_nm: np.ndarray) -> np.ndarray:
    """Dark-sky continuum above the atmosphere's absorption, at one airmass.

    Continuum model 6 of the PFS exposure-time calculator: J. Gunn's sky spectrum, modified.

    Parameters
    ----------
    wave_nm : float64 array, shape (n_wave,)
        [nm], above 370.

    Returns
    -------
    continuum : float64 array, shape (n_wave,)
        [photon/s/m²/arcsec²/nm].
    """
    red = 24.316 - 5.199e-3 * wave_nm + 1.465e-6 * wave_nm**2
    # mag/arcsec² of a fit to the dark sky
    blue = 27.166 - 1.419e-2 * wave_nm + 8.541e-6 * wave_nm**2
    mag = np.where(wave_nm > 600.0, red, blue)
    mag -= 0.55 * fixed.exp(-0.005 * (wave_nm - 594.0) ** 2) + 6.14656e9 / fixed.power(wave_nm, 4)
    # erg/s/m²/arcsec²/nm
    surface = 1e-11 * 0.01089 * fixed.power(10.0, 0.4 * (22.5 - mag)) * 1e6 / wave_nm**2
    blue_correction = np.where(wave_nm > 800.0, 1.0, 1.77400498 - 1.02278215e-3 * wave_nm)
    return surface * blue_correction * PHOTONS_PER_ERG_NM * wave_nm


def sky_lines(instrument: Instrument, zenith_angle: np.ndarray) -> np.ndarray:
    """Sky-line electrons in each extracted pixel.

    Parameters
    ----------
    instrument : Instrument
    zenith_angle : float64 array, shape (n_zenith,)
        [deg].

    Returns
    -------
    rate : float64 array, shape (n_zenith, n_wave)
        [electron/s/m²/arcsec²]. A line fills 32 pixels, as in the exposure-time calculator:
        those around it, or the first or last of the arm; negative intensities count as none.
    """
    arm, sky = instrument.arm, instrument.sky
    wave, intensity = instrument.table(sky.line_table)
    # place of the line [pixel]
    centre = (wave - arm.wave_nm[0]) / arm.dispersion_nm + sky.line_shift_pixel
    near = (centre > -REACH_PIXEL) & (centre < arm.n_pixel - 1 + REACH_PIXEL)
    wave, intensity, centre = wave[near], np.maximum(intensity[near], 0.0), centre[near]

    n_filled = int(2 * REACH_PIXEL)  # pixels a line can reach
    first = np.floor(centre - REACH_PIXEL + 0.5).astype(int)
    # at the edges the window is shifted, not cut
    first = np.clip(first, 0, max(arm.n_pixel - n_filled, 0))
    pixel = first[:, None] + np.arange(n_filled)
    response = pixel_response(modulation(arm, wave), pixel - centre[:, None])
    rate = intensity * LINE_UNIT_ERG * PHOTONS_PER_ERG_NM * wave  # [photon/s/m²/arcsec²] detected
    rate *= efficiency(instrument, wave) * trace_fraction(arm, wave, n_neighbour=1)

    path = airmass(zenith_angle)[:, None]
    dimming = extinction(instrument.atmosphere, wave) * path
    # a thin layer: brightness grows with the path
    emitted = path / sky.line_airmass * fixed.power(10.0, -0.4 * dimming)
    inside = (pixel >= 0) & (pixel < arm.n_pixel)
    rates = np.empty((len(zenith_angle), arm.n_pixel))
    for i in range(len(zenith_angle)):
        light = (rate * emitted[i])[:, None] * response
        # lines share pixels
        rates[i] = np.bincount(pixel[inside], light[inside], minlength=arm.n_pixel)
    return rates


def sky_rate(instrument: Instrument, zenith_angle: np.ndarray, telluric: np.ndarray) -> np.ndarray:
    """Sky electrons in each extracted pixel, lines and continuum.

    Parameters
    ----------
    instrument : Instrument
    zenith_angle : float64 array, shape (n_zenith,)
        [deg].
    telluric : float64 array, shape (n_wave,)
        Transmission of the telluric lines.

    Returns
    -------
    rate : float64 array, shape (n_zenith, n_wave)
        [electron/s/m²/arcsec²].

    Raises
    ------
    ConfigError
        If the arm begins where the sky continuum is not known.
    """
    arm = instrument.arm
    wave = arm.wave_nm
    if wave[0] < CONTINUUM_FROM_NM:
        raise ConfigError(
            f"arm {arm.name!r} begins at {arm.wave_min_nm} nm, but the sky continuum is known "
            f"from {CONTINUUM_FROM_NM:g} nm; raise wave_min_nm"
        )
    per_pixel = sky_continuum(wave) * instrument.sky.continuum_scale * arm.dispersion_nm
    per_pixel *= efficiency(instrument, wave) * trace_fraction(arm, wave, n_neighbour=1) * telluric
    dimming = extinction(instrument.atmosphere, wave) * object_airmass(zenith_angle)[:, None]
    continuum = airmass(zenith_angle)[:, None] * fixed.power(10.0, -0.4 * dimming) * per_pixel
    return sky_lines(instrument, zenith_angle) + continuum
