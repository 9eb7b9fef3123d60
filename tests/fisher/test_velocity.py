"""Bounds on the radial velocity: of stars, of exposures, and of measured velocities."""

from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.fisher.ceilings.velocity import velocity_bounds
from starsmith.fisher.stars import stars_at
from starsmith.fisher.survey.exposure_plan import Goal, plan_exposures
from starsmith.fisher.survey.star_plan import plan_stars
from starsmith.learners import fit, load_checkpoint
from starsmith.learners.evaluation.velocity_scores import score_velocity
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.prior import Prior

PRIOR = Prior.default()
STAR = {"teff": 4750.0, "logg": 2.5, "m_h": -1.0}


def test_the_bound_falls_as_the_signal_rises(toy_bank):
    """σ S/N is constant where the noise is the sky's alone; to know the labels never hurts."""
    faint = stars_at(toy_bank, PRIOR, STAR | {"mag": np.array([22.0, 23.0, 24.0])})
    found = velocity_bounds(toy_bank, PRIOR, faint)
    np.testing.assert_allclose(
        found.sigma * found.snr / (found.sigma * found.snr)[-1], 1.0, rtol=0.1
    )
    assert (found.fixed <= found.sigma).all()
    assert found.fitted[-1] == "rv"
    (row,) = [row for row in found.rows((0.0, np.inf)) if row["snr"] == "all"]
    assert row["n"] == 3
    assert row["sigma_p10"] <= row["sigma_p50"] <= row["sigma_p90"]


def test_exposures_are_planned_for_a_velocity(toy_bank):
    """The number planned reaches the bound, and one fewer does not; star by star likewise."""
    goal = Goal(sigma={"rv": 3.0}, n_star=2)
    plan = plan_exposures(toy_bank, PRIOR, np.array([20.5]), goal, STAR)
    stars = stars_at(toy_bank, PRIOR, STAR | {"mag": np.array([20.5])})
    one = plan_stars(toy_bank, PRIOR, stars, Goal(sigma={"rv": 3.0}))
    assert plan.fitted[-1] == "rv"
    assert np.isfinite(plan.exp_count).all()
    count = float(one.exp_count[0])
    for number, reached in ((count, True), (count - 1, False)):
        if number >= 1:
            conditions = stars.conditions.copy()
            conditions[:, -1] = number
            found = velocity_bounds(toy_bank, PRIOR, replace(stars, conditions=conditions))
            assert (found.sigma[0] <= 3.0) == reached


@pytest.fixture(scope="module")
def moving(toy_bank, tmp_path_factory):
    out = tmp_path_factory.mktemp("velocity") / "toy.zarr"
    prior = PRIOR.with_ranges(mag=(18.0, 19.0))
    write_dataset(toy_bank, prior, {"train": 300, "val": 60, "test": 40}, out, seed=3)
    return open_dataset(out)


def test_velocities_are_scored_by_their_bound(toy_bank, moving, tmp_path):
    """No star errs by much less than its bound allows, and stated errors cover the truth."""
    fit("ridge", moving.training(), "logg", None, tmp_path / "ridge")
    split = moving.split("test")
    bound = velocity_bounds(toy_bank, PRIOR.with_ranges(mag=(18.0, 19.0)), split.draws).sigma
    scores = score_velocity(load_checkpoint(tmp_path / "ridge"), split, bound, (0.0, np.inf))
    assert [row.snr for row in scores.rows] == ["all", "0-inf"]
    (row, _) = scores.rows
    assert row.n == 40
    assert 0.6 < row.over_bound < 3.0  # 40 stars; templates of 300 noisy spectra
    assert row.coverage[0] < row.coverage[1]
    assert "R2" not in str(scores.table())
