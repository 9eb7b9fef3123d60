"""Noise tables: everything an instrument does to photons, tabulated for the data contract."""

import numpy as np

from starsmith.data_contract.noise import NoiseTables
from starsmith.simulator.constants import (
    ANGSTROM_PER_NM,
    CM2_PER_M2,
    FLUX_UNIT_CGS,
    PHOTONS_PER_ERG_NM,
)
from starsmith.simulator.instruments.aperture import (
    collecting_area,
    encircled_energy,
    fibre_radius,
)
from starsmith.simulator.instruments.atmosphere import extinction, telluric
from starsmith.simulator.instruments.config import Instrument
from starsmith.simulator.instruments.moon import V_EXTINCTION, moon_rate
from starsmith.simulator.instruments.mtf import trace_fraction
from starsmith.simulator.instruments.sky import efficiency, sky_rate

__all__ = ["noise_tables"]

# Nodes fine enough that linear interpolation between them errs by less than 5e-4.
N_FIELD_STEP = 24  # a multiple of 4: the quarters of the field, where figures kink, are nodes
# Below 0.4 arcsec the encircled-energy sum of the exposure-time calculator exceeds one.
SEEING = np.linspace(0.4, 2.0, 161)
ZENITH_ANGLE = np.arange(61.0)
KNOT_STEP_NM = 5.0


def noise_tables(instrument: Instrument) -> NoiseTables:
    """Tabulate sensitivity and background of an instrument.

    Parameters
    ----------
    instrument : Instrument

    Returns
    -------
    tables : NoiseTables
        Zenith angles 0-60 deg, seeing 0.4-2.0 arcsec, the field the instrument file spans.
    """
    arm, telescope, sky = instrument.arm, instrument.telescope, instrument.sky
    wave = arm.wave_nm
    transmission = telluric(instrument)
    photons = FLUX_UNIT_CGS * CM2_PER_M2 * PHOTONS_PER_ERG_NM * wave
    pixel_width = arm.dispersion_nm * ANGSTROM_PER_NM
    electrons = efficiency(instrument, wave) * trace_fraction(arm, wave) * transmission

    knot = _knots(arm.wave_min_nm, arm.wave_max_nm)
    field_angle = np.linspace(
        telescope.field_angle_deg[0], telescope.field_angle_deg[-1], N_FIELD_STEP + 1
    )
    radius = fibre_radius(telescope, instrument.fibre, field_angle)
    trace_pitch = arm.optics.trace_separation_um / arm.optics.pixel_um
    return NoiseTables(
        wave=instrument.wave,
        conversion=photons * pixel_width * electrons,
        knot_wave=knot * ANGSTROM_PER_NM,
        extinction=extinction(instrument.atmosphere, knot),
        field_angle=field_angle,
        collecting_area=collecting_area(telescope, field_angle),
        fibre_area=np.pi * radius**2,
        seeing=SEEING,
        encircled_energy=encircled_energy(telescope, instrument.fibre, SEEING, field_angle, knot),
        zenith_angle=ZENITH_ANGLE,
        sky_rate=sky_rate(instrument, ZENITH_ANGLE, transmission),
        read_variance=arm.read_noise_electron**2 * arm.trace_width_pixel,
        dark_rate=arm.dark_electron_per_s * arm.trace_width_pixel,
        stray_fraction=sky.stray_fraction * arm.trace_width_pixel / trace_pitch,
        floor_fraction=sky.floor_fraction,
        variance_factor=arm.variance_factor,
        sample_factor=arm.sample_factor,
        moon_rate=moon_rate(instrument),
        moon_extinction=V_EXTINCTION,
    )


def _knots(wave_min_nm: float, wave_max_nm: float) -> np.ndarray:
    """Multiples of the step within the arm, and its ends [nm]."""
    inner = KNOT_STEP_NM * np.arange(
        np.floor(wave_min_nm / KNOT_STEP_NM) + 1, np.ceil(wave_max_nm / KNOT_STEP_NM)
    )
    return np.concatenate([[wave_min_nm], inner, [wave_max_nm]])
