"""What an instrument file amounts to: the few figures an observer asks for first."""

import numpy as np

from starsmith.simulator.constants import ANGSTROM_PER_NM
from starsmith.simulator.instruments.config import Instrument
from starsmith.simulator.instruments.mtf import modulation, pixel_response, profile_knots
from starsmith.simulator.instruments.sky import efficiency

__all__ = ["instrument_summary", "resolution_element"]

PROFILE_STEP_PIXEL = 0.02  # between steps the profile is a straight line to 1e-5
PROFILE_REACH_PIXEL = 12.0


def resolution_element(instrument: Instrument) -> np.ndarray:
    """Full width at half maximum of the line profile, its pixel included.

    Parameters
    ----------
    instrument : Instrument

    Returns
    -------
    width : float64 array, shape (n_wave,) [pixel]
    """
    arm = instrument.arm
    knot = profile_knots(arm)
    offset = np.arange(0.0, PROFILE_REACH_PIXEL, PROFILE_STEP_PIXEL)
    profile = pixel_response(modulation(arm, knot), offset)
    low = profile / profile[:, :1] - 0.5
    after = np.argmax(low < 0, axis=1)
    row = np.arange(knot.size)
    step_back = low[row, after] / (low[row, after] - low[row, after - 1])
    half_width = offset[after] - step_back * PROFILE_STEP_PIXEL
    return np.interp(arm.wave_nm, knot, 2.0 * half_width)


def instrument_summary(instrument: Instrument) -> dict:
    """Figures of an instrument at the blue end, the middle and the red end of its arm.

    Parameters
    ----------
    instrument : Instrument

    Returns
    -------
    summary : dict
        JSON-able; lists hold the three places, units are in the names.
    """
    arm = instrument.arm
    place = [0, arm.n_pixel // 2, arm.n_pixel - 1]
    wave = instrument.wave[place]
    pixel_angstrom = arm.dispersion_nm * ANGSTROM_PER_NM
    fwhm = resolution_element(instrument)[place] * pixel_angstrom
    return {
        "name": instrument.name,
        "description": instrument.description,
        "n_pixel": arm.n_pixel,
        "pixel_angstrom": round(pixel_angstrom, 6),
        "wave_angstrom": wave.round(3).tolist(),
        "fwhm_angstrom": fwhm.round(4).tolist(),
        "resolution": (wave / fwhm).round(0).tolist(),
        "efficiency": efficiency(instrument, arm.wave_nm[place]).round(4).tolist(),
        "read_noise_electron": round(
            float(arm.read_noise_electron * np.sqrt(arm.trace_width_pixel)), 3
        ),
    }
