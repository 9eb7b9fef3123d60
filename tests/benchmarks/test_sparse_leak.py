"""A few memorised stars raise the alarm, and honest models do not, on posteriors in closed form."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from starsmith.fisher.ceilings.closeness import closeness

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "sparse_leak.py"
World = runpy.run_path(str(SCRIPT))["World"]


@pytest.mark.parametrize("n", [300, 1500])
def test_a_few_memorised_stars_raise_the_alarm(n):
    """3 % known exactly change no mean error; so many hits are no chance."""
    world = World(n, seed=1)
    assert not any(w.too_many for w in closeness(world.truth, world.mean, world.mean, world.var))
    found = closeness(world.truth, world.leaking(0.03, 0.0), world.mean, world.var)
    assert found[0].too_many
    assert found[0].found >= 0.03 * n
    assert world.alarm(world.leaking(0.03, 0.0))


def test_stars_known_to_a_tenth_of_sigma_raise_the_alarm():
    """The widest window sees them, against the shape of each posterior."""
    world = World(5000, seed=2)
    found = closeness(world.truth, world.leaking(0.10, 0.1), world.mean, world.var)
    assert [row.too_many for row in found][-1]


@pytest.mark.parametrize("n", [300, 1500, 5000])
def test_a_uniform_leak_of_half_a_percent_raises_the_alarm(n):
    """Every prediction 0.5 % nearer to the truth: too few hits, but errors smaller than any can."""
    world = World(n, seed=3)
    predicted = world.mean + 0.005 * (world.truth - world.mean)
    assert world.alarm(predicted)
    assert not world.alarm(world.mean)
    found = closeness(world.truth, predicted, world.mean, world.var)
    assert not any(row.too_many for row in found)


@pytest.mark.parametrize("kind", range(8))
def test_honest_models_raise_none(kind):
    """Means, draws, fits, rounded or scattered predictions of the spectra alone."""
    world = World(1500, seed=kind)
    found = closeness(world.truth, world.honest(kind), world.mean, world.var)
    assert not any(row.too_many for row in found)


def test_labels_on_nodes_are_not_counted():
    """A guess of a node is exact with a fair chance: there is no window."""
    truth = np.repeat([1.0, 2.0, 3.0], 100)
    assert closeness(truth, truth, truth + 0.1, np.full(300, 0.1)) == ()
