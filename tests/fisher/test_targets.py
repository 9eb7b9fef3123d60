"""Targets of a table: the least exposure for a rule, by the forward model's own S/N."""

import dataclasses

import numpy as np
import pytest
from astropy.table import Table

import starsmith
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import variance_of
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.snr_units import snr_factors
from starsmith.fisher.survey.targets import plan_targets, read_targets
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.planning.forecast import forecast_snr, observing_conditions
from starsmith.simulator.planning.snr_rule import SnrRule, parse_rules

STARS = {
    "Teff": [4300.0, 5200.0, 5600.0],
    "logg": [1.5, 3.0, 4.4],
    "[Fe/H]": [-1.5, -0.5, 0.0],
    "mag": [19.0, 20.0, 23.5],
    "note": ["a", "b", "c"],
}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "targets.ecsv"
    Table(STARS).write(path)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10", "median S/N >= 10 per pixel in all wavelengths of all arms"),
        ("median>=10 in 840-870nm", "median S/N >= 10 per pixel in 840-870 nm of all arms"),
        ("p10 ≥ 5 per Å of arm r", "p10 S/N >= 5 per angstrom in all wavelengths of arm r"),
        (
            "min>3/element at 8400-8700 A in m",
            "min S/N >= 3 per resolution element in 840-870 nm of arm m",
        ),
    ],
)
def test_a_rule_says_all_that_was_left_out_and_reads_its_own_words(text, said):
    (rule,) = parse_rules(text)

    assert str(rule) == said
    assert parse_rules(said) == (rule,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("med>=3", "did you mean median?"),
        ("10 in 840-870", "write 840-870nm"),
        ("10 in 870-840nm", "did you mean 840-870nm?"),
        ("10 per foo", "per pixel, angstrom or element"),
        ("much", "cannot be read"),
        ("0", "above 0"),
        ("", "is empty"),
        ("10 in arm b or c", "is no arm"),
    ],
)
def test_a_rule_that_cannot_be_read_says_how_to_write_it(text, says):
    with pytest.raises(ConfigError, match=says.replace("?", r"\?")):
        parse_rules(text)


def test_each_target_gets_the_least_exposure_that_meets_every_rule(toy_bank, prior, table):
    """One exposure fewer misses a rule; both rules are those of the simulator's noiseless S/N."""
    low, high = toy_bank.wave[[50, 250]]
    rules = (SnrRule(at_least=6.0), SnrRule(at_least=3.0, statistic="p10", window=(low, high)))
    goal = starsmith.Goal(sigma={}, snr=rules, max_time=36000.0)
    found = plan_targets(read_targets(table), prior, goal, toy_bank)

    assert found["note"].tolist() == STARS["note"]
    assert found["met"].tolist() == [True, True, False]
    assert found["exp_count"][2] == 40
    for k in range(3):
        values = {name: STARS[name][k] for name in ("Teff", "logg", "[Fe/H]", "mag")}
        count = int(found["exp_count"][k])
        enough, fewer = (_snr(toy_bank, values, n, rules[1]) for n in (count, count - 1))
        assert (enough[0] >= 6.0 and enough[1] >= 3.0) == found["met"][k]
        assert fewer[0] < 6.0 or fewer[1] < 3.0
        # flux_model keeps 12 bits of its mantissa: 1.2e-4
        assert found["snr_pixel"][k] == pytest.approx(enough[0], rel=1.2e-4)
        assert found["snr_rule_2"][k] == pytest.approx(enough[1], rel=3e-4)
    per = snr_factors(toy_bank.instrument, toy_bank.wave, toy_bank.noise.arms)["per_angstrom"]
    assert found["snr_angstrom"][0] == pytest.approx(per * found["snr_pixel"][0], rel=0.05)


def _snr(bank, values, count, rule):
    """Median S/N of one star with so many exposures, and the tenth percentile of a window."""
    star = starsmith.observe_star(bank, {**values, "exp_count": max(count, 1)})
    flux = star.flux_model.astype(float)
    sigma = np.sqrt(variance_of(bank.noise, flux, star.draws.conditions))
    ratio = star.flux_model / sigma * np.sqrt(count / max(count, 1))
    inside = (bank.wave >= rule.window[0]) & (bank.wave <= rule.window[1])
    return float(star.snr[0]) * np.sqrt(count / max(count, 1)), np.percentile(ratio[0, inside], 10)


def test_sigma_of_a_label_and_of_velocity_together(toy_bank, prior, table):
    goal = starsmith.Goal(sigma={"logg": 0.4, "rv": 5.0}, max_time=36000.0)
    found = plan_targets(read_targets(table), prior, goal, toy_bank)
    met = found["met"]

    assert met.tolist()[::2] == [True, False]
    assert np.all(found["sigma_logg"][met] <= 0.4)
    assert np.all(found["sigma_rv"][met] <= 5.0)
    assert found["sigma_rv"].unit == "km s-1"
    without = plan_targets(
        read_targets(table), prior, dataclasses.replace(goal, sigma={"logg": 0.4}), toy_bank
    )
    assert np.all(without["exp_count"] <= found["exp_count"])


def test_other_sources_are_those_of_the_forecast(prior, tmp_path):
    """A flat source and a blackbody, several at once: S/N as `specsim snr` says."""
    path = tmp_path / "galaxies.csv"
    path.write_text("name,mag,seeing\ng1,21.5,0.8\ng2,22,0.8\n")
    instrument = load_instrument("pfs_mr")
    targets = read_targets(path, "hsc2017-i", seds=("flat", "blackbody:4500"))
    found = plan_targets(targets, prior, None, instrument=instrument)

    middle = {name: np.mean(ends) for name, ends in prior.ranges.items() if name in CONDITIONS}
    expected = forecast_snr(
        instrument, np.array([21.5, 22.0]), observing_conditions(**{**middle, "seeing": 0.8})
    )
    assert found["sed"].tolist() == ["flat", "blackbody:4500"] * 2
    np.testing.assert_allclose(
        found["snr_pixel"][::2], [row["snr_pixel"] for row in expected.rows()], rtol=2e-3
    )
    assert "met" not in found.colnames
    with pytest.raises(ConfigError, match="use --target-snr"):
        plan_targets(targets, prior, starsmith.Goal(sigma={"logg": 0.3}), instrument=instrument)


def test_dust_takes_light_from_the_blue_of_a_source(prior, tmp_path):
    """At the same magnitude behind it, dust leaves less in the blue arm and more in the red."""
    path = tmp_path / "dusty.csv"
    path.write_text("mag,ebv,sed\n21,0,flat\n21,1,flat\n")
    instrument = load_instrument("b+r")
    goal = starsmith.Goal(
        sigma={},
        snr=parse_rules("1 in arm b 400-500nm and 1 in arm r 880-960nm"),
        max_time=900.0,
        vary="exp_count",
    )
    found = plan_targets(read_targets(path, "hsc2017-i"), prior, goal, instrument=instrument)

    assert found["snr_rule_1"][1] < found["snr_rule_1"][0]
    assert found["snr_rule_2"][1] > found["snr_rule_2"][0]


def test_a_target_without_labels_is_named(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("teff,logg,m_h,mag\n4750,2.5,-1,21\n4750,,-1,21\n")

    with pytest.raises(ConfigError, match=r"logg of 1 target\(s\) is missing \(first: row 2\)"):
        read_targets(path)
