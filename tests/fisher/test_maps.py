"""Maps of the bound: each point is the bound of that star, holes stay holes."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.figure_kit import axis_of
from starsmith.fisher.figures import map_figure
from starsmith.fisher.information.density import information_of_star
from starsmith.fisher.stars import star_at
from starsmith.fisher.survey.sigma_map import sigma_map

NAMES = ("teff", "logg", "m_h")


@pytest.fixture(scope="module")
def found(toy_bank, prior):
    return sigma_map(toy_bank, prior, held={"m_h": -1.0, "mag": 21.0}, shape=(4, 5))


def test_each_point_is_the_bound_of_that_star(found, toy_bank, prior):
    """QR of one star against Cholesky of many: they differ by the condition number's digits."""
    values = {"teff": found.first[1], "logg": found.second[3], "m_h": -1.0, "mag": 21.0}
    one = information_of_star(toy_bank, star_at(toy_bank, prior, values), "logg", NAMES)

    assert found.sigma[1, 3] == pytest.approx(one.sigma, rel=1e-6)
    assert found.snr[1, 3] == pytest.approx(one.snr, rel=1e-6)
    assert found.held == {"m_h": -1.0, "mag": 21.0}


def test_fainter_stars_tell_less_everywhere(found, toy_bank, prior):
    faint = sigma_map(toy_bank, prior, held={"m_h": -1.0, "mag": 22.0}, shape=(4, 5))

    assert np.all(faint.sigma > found.sigma)


def test_holes_of_the_grid_are_undefined(toy_bank, prior):
    """A missing node at the hot, compact corner: points that lean on it are NaN, others not."""
    filled = np.zeros(len(toy_bank.coef), dtype=bool)
    filled[-1] = True
    holed = dataclasses.replace(toy_bank, filled=filled)

    found = sigma_map(holed, prior, held={"m_h": 0.5}, shape=(4, 5))

    assert np.isnan(found.sigma[-1, -1])
    assert np.isfinite(found.sigma[0, 0])
    map_figure(found)


def test_a_fixed_axis_is_no_map(toy_bank, prior):
    with pytest.raises(ConfigError, match="teff"):
        sigma_map(toy_bank, prior.with_ranges(teff=(5000.0, 5000.0)))


def test_held_labels_are_not_those_of_the_plane(toy_bank, prior):
    with pytest.raises(ConfigError, match="--at"):
        sigma_map(toy_bank, prior, held={"teff": 5000.0})


def test_figure_names_its_axes_and_what_is_held(found):
    axes = map_figure(found, "TOY").axes[0]

    assert axes.get_xlabel() == axis_of("teff")
    assert axes.xaxis_inverted()
    assert "[M/H] -1" in axes.get_title()
