"""Noise tables: everything an instrument does to photons, tabulated for the data contract."""

from functools import lru_cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.noise.noise_tables import PER_ARM, NoiseTables
from starsmith.simulator.constants import CM2_PER_M2, FLUX_UNIT_CGS, PHOTONS_PER_ERG_NM
from starsmith.simulator.instruments.instrument import Instrument, JoinedInstrument, with_source
from starsmith.simulator.instruments.light.aperture import (
    collecting_area,
    encircled_energy,
    fibre_radius,
)
from starsmith.simulator.instruments.light.extinction import extinction, telluric
from starsmith.simulator.instruments.light.moon import V_EXTINCTION, moon_rate
from starsmith.simulator.instruments.light.mtf import trace_fraction
from starsmith.simulator.instruments.light.sky import efficiency, sky_rate

__all__ = ["noise_tables"]

# Nodes fine enough that linear interpolation between them errs by less than 5e-4.
N_FIELD_STEP = 24  # a multiple of 4: the quarters of the field, where figures kink, are nodes
# Below 0.4 arcsec the encircled-energy sum of the exposure-time calculator exceeds one.
SEEING_STEP = 0.01
SEEING_MIN, SEEING_MAX = 0.4, 2.0
ZENITH_ANGLE = np.arange(61.0)  # [deg], every degree
KNOT_STEP_NM = 5.0  # extinction and aperture losses are smooth over it


def noise_tables(instrument: Instrument | JoinedInstrument) -> NoiseTables:
    """Tabulate sensitivity and background of an instrument, arm after arm.

    Parameters
    ----------
    instrument : Instrument or JoinedInstrument

    Returns
    -------
    tables : NoiseTables
        Zenith angles 0-60 deg, seeing 0.4-2.0 arcsec (further where it grows with airmass),
        the field the instrument file spans.
    """
    # whatever lies before the fibre, pixels are the same
    plain = [with_source(one, 0.0, 0.0) for one in instrument.by_arm]
    arms = [_arm_tables(one, one.resolved()["sha256"]) for one in plain]
    names = tuple(arm.name for arm in instrument.arms)
    per_arm = {name: np.array([arm[name] for arm in arms]) for name in PER_ARM}
    per_pixel = {
        name: np.concatenate([arm[name] for arm in arms], axis=-1)
        for name in ("conversion", "sky_rate", "moon_rate")
    }
    if len(arms) == 1:
        per_arm = {name: float(values[0]) for name, values in per_arm.items()}
        edge = None
    else:
        # first pixel of every arm, and the end
        edge = np.cumsum([0.0, *(arm.n_pixel for arm in instrument.arms)])
    return NoiseTables(
        wave=instrument.wave,
        **_smooth_tables(instrument.by_arm),
        **per_pixel,
        **per_arm,
        zenith_angle=ZENITH_ANGLE,
        moon_extinction=V_EXTINCTION,
        arm_edge=edge,
        arm_names=names,
    )


def _smooth_tables(arms: tuple[Instrument, ...]) -> dict[str, np.ndarray | float | None]:
    """What varies slowly with wavelength and is the same for all arms: aperture and air."""
    first = arms[0]
    telescope, fibre, power = first.telescope, first.fibre, first.atmosphere.seeing_airmass_power
    knot = np.unique(
        np.concatenate([_knots(one.arm.wave_min_nm, one.arm.wave_max_nm) for one in arms])
    )
    field_angle = np.linspace(
        telescope.field_angle_deg[0], telescope.field_angle_deg[-1], N_FIELD_STEP + 1
    )
    # seeing grows with airmass: the table must reach it
    widest = SEEING_MAX / fixed.power(np.cos(np.radians(ZENITH_ANGLE[-1])), power)
    # 1e-9: rounding must not add a step
    n_step = int(np.ceil((widest - SEEING_MIN) / SEEING_STEP - 1e-9))
    seeing = SEEING_MIN + SEEING_STEP * np.arange(n_step + 1)
    return {
        "knot_wave": knot * ANGSTROM_PER_NM,
        "extinction": _extinction(arms, knot),
        "field_angle": field_angle,
        "collecting_area": collecting_area(telescope, field_angle),
        "fibre_area": np.pi * fibre_radius(telescope, fibre, field_angle) ** 2,
        "seeing": seeing,
        "encircled_energy": encircled_energy(telescope, fibre, seeing, field_angle, knot),
        "seeing_airmass_power": power or None,
    }


def _extinction(arms: tuple[Instrument, ...], knot: np.ndarray) -> np.ndarray:
    """Continuum extinction at the knots, each from the first arm that contains it."""
    values = np.empty(knot.size)
    for one in reversed(arms):
        inside = (knot >= one.arm.wave_min_nm) & (knot <= one.arm.wave_max_nm)
        # where arms overlap the first arm has the word
        values[inside] = extinction(one.atmosphere, knot[inside])
    return values


@lru_cache(maxsize=8)
def _arm_tables(instrument: Instrument, contents: str) -> dict[str, np.ndarray | float]:
    """Tables of one arm's pixels, and the figures of its detector.

    They are kept as long as ``contents``, the digest of figures and table files, is the same.
    """
    arm, sky = instrument.arm, instrument.sky
    # light of the star falls beside the pixel centre
    star = arm.wave_nm + arm.star_shift_pixel * arm.dispersion_nm
    # per second, m² and Å, of one unit of flux
    photons = FLUX_UNIT_CGS * CM2_PER_M2 * PHOTONS_PER_ERG_NM * star
    pixel_width = arm.dispersion_nm * ANGSTROM_PER_NM  # [Å]
    electrons = efficiency(instrument, star) * trace_fraction(arm, star)
    electrons *= telluric(instrument, arm.star_shift_pixel)
    # distance of neighbouring fibres [pixel]
    trace_pitch = arm.optics.trace_separation_um / arm.optics.pixel_um
    return {
        "conversion": photons * pixel_width * electrons,
        "sky_rate": sky_rate(instrument, ZENITH_ANGLE, telluric(instrument)),
        "moon_rate": moon_rate(instrument),
        # [electron² per pixel of the spectrum]
        "read_variance": arm.read_noise_electron**2 * arm.trace_width_pixel,
        "dark_rate": arm.dark_electron_per_s * arm.trace_width_pixel,  # [electron/s]
        # share of all light that a trace's pixels catch
        "stray_fraction": sky.stray_fraction * arm.trace_width_pixel / trace_pitch,
        "floor_fraction": sky.floor_fraction,
        "variance_factor": arm.variance_factor,
        "sample_factor": arm.sample_factor,
    }


def _knots(wave_min_nm: float, wave_max_nm: float) -> np.ndarray:
    """Multiples of the step within the arm, and its ends [nm]."""
    inner = KNOT_STEP_NM * np.arange(
        np.floor(wave_min_nm / KNOT_STEP_NM) + 1, np.ceil(wave_max_nm / KNOT_STEP_NM)
    )
    return np.concatenate([[wave_min_nm], inner, [wave_max_nm]])
