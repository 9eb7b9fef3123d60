"""What an exposure-time calculator is asked for: S/N against magnitude, and the noise budget."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, DataError, GridError
from starsmith.data_contract.noise.budget import CALCULATOR_TERMS
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.instruments.pfs_etc.validate import flat_flux
from starsmith.simulator.planning.forecast import (
    forecast_snr,
    magnitude_steps,
    observing_conditions,
)
from starsmith.simulator.planning.sed import blackbody, read_sed

SETTINGS = {
    "seeing": 0.8,
    "zenith_angle": 35.0,
    "field_angle": 0.45,
    "exp_time": 900.0,
    "exp_count": 12.0,
}


@pytest.fixture(scope="module")
def conditions():
    return observing_conditions(**SETTINGS)


@pytest.fixture(scope="module")
def forecast(conditions):
    return forecast_snr(load_instrument("pfs_mr"), np.array([18.0, 21.5, 22.5]), conditions)


def test_forecast_is_the_calculators(forecast):
    """Flat AB 21.5, 12 x 900 s: median 6.42, 5 % and 95 % of pixels at 1.59 and 7.88."""
    snr = forecast.snr[1]
    np.testing.assert_allclose(np.percentile(snr, [5, 50, 95]), [1.59, 6.42, 7.88], rtol=0.02)
    row = forecast.rows()[1]
    assert row["snr_pixel"] == pytest.approx(np.median(snr))
    # the ratios quoted with the calculator's output: 1.53 and 1.77
    assert row["snr_angstrom"] / row["snr_pixel"] == pytest.approx(1.53, abs=5e-3)
    assert row["snr_element"] / row["snr_pixel"] == pytest.approx(1.77, abs=1e-2)


def test_budget_is_complete_and_moves_from_star_to_sky(forecast):
    """Fractions add up to one in every pixel; a bright star is limited by its own photons."""
    np.testing.assert_allclose(sum(forecast.fractions.values()), 1.0, rtol=1e-13)
    bright, _, faint = forecast.rows()
    assert bright["object"] > 0.7
    assert faint["object"] < 0.15
    assert faint["sky"] > 0.3
    # of all terms, the floor is the largest in 14 % of the pixels
    largest = np.argmax([forecast.fractions[name][1] for name in CALCULATOR_TERMS], axis=0)
    assert np.mean(largest == CALCULATOR_TERMS.index("floor")) == pytest.approx(0.14, abs=0.005)


def test_signal_to_noise_of_more_exposures(conditions):
    """The floor does not average down: 100 times the exposures bring less than 10 in S/N."""
    many = conditions.copy()
    many[0, 7] *= 100
    instrument = load_instrument("pfs_mr_paper")  # has no floor: exactly 10
    few, hundredfold = (forecast_snr(instrument, [21.5], c).snr for c in (conditions, many))
    np.testing.assert_allclose(hundredfold / few, 10.0, rtol=1e-12)
    instrument = load_instrument("pfs_mr")
    few, hundredfold = (forecast_snr(instrument, [21.5], c).snr for c in (conditions, many))
    assert np.all(hundredfold / few < 10.0)


def test_every_arm_is_forecast_by_itself(conditions):
    """A row per magnitude and arm; the ramp's excess noise and dark current are the NIR arm's."""
    joined = forecast_snr(load_instrument("pfs_lr"), np.array([21.0, 22.0]), conditions)
    rows = joined.rows()
    assert [(row["mag"], row["arm"]) for row in rows[:4]] == [
        (21.0, "blue"),
        (21.0, "red"),
        (21.0, "nir"),
        (22.0, "blue"),
    ]
    alone = forecast_snr(load_instrument("pfs_n"), np.array([21.0]), conditions).rows()[0]
    assert rows[2]["snr_pixel"] == pytest.approx(alone["snr_pixel"], rel=1e-4)
    np.testing.assert_allclose(sum(joined.fractions.values()), 1.0, rtol=1e-13)
    assert rows[2]["dark"] > 10 * rows[1]["dark"]
    # 0.659, 0.830 and 0.781 Å per pixel
    per_angstrom = [row["snr_angstrom"] / row["snr_pixel"] for row in rows[:3]]
    np.testing.assert_allclose(per_angstrom, np.array([0.659, 0.830, 0.781]) ** -0.5, rtol=1e-3)


def test_a_blackbody_has_its_magnitude_and_colour():
    """AB magnitude 0 around its pivot; Planck's law between two wavelengths."""
    star = blackbody(5000.0, "ab8000")
    assert star.flux(np.array([8000.0]))[0] == pytest.approx(
        flat_flux(np.array([8000.0]), 0.0)[0],
        rel=1e-3,  # the pivot's band is 20 Å wide
    )
    blue, red = star.flux(np.array([7200.0, 8800.0]))
    exponents = 1.438777e8 / np.array([7200.0, 8800.0]) / 5000
    planck = (8800 / 7200) ** 5 * np.expm1(exponents[1]) / np.expm1(exponents[0])
    assert blue / red == pytest.approx(planck, rel=1e-5)
    with pytest.raises(ConfigError, match="blackbody of 3 K"):
        blackbody(3.0, "ab8000")


