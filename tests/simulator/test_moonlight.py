"""Moonlight: brightness of the scattered light, and a dark sky left exactly as it was."""

import math
from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.noise.budget import background_terms
from starsmith.data_contract.noise.moonlight import moon_scattering
from starsmith.data_contract.noise.view import NoiseTables, background, sensitivity
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.simulator.instruments import load_instrument, noise_tables
from starsmith.simulator.instruments.light.moon import V_EXTINCTION, moon_continuum
from starsmith.simulator.planning.forecast import observing_conditions
from tests.reference import noise as slow

SETTINGS = {
    "seeing": 0.8,
    "zenith_angle": 35.0,
    "field_angle": 0.45,
    "exp_time": 900.0,
    "exp_count": 12.0,
    "moon_zenith_angle": 30.0,
    "moon_target_angle": 60.0,
}


def sky(phase, **others):
    return observing_conditions(**{**SETTINGS, **others, "moon_phase": phase})


@pytest.fixture(scope="module")
def tables():
    return noise_tables(load_instrument("pfs_mr"))


@pytest.fixture(scope="module")
def dark_tables(tables):
    """Tables as files hold them that were written before moonlight was known."""
    arrays = tables.arrays()
    del arrays["moon_rate"], arrays["moon_extinction"]
    return NoiseTables.from_arrays(arrays)


def light(phase, wave_nm=800.0, **others):
    """Moonlight above the telescope [photon/s/m²/arcsec²/nm]."""
    named = dict(zip(CONDITIONS, sky(phase, **others).T, strict=True))
    return float((moon_scattering(named, V_EXTINCTION) @ moon_continuum(np.array([wave_nm])))[0, 0])


@pytest.mark.parametrize(("phase", "printed"), [(0.125, 0.0142), (0.25, 0.111), (0.5, 1.65)])
def test_moonlight_is_the_calculators(phase, printed):
    """At 800 nm, moon 30 deg from the zenith and 60 deg from the target; three digits printed."""
    assert light(phase) == pytest.approx(printed, rel=5e-3)
    assert light(1.0 - phase) == pytest.approx(light(phase), rel=1e-12)  # waning as waxing


def test_moonlight_falls_with_wavelength_and_distance():
    """Scattered sunlight is bluer than the sun, and brightest towards the moon."""
    assert light(0.5, 710.0) > light(0.5, 800.0) > light(0.5, 885.0)
    assert light(0.5, moon_target_angle=20.0) > light(0.5) > light(0.5, moon_target_angle=90.0)


@pytest.mark.parametrize(
    "dark",
    [{"moon_phase": 0.0}, {"moon_phase": 1.0}, {"moon_phase": 0.5, "moon_zenith_angle": 90.0}],
)
def test_a_dark_sky_keeps_its_bits(tables, dark_tables, dark):
    """New moon and a moon that has set change nothing, beside a moonlit spectrum too."""
    conditions = observing_conditions(**{**SETTINGS, **dark})
    both = np.concatenate([conditions, sky(0.5)])
    before = background(dark_tables, conditions)
    np.testing.assert_array_equal(background(tables, both)[:1], before)
    np.testing.assert_array_equal(
        sensitivity(tables, conditions), sensitivity(dark_tables, conditions)
    )


def test_dark_tables_refuse_moonlight(dark_tables):
    with pytest.raises(DataError, match="dark sky only"):
        background(dark_tables, sky(0.25))


def test_half_of_the_moons_tables_is_refused(tables):
    with pytest.raises(DataError, match="moon_rate"):
        replace(tables, moon_rate=None)
    arrays = tables.arrays()
    del arrays["moon_extinction"]
    with pytest.raises(DataError, match="moon_extinction"):
        NoiseTables.from_arrays(arrays)


def test_tables_survive_as_arrays(tables):
    again = NoiseTables.from_arrays(tables.arrays())
    np.testing.assert_array_equal(background(again, sky(0.4)), background(tables, sky(0.4)))


def test_moonlit_variance_equals_the_pixel_loop(toy_bank):
    """Same algebra, another order of operations: 1e-12."""
    wave = toy_bank.wave
    tables = replace(
        toy_bank.noise,
        moon_rate=np.stack([3e-5 * (wave / 8500) ** -7, 2e-5 * (wave / 8500) ** -4]),
        moon_extinction=0.12,
    )
    for phase, distance in ((0.1, 120.0), (0.49, 15.0), (0.5, 60.0), (0.75, 90.0)):
        conditions = sky(phase, moon_target_angle=distance)
        fast = background(tables, conditions)[0]
        for j in (0, 1, 62, 150, wave.size - 1):
            twin = slow.pixel_background(tables, conditions[0], j)
            assert fast[j] == pytest.approx(twin, rel=1e-12)


def test_moonlight_is_its_own_term_of_the_budget(tables):
    """Photons on the detector over those in the sky: area, fibre, time, efficiency, trace."""
    terms = background_terms(tables, sky(0.5))
    np.testing.assert_allclose(
        sum(terms.values()), background(tables, sky(0.5)), rtol=1e-14
    )  # rounding of six terms
    pixel = int(np.searchsorted(tables.wave, 8000.0))
    area = math.pi / 4 * 8.3**2 * (1 - 0.22**2) * 0.794 * 0.8272 * 0.8669
    # 0.29107 of the photons are detected, and 0.949 of them in the trace with its neighbours
    electrons = area * 900 * 1.65 * 0.0427246 * 0.29107 * 0.949
    assert terms["moon"][0, pixel] == pytest.approx(1.015 * electrons, rel=0.01)
    assert np.all(background_terms(tables, sky(0.0))["moon"] == 0.0)
