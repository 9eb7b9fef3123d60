"""Exposures of single stars: those of the survey plan, star by star."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.fisher.information.bounds import fisher_information
from starsmith.fisher.stars import stars_at
from starsmith.fisher.survey.exposure_plan import Goal
from starsmith.fisher.survey.star_plan import plan_stars

NAMES = ("teff", "logg", "m_h")


@pytest.fixture(scope="module")
def stars(toy_bank, prior):
    """Ninety stars from dwarfs to giants, bright to faint: more than one block."""
    rng = np.random.default_rng(1)
    values = {
        "teff": rng.uniform(4000.0, 5800.0, 90),
        "logg": rng.uniform(1.2, 4.8, 90),
        "m_h": rng.uniform(-2.0, 0.5, 90),
        "mag": rng.uniform(19.0, 22.5, 90),
    }
    return stars_at(toy_bank, prior, values)


def sigma_with(bank, prior, stars, exp_count):
    conditions = stars.conditions.copy()
    conditions[:, -1] = exp_count
    found = fisher_information(
        bank, dataclasses.replace(stars, conditions=conditions), "logg", NAMES
    )
    return np.sqrt(found.bounds.sigma2)


def test_each_star_gets_the_least_number_that_reaches_its_goal(toy_bank, prior, stars):
    """By the ceilings' own code: so many reach it, one fewer does not."""
    plan = plan_stars(toy_bank, prior, stars, Goal(sigma={"logg": 0.5}, max_time=36000.0))

    reached = np.isfinite(plan.exp_count)
    assert 10 < reached.sum() < 80
    rows = np.flatnonzero(reached)
    some, number = stars.take(rows), plan.exp_count[rows]
    assert np.all(sigma_with(toy_bank, prior, some, number) <= 0.5)
    more = number > 1
    fewer = sigma_with(toy_bank, prior, some.take(np.flatnonzero(more)), number[more] - 1)
    assert np.all(fewer > 0.5)
    np.testing.assert_array_equal(plan.shortfall[~reached] > 1.0, True)
    np.testing.assert_array_equal(plan.time[rows], 900.0 * number)


def test_a_star_on_a_hole_is_not_planned(toy_bank, prior, stars):
    filled = np.ones_like(toy_bank.filled)
    holey = dataclasses.replace(toy_bank, filled=filled)
    plan = plan_stars(holey, prior, stars.take(slice(0, 5)), Goal(sigma={"logg": 0.5}))
    assert np.isnan(plan.exp_count).all()
    assert np.isnan(plan.shortfall).all()


def test_half_the_pixels_never_shorten_an_exposure(toy_bank, prior, stars):
    """The same detector cut in two arms: each alone needs at least as long."""
    noise = toy_bank.noise
    per_arm = {
        name: np.full(2, getattr(noise, name))
        for name in (
            "read_variance", "dark_rate", "stray_fraction", "floor_fraction", "variance_factor",
            "sample_factor",
        )
    }  # fmt: skip
    edge = np.array([0.0, 150.0, 300.0])
    split = dataclasses.replace(noise, arm_edge=edge, arm_names=("blue", "red"), **per_arm)
    bank = dataclasses.replace(toy_bank, noise=split)
    some, goal = stars.take(slice(0, 30)), Goal(sigma={"logg": 0.5}, max_time=1e6)

    both = plan_stars(bank, prior, some, goal)
    for arm in ("blue", "r"):
        alone = plan_stars(bank, prior, some, dataclasses.replace(goal, arm=arm))
        longer = np.nan_to_num(alone.exp_count, nan=np.inf)
        assert np.all(longer >= np.nan_to_num(both.exp_count, nan=np.inf))
    with pytest.raises(DataError, match="green"):
        plan_stars(bank, prior, some, dataclasses.replace(goal, arm="green"))
