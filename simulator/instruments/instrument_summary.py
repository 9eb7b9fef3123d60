"""What an instrument file amounts to: the few figures an observer asks for first."""

import numpy as np

from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.simulator.instruments.instrument import Instrument, JoinedInstrument
from starsmith.simulator.instruments.light.mtf import (
    WIDTH_REACH_PIXEL,
    WIDTH_STEP_PIXEL,
    half_maximum_width,
    modulation,
    pixel_response,
    profile_knots,
)
from starsmith.simulator.instruments.light.sky import efficiency
from starsmith.simulator.instruments.parts import Arm

__all__ = ["instrument_summary", "resolution_element"]


def resolution_element(instrument: Instrument | JoinedInstrument) -> np.ndarray:
    """Full width at half maximum of the line profile, its pixel included.

    Parameters
    ----------
    instrument : Instrument or JoinedInstrument

    Returns
    -------
    width : float64 array, shape (n_wave,) [pixel]
        One arm after the other.
    """
    return np.concatenate([_arm_element(arm) for arm in instrument.arms])


def _arm_element(arm: Arm) -> np.ndarray:
    knot = profile_knots(arm)
    offset = np.arange(0.0, WIDTH_REACH_PIXEL, WIDTH_STEP_PIXEL)
    profile = pixel_response(modulation(arm, knot), offset)
    return np.interp(arm.wave_nm, knot, half_maximum_width(profile, WIDTH_STEP_PIXEL))


def instrument_summary(instrument: Instrument | JoinedInstrument) -> dict:
    """Figures of an instrument at the blue end, the middle and the red end of its arms.

    Parameters
    ----------
    instrument : Instrument or JoinedInstrument

    Returns
    -------
    summary : dict
        JSON-able; lists hold the three places, units are in the names. Of several arms the
        figures of each lie under ``arms``, by its name.
    """
    named = {"name": instrument.name, "description": instrument.description}
    figures = {one.arm.name: _arm_figures(one) for one in instrument.by_arm}
    if len(figures) == 1:
        return {**named, **next(iter(figures.values()))}
    return {**named, "arms": figures}


def _arm_figures(instrument: Instrument) -> dict:
    arm = instrument.arm
    place = [0, arm.n_pixel // 2, arm.n_pixel - 1]
    wave = instrument.wave[place]
    pixel_angstrom = arm.dispersion_nm * ANGSTROM_PER_NM
    fwhm = resolution_element(instrument)[place] * pixel_angstrom
    return {
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
