"""Exposure plans, against the ceilings' own code and closed forms."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.information.bounds import fisher_information
from starsmith.fisher.stars import star_at
from starsmith.fisher.survey.exposure_plan import Goal, least_integer, plan_exposures

STAR = {"teff": 4750.0, "logg": 2.5, "m_h": -1.0}
STEADY = {"seeing": (0.8, 0.8), "zenith_angle": (20.0, 20.0), "field_angle": (0.3, 0.3)}
NAMES = ("teff", "logg", "m_h")


@pytest.fixture(scope="module")
def steady(prior):
    """The default prior under one set of conditions."""
    return prior.with_ranges(**STEADY)


def sigma_of(bank, prior, mag, exp_count):
    """Bound on log g with so many exposures, by the ceilings' own code."""
    draws = star_at(bank, prior.with_ranges(exp_count=(exp_count,) * 2), {**STAR, "mag": mag})
    return float(np.sqrt(fisher_information(bank, draws, "logg", NAMES).bounds.sigma2[0]))


def test_the_planned_number_is_the_least_that_reaches_the_goal(toy_bank, steady):
    """So many exposures meet the goal and one fewer does not, the lasting residual included."""
    mag = np.array([20.0, 20.7, 21.3])

    plan = plan_exposures(toy_bank, steady, mag, Goal(sigma={"logg": 0.5}, n_star=2), STAR)

    for m, n in zip(mag, plan.exp_count, strict=True):
        assert sigma_of(toy_bank, steady, m, n) <= 0.5 < sigma_of(toy_bank, steady, m, n - 1)
    np.testing.assert_array_equal(plan.time, 900.0 * plan.exp_count)


def test_only_the_sky_residual_does_not_average(toy_bank, steady):
    """Without it σ falls as 1/√n, so n = ceil((σ₁/σ)²); with it more exposures are needed."""
    mag = np.array([20.7, 21.3])
    goal = Goal(sigma={"logg": 0.5}, n_star=2)
    noise = dataclasses.replace(toy_bank.noise, floor_fraction=0.0)
    clean = dataclasses.replace(toy_bank, noise=noise)

    one = np.array([sigma_of(clean, steady, m, 1.0) for m in mag])
    averaged = plan_exposures(clean, steady, mag, goal, STAR).exp_count
    real = plan_exposures(toy_bank, steady, mag, goal, STAR).exp_count

    np.testing.assert_array_equal(averaged, np.ceil((one / 0.5) ** 2))
    assert np.all(real > averaged)


def test_limit_is_where_the_goal_is_just_met(toy_bank, steady):
    """A hundredth of a magnitude is 0.5 % of σ for the star's photons, 0.9 % for the sky's."""
    goal = Goal(sigma={"logg": 0.5}, max_time=9000.0, n_star=2)
    limit = plan_exposures(toy_bank, steady, np.array([20.0]), goal, STAR).mag_limit

    plan = plan_exposures(toy_bank, steady, np.array([limit, limit + 0.01]), goal, STAR)

    assert plan.shortfall[0] <= 1.0 < plan.shortfall[1]
    assert plan.shortfall[1] / plan.shortfall[0] < 1.0093
    assert plan.exp_count[0] == 10.0
    assert np.isnan(plan.exp_count[1])


def test_longer_exposures_meet_the_goal_to_the_second(toy_bank, steady):
    """The least length reaches the goal; one second less does not (bisection on a monotone)."""
    goal = Goal(sigma={"logg": 0.5}, vary="exp_time", n_star=2)
    mag = np.array([21.0])
    length = plan_exposures(toy_bank, steady, mag, goal, STAR).exp_time[0]

    def shortfall(seconds):
        at_most = Goal(sigma={"logg": 0.5}, vary="exp_time", n_star=2, max_time=12.0 * seconds)
        return plan_exposures(toy_bank, steady, mag, at_most, STAR).shortfall[0]

    assert shortfall(length) <= 1.0 < shortfall(length - 1.0)


def test_more_stars_to_satisfy_take_longer(toy_bank, prior):
    mag = np.array([20.5])
    plans = [
        plan_exposures(toy_bank, prior, mag, Goal(sigma={"logg": 0.5}, fraction=f, n_star=60))
        for f in (0.2, 0.5, 0.8)
    ]

    assert plans[0].exp_count < plans[1].exp_count < plans[2].exp_count


def test_several_goals_are_met_together(toy_bank, prior):
    """A star counts when it meets both: the plan is no shorter than either's."""
    mag = np.array([20.0])
    goals = ({"logg": 0.5}, {"m_h": 0.3}, {"logg": 0.5, "m_h": 0.3})
    counts = [
        plan_exposures(toy_bank, prior, mag, Goal(sigma=g, n_star=60, max_time=1e6)).exp_count[0]
        for g in goals
    ]

    assert counts[2] >= max(counts[:2])


def test_bisection_finds_the_least_number():
    """Against a search through all numbers, both ends and beyond included."""
    wanted = np.array([-3, 1, 2, 17, 63, 64, 65, 900])

    found = least_integer(lambda numbers: numbers >= wanted, 1, 64, wanted.size)

    np.testing.assert_array_equal(found, [1, 1, 2, 17, 63, 64, 65, 65])


@pytest.mark.parametrize(
    ("choices", "match"),
    [
        ({"sigma": {"logg": 0.0}}, "--target-sigma"),
        ({"sigma": {"logg": 0.3}, "fraction": 0.0}, "--fraction"),
        ({"sigma": {"logg": 0.3}, "vary": "seeing"}, "--vary"),
    ],
)
def test_impossible_goals_are_refused(choices, match):
    with pytest.raises(ConfigError, match=match):
        Goal(**choices)


def test_time_for_less_than_one_exposure_is_refused(toy_bank, prior):
    with pytest.raises(ConfigError, match="--max-time"):
        plan_exposures(toy_bank, prior, np.array([20.0]), Goal(sigma={"logg": 0.3}, max_time=600.0))
