"""Moonlight: colour of the scattered light, and the electrons it makes in each pixel."""

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.instruments.instrument import Instrument
from starsmith.simulator.instruments.light.mtf import trace_fraction
from starsmith.simulator.instruments.light.sky import efficiency

__all__ = ["V_EXTINCTION", "moon_continuum", "moon_rate"]

V_EXTINCTION = 0.12
"""Of Mauna Kea at 550 nm [mag/airmass]; the model scatters in V, then changes colour."""

V_NM = 550.0
SOLAR_NM = 2480.0  # Wien slope of the sun's colour, CFHT Redeye manual
COLOUR_POWERS = (-7.0, -4.3)  # sunlight scattered by molecules and by aerosols
# [ETC]: magnitude 0 per arcsec² in nanolambert, and in photon/s/m² per unit of ln(wave)
NANOLAMBERT_OF_MAG_0 = 3.408e10
PHOTONS_OF_MAG_0 = 5.48e10


def moon_continuum(wave_nm: np.ndarray) -> np.ndarray:
    """Moonlit sky at any wavelength for unit brightness in V.

    Krisciunas & Schaefer (1991) in V, coloured as in the PFS exposure-time calculator.

    Parameters
    ----------
    wave_nm : float64 array, shape (n_wave,)
        [nm].

    Returns
    -------
    continuum : float64 array, shape (2, n_wave)
        Light scattered by molecules and by aerosols [photon/s/m²/arcsec²/nm per nanolambert].
    """
    solar = fixed.expm1(SOLAR_NM / V_NM) / fixed.expm1(SOLAR_NM / wave_nm)
    scattered = np.stack([solar * fixed.power(wave_nm / V_NM, power) for power in COLOUR_POWERS])
    return scattered * PHOTONS_OF_MAG_0 / NANOLAMBERT_OF_MAG_0 / V_NM


def moon_rate(instrument: Instrument) -> np.ndarray:
    """Moonlight electrons in each extracted pixel for unit brightness in V.

    Parameters
    ----------
    instrument : Instrument

    Returns
    -------
    rate : float64 array, shape (2, n_wave)
        Of molecules and aerosols [electron/s/m²/arcsec² per nanolambert]. As in the
        exposure-time calculator, no telluric lines.
    """
    arm = instrument.arm
    electrons = efficiency(instrument, arm.wave_nm) * trace_fraction(
        arm, arm.wave_nm, n_neighbour=1
    )
    return moon_continuum(arm.wave_nm) * arm.dispersion_nm * electrons