def test_a_users_spectrum_is_scaled_to_its_band(tmp_path, conditions):
    """Constant AB magnitude as a table forecasts what the flat source does."""
    wave = np.linspace(6000.0, 10000.0, 4001)
    table = np.column_stack([wave, 7.0 * wave**-2.0])
    np.savetxt(tmp_path / "flat.csv", table, delimiter=",", header="wave,flux", comments="")
    sed = read_sed(tmp_path / "flat.csv", "hsc2017-i")
    instrument = load_instrument("pfs_mr")
    flat = forecast_snr(instrument, [21.5], conditions).snr
    np.testing.assert_allclose(
        forecast_snr(instrument, [21.5], conditions, sed).snr, flat, rtol=1e-4
    )
    with pytest.raises(ConfigError, match=r"covers 6000-10000 Å, but the instrument needs 3800"):
        forecast_snr(load_instrument("pfs_lr"), [21.5], conditions, sed)
    with pytest.raises(GridError, match="--mag-band ab8000"):
        read_sed(tmp_path / "flat.csv", "sdss2010-u")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wave,f\n1,2\n2,3\n", r"no column \['flux'\]"),
        ("wave,flux\n2,1\n1,1\n", "increasing"),
        ("wave,flux\n1,-1\n2,1\n", "at least 0"),
        ("wave,flux\n1,nan\n2,1\n", "not numbers"),
        ("wave,flux\n1,x\n2,1\n", "table of numbers"),
    ],
)
def test_odd_spectra_are_refused(tmp_path, text, words):
    (tmp_path / "odd.csv").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_sed(tmp_path / "odd.csv", "ab8000")


def test_magnitudes_include_both_ends():
    np.testing.assert_allclose(magnitude_steps(20.5, 22.5, 0.5), [20.5, 21, 21.5, 22, 22.5])
    np.testing.assert_allclose(magnitude_steps(20.0, 21.0, 0.4), np.linspace(20, 21, 4))
    np.testing.assert_allclose(magnitude_steps(21.0, 21.0, 0.5), [21.0])
    with pytest.raises(ConfigError, match="larger steps"):
        magnitude_steps(0.0, 1e9, 0.5)


@pytest.mark.parametrize("wrong", [{"exp_count": 2.5}, {"exp_time": np.nan}, {"seeing": -1.0}])
def test_impossible_conditions_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        observing_conditions(**{**SETTINGS, **wrong})


def test_conditions_outside_the_tables_are_refused():
    with pytest.raises(DataError, match="seeing"):
        forecast_snr(
            load_instrument("pfs_mr"), [21.0], observing_conditions(**{**SETTINGS, "seeing": 0.1})
        )
