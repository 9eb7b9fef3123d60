"""Quantities of astropy given to functions: converted, or refused by name."""

import numpy as np
import pytest
from astropy import units as u

from starsmith.data_contract.air import vacuum_to_air
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.fisher.stars import stars_at
from starsmith.fisher.survey.exposure_plan import Goal
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.planning.forecast import forecast_snr, observing_conditions
from starsmith.simulator.prior import Prior


def test_ranges_and_conditions():
    """The same prior in kK, g, nJy, minutes and radians; the same conditions."""
    given = Prior.default().with_ranges(
        teff=(4.0, 5.0) * u.kK,
        logg=(u.Dex(0.5, u.dex(u.m / u.s**2)), 100.0 * u.m / u.s**2),
        mag=(36310.0 * u.nJy, 21.0 * u.ABmag),
        exp_time=(15 * u.min, 1800 * u.s),
        zenith_angle=(0.1, 0.2) * u.rad,
        rv=(-5e3, 5e3) * u.m / u.s,
    )
    expected = {
        "teff": (4000.0, 5000.0), "logg": (2.5, 4.0), "mag": (20.0, 21.0),
        "exp_time": (900.0, 1800.0), "zenith_angle": tuple(np.degrees([0.1, 0.2])),
        "rv": (-5.0, 5.0),
    }  # fmt: skip
    for name, bounds in expected.items():
        assert given.ranges[name] == pytest.approx(bounds, rel=1e-12)
    plain = observing_conditions(
        seeing=0.8, zenith_angle=35.0, field_angle=0.45, exp_time=900.0, exp_count=12.0
    )
    converted = observing_conditions(
        seeing=800 * u.mas, zenith_angle=35 * u.deg, field_angle=27 * u.arcmin,
        exp_time=0.25 * u.hour, exp_count=12.0,
    )  # fmt: skip
    np.testing.assert_allclose(converted, plain, rtol=1e-12)
    with pytest.raises(ConfigError, match=r"seeing.*s cannot be converted"):
        Prior.default().with_ranges(seeing=(0.5 * u.s, 1.0 * u.s))


def test_wavelengths_and_grids():
    """Air in nm; a grid in nm, kK and W/m2/um; a unit that is none of flux is refused."""
    wave = np.array([5000.0, 8000.0])
    np.testing.assert_allclose(vacuum_to_air(wave / 10 * u.nm), vacuum_to_air(wave), rtol=1e-14)
    axes = {"teff": [4.0, 5.0] * u.kK, "logg": np.array([4.0]), "m_h": np.array([0.0])}
    parts = {"axes": axes, "resolution": 1e4, "valid": np.ones((2, 1, 1), bool)}
    flux = np.full((2, 1, 1, 2), 3.0)
    grid = GridData(
        name="g", wave=wave / 10 * u.nm, flux=flux * 1e7 * u.Unit("W / (m2 um)") / 1e6, **parts
    )
    assert grid.axes["teff"].tolist() == [4000.0, 5000.0]
    np.testing.assert_allclose(grid.wave, wave, rtol=1e-14)
    # 1 W/m2/um = 1e7 erg/s per 1e4 cm2 and 1e4 Å
    np.testing.assert_allclose(grid.flux, 3.0, rtol=1e-6)
    with pytest.raises(ConfigError, match="flux: K is no unit"):
        GridData(name="g", wave=wave, flux=flux * u.K, **parts)


def test_stars_goals_and_magnitudes(toy_bank):
    """Labels of a star, goals of a survey, magnitudes of a forecast, draws."""
    prior = Prior.default()
    star = stars_at(toy_bank, prior, {"teff": 5.0 * u.kK, "logg": 100 * u.m / u.s**2})
    assert star.label("teff")[0] == pytest.approx(5000.0)
    assert star.label("logg")[0] == pytest.approx(4.0)
    goal = Goal(sigma={"teff": 0.1 * u.kK, "logg": 0.1 * u.dex}, max_time=2 * u.hour)
    assert goal.sigma == pytest.approx({"teff": 100.0, "logg": 0.1})
    assert goal.max_time == pytest.approx(7200.0)
    instrument = load_instrument("pfs_mr")
    conditions = observing_conditions(
        seeing=0.8, zenith_angle=35.0, field_angle=0.45, exp_time=900.0, exp_count=12.0
    )
    plain = forecast_snr(instrument, np.array([20.0]), conditions)
    flux = forecast_snr(instrument, np.array([36310.0]) * u.nJy, conditions)
    np.testing.assert_allclose(flux.snr, plain.snr, rtol=1e-10)
    draws = prior.draw(1, "test", np.arange(2))
    again = Draws(
        seed=1, split="test", index=draws.index, label_names=draws.label_names,
        labels=draws.labels, mag=draws.mag * u.ABmag, conditions=draws.conditions,
        rv=np.ones(2) * 1e3 * u.m / u.s,
    )  # fmt: skip
    np.testing.assert_array_equal(again.mag, draws.mag)
    np.testing.assert_allclose(again.rv, 1.0)
