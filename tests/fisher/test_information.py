"""Information on a label is what no nuisance can imitate."""

from itertools import pairwise

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.information.bounds import fisher_information
from starsmith.fisher.information.crlb import (
    crlb,
    crlb_batch,
    crlb_from_gram,
    information_density,
    optimal_filter,
    whitened_gram,
)
from starsmith.fisher.information.nuisances import Nuisances
from starsmith.simulator.observe import draw_stars
from tests.reference.fisher import schur_dense


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(1)
    jacobian = rng.normal(size=(9, 4, 80)) * np.array([1e-3, 1.0, 2.0, 30.0])[:, None]
    return jacobian, rng.uniform(0.3, 3.0, (9, 80))


@pytest.mark.parametrize("target", range(4))
def test_kernel_equals_explicit_schur_complement(world, target):
    """Compiled Cholesky against the textbook formula; 1e-10 is 1e5 roundings."""
    jacobian, variance = world
    gram = whitened_gram(jacobian, variance)

    bounds = crlb_from_gram(gram, target)

    for i, matrix in enumerate(gram):
        information, rho = schur_dense(matrix, target)
        assert bounds.sigma2[i] * information == pytest.approx(1.0, rel=1e-10)
        assert bounds.rho[i] == pytest.approx(rho, rel=1e-10)


def test_batch_equals_one_by_one(world):
    jacobian, variance = world
    batch = crlb_batch(jacobian, variance, 1)
    singles = [crlb(j.T, v, 1) for j, v in zip(jacobian, variance, strict=True)]
    np.testing.assert_allclose(batch.sigma2, [s.sigma2 for s in singles], rtol=1e-10)
    np.testing.assert_allclose(batch.fixed, [s.fixed for s in singles], rtol=1e-10)


def test_imitated_label_is_infinite_for_that_star_only(world):
    """One star's target is a sum of two nuisances: inf there, untouched elsewhere."""
    jacobian, variance = world
    spoiled = jacobian.copy()
    spoiled[4, 0] = spoiled[4, 2] - 3.0 * spoiled[4, 3]
    bounds, clean = crlb_batch(spoiled, variance, 0), crlb_batch(jacobian, variance, 0)
    assert np.isinf(bounds.sigma2[4])
    others = np.arange(9) != 4
    np.testing.assert_allclose(bounds.sigma2[others], clean.sigma2[others], rtol=1e-12)


def test_nuisances_that_imitate_each_other_do_no_harm(world):
    """Two equal nuisances count once; an empty one not at all."""
    jacobian, variance = world[0][0].T, world[1][0]
    doubled = np.column_stack([jacobian, jacobian[:, 2], np.zeros(80)])
    assert crlb(doubled, variance, 0).sigma2 == pytest.approx(
        crlb(jacobian, variance, 0).sigma2, rel=1e-10
    )


def test_prior_on_a_nuisance_is_the_same_as_noise_it_would_cause(world):
    """Marginalising with prior σ equals adding σ² u u' to the covariance (Woodbury)."""
    jacobian, variance = world[0][0].T, world[1][0]
    sigma = 0.4
    nuisance = jacobian[:, 3]
    covariance = np.diag(variance) + sigma**2 * np.outer(nuisance, nuisance)
    fisher = jacobian[:, :3].T @ np.linalg.solve(covariance, jacobian[:, :3])
    information, _ = schur_dense(fisher, 0)
    found = crlb(jacobian, variance, 0, priors={3: sigma})
    assert found.sigma2 * information == pytest.approx(1.0, rel=1e-10)


def test_density_sums_to_the_information(world):
    jacobian, variance = world[0][2].T, world[1][2]
    result = crlb(jacobian, variance, 2)
    assert information_density(result, 80).sum() * result.sigma2 == pytest.approx(1.0, rel=1e-12)


def test_optimal_filter_is_unbiased_blind_and_attains_the_bound(world):
    """Weights respond to the target by 1, to nuisances by 0, with variance CRLB."""
    jacobian, variance = world[0][2].T, world[1][2]
    result = crlb(jacobian, variance, 2)
    weights = optimal_filter(result, variance)
    np.testing.assert_allclose(weights @ jacobian, [0.0, 0.0, 1.0, 0.0], atol=1e-10)
    assert np.sum(weights**2 * variance) == pytest.approx(result.sigma2, rel=1e-10)


def test_each_nuisance_costs_information(toy_bank, prior):
    """Known <= free amplitude <= and a continuum <= and a radial velocity."""
    draws = draw_stars(toy_bank, prior, 0, "test", np.arange(20))
    choices = [
        ("known", Nuisances()),
        ("free", Nuisances()),
        ("free", Nuisances(continuum=2)),
        ("free", Nuisances(continuum=2, velocity=True)),
    ]
    sigma2 = [
        fisher_information(toy_bank, draws, normalise=normalise, nuisances=n).bounds.sigma2
        for normalise, n in choices
    ]
    for less, more in pairwise(sigma2):
        assert np.all(less <= more * (1 + 1e-9))
        assert np.median(more / less) > 1.0


def test_velocity_prior_of_width_zero_is_no_velocity(toy_bank, prior):
    """A tight prior approaches the known velocity, a wide one the free one."""
    draws = draw_stars(toy_bank, prior, 0, "test", np.arange(5))

    def sigma2(nuisances):
        return fisher_information(toy_bank, draws, nuisances=nuisances).bounds.sigma2

    none = sigma2(Nuisances())
    np.testing.assert_allclose(
        sigma2(Nuisances(velocity=True, priors=(("rv", 0.0),))), none, rtol=1e-10
    )
    np.testing.assert_allclose(
        sigma2(Nuisances(velocity=True, priors=(("rv", 1e-6),))), none, rtol=1e-6
    )
    np.testing.assert_allclose(
        sigma2(Nuisances(velocity=True, priors=(("rv", 1e7),))),
        sigma2(Nuisances(velocity=True)),
        rtol=1e-6,
    )


def test_prior_on_an_unknown_column_is_refused(toy_bank, prior):
    draws = draw_stars(toy_bank, prior, 0, "test", np.arange(2))
    with pytest.raises(ConfigError, match="columns are"):
        fisher_information(toy_bank, draws, nuisances=Nuisances(priors=(("dust", 1.0),)))


def test_more_exposures_of_a_dark_limited_star_divide_the_bound(linear_bank, linear_prior):
    """N exposures give 1 / N where the star's own photons do not count (1e-6 here)."""
    one = linear_prior.with_ranges(exp_count=(1.0, 1.0))
    ten = linear_prior.with_ranges(exp_count=(10.0, 10.0))
    bounds = [
        fisher_information(
            linear_bank, draw_stars(linear_bank, p, 0, "test", np.arange(3)), names=("logg",)
        ).bounds.sigma2
        for p in (one, ten)
    ]
    # the sky residual floor grows with the number of exposures, by 1e-4 of the dark here
    np.testing.assert_allclose(bounds[0] / bounds[1], 10.0, rtol=1e-3)
