"""Information per pixel: it adds up to the bound, and sits where the physics puts it."""

from itertools import pairwise

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.information.bounds import fisher_information
from starsmith.fisher.information.density import information_of_star
from starsmith.fisher.information.nuisances import Nuisances
from starsmith.fisher.stars import free_labels, star_at, stars_at
from tests.conftest import make_toy_bank

NAMES = ("teff", "logg", "m_h")
GIANT = {"teff": 4750.0, "logg": 2.5, "m_h": -1.0, "mag": 21.0}


@pytest.fixture(scope="module")
def wide_bank():
    """Toy spectra over 8500-8820 Å, so that every feature has pixels."""
    return make_toy_bank(n_wave=760)


@pytest.mark.parametrize("normalise", ["free", "known", "absolute"])
def test_pixels_add_up_to_the_inverse_of_the_bound(toy_bank, prior, normalise):
    """An identity of the projection; only rounding of the sum remains."""
    star = star_at(toy_bank, prior, GIANT)

    found = information_of_star(toy_bank, star, "logg", NAMES, normalise)

    assert found.density.min() >= 0.0
    assert found.density.sum() * found.sigma**2 == pytest.approx(1.0, rel=1e-12)
    assert found.rho == pytest.approx(found.density.sum() / found.density_fixed.sum(), rel=1e-12)


def test_bound_is_that_of_the_ceilings(toy_bank, prior):
    """Same star by Cholesky of the Gram matrix, which loses the digits of its condition number."""
    star = star_at(toy_bank, prior, GIANT)
    nuisances = Nuisances(continuum=2, velocity=True)

    found = information_of_star(toy_bank, star, "logg", NAMES, "free", nuisances)

    stars = fisher_information(toy_bank, star, "logg", NAMES, "free", nuisances)
    lost = 10.0 * stars.cond[0] * np.finfo(np.float64).eps
    assert lost < 1e-3
    assert found.sigma**2 == pytest.approx(stars.bounds.sigma2[0], rel=lost)


def test_without_nuisances_the_density_is_that_of_the_slope_alone(toy_bank, prior):
    """Magnitude known and one label free: nothing is projected off, so the two agree."""
    star = star_at(toy_bank, prior, GIANT)

    found = information_of_star(toy_bank, star, "logg", ("logg",), "absolute")

    np.testing.assert_allclose(found.density, found.density_fixed, rtol=1e-12)


def test_features_and_the_rest_share_everything(wide_bank, prior):
    found = information_of_star(wide_bank, star_at(wide_bank, prior, GIANT), "logg", NAMES)
    features = found.features()

    assert [window.name for window in features][-1] == "elsewhere"
    assert all(window.width > 0.0 for window in features)
    assert sum(window.share for window in features) == pytest.approx(1.0, rel=1e-12)
    assert sum(window.share_fixed for window in features) == pytest.approx(1.0, rel=1e-12)


def test_top_windows_are_the_richest_and_do_not_overlap(wide_bank, prior):
    """The best window equals the largest running sum, computed the slow way."""
    found = information_of_star(wide_bank, star_at(wide_bank, prior, GIANT), "logg", NAMES)
    windows = found.top(count=4, width=10.0)
    n_pixel = round(10.0 / 0.43)
    sums = [found.density[k : k + n_pixel].sum() for k in range(found.wave.size - n_pixel + 1)]

    assert windows[0].share == pytest.approx(max(sums) / found.density.sum(), rel=1e-9)
    assert [w.share for w in windows] == sorted((w.share for w in windows), reverse=True)
    edges = sorted(window.bands[0] for window in windows)
    assert all(first[1] < second[0] for first, second in pairwise(edges))


def test_what_is_not_chosen_is_the_middle_of_the_prior(toy_bank, prior):
    stars = stars_at(toy_bank, prior, {"teff": np.array([4000.0, 5000.0])})

    np.testing.assert_array_equal(stars.labels, [[4000.0, 3.0, -0.875], [5000.0, 3.0, -0.875]])
    assert stars.mag.tolist() == [21.5, 21.5]
    assert stars.condition("exp_count").tolist() == [12.0, 12.0]


def test_labels_the_bank_lacks_are_refused(toy_bank, prior):
    with pytest.raises(ConfigError, match="a_m"):
        star_at(toy_bank, prior, {"a_m": 0.2})


def test_a_label_that_does_not_vary_cannot_be_the_target(toy_bank, prior):
    with pytest.raises(ConfigError, match="--target"):
        free_labels(toy_bank, prior.with_ranges(logg=(4.0, 4.0)), "logg")
