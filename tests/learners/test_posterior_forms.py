"""Posteriors in closed form: mixtures of Gaussians, and chains of truncated ones."""

import numpy as np

from starsmith.learners.compressed.posterior import Box, Mixture
from starsmith.learners.compressed.tails import truncated_place
from starsmith.learners.compressed.truncated import Truncated, _truncated

BOX = Box(np.array([1.0, 3750.0]), np.array([5.0, 6000.0]))


def toy_mixture(n_spec=4, n_component=3, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.random((n_spec, n_component))
    factor = np.triu(rng.normal(size=(n_spec, n_component, 2, 2)), 1) * 0.5
    factor[..., [0, 1], [0, 1]] = rng.uniform(0.1, 0.9, (n_spec, n_component, 2))
    mean = rng.normal(size=(n_spec, n_component, 2))
    return Mixture(BOX, np.log(weight / weight.sum(axis=1)[:, None]), mean, factor)


def test_moments_and_quantiles_of_a_mixture_are_those_of_its_draws():
    mixture = toy_mixture()
    draws = mixture.sample(200_000, (1,))
    mean, width = mixture.moments()
    # 4 standard errors of 200,000 draws
    np.testing.assert_allclose(
        mean, draws.mean(axis=1), atol=4 * (draws.std(axis=1) / np.sqrt(2e5)).max(), rtol=0
    )
    np.testing.assert_allclose(width, draws.std(axis=1), rtol=0.01)
    levels = np.array([0.025, 0.5, 0.84])
    found = mixture.quantiles(levels)
    below = np.mean(draws[:, None] < found[:, :, None], axis=2)
    np.testing.assert_allclose(below, np.broadcast_to(levels[:, None], below.shape), atol=0.005)
    middle = found[:, 1]
    np.testing.assert_allclose(mixture.cumulative(middle), 0.5, atol=1e-6)


def test_the_density_of_a_mixture_integrates_to_one():
    mixture = toy_mixture(2)
    u = (np.arange(400) + 0.5) / 400
    grid = BOX.low + BOX.width * np.stack(np.meshgrid(u, u, indexing="ij"), axis=-1).reshape(-1, 2)
    log = mixture.log_density(np.repeat(grid[None], 2, axis=0))
    total = np.exp(log).mean(axis=1) * np.prod(BOX.width)
    np.testing.assert_allclose(total, 1.0, atol=0.01)  # midpoints; densities fall at the ends


def test_a_chain_of_truncated_normals_states_what_it_draws():
    """Density, moments, quantiles and draws agree, also of modes far outside the range."""
    rng = np.random.default_rng(4)
    n_spec, n_component = 6, 3
    factor = np.tril(rng.normal(size=(n_spec, n_component, 2, 2)), -1) * 4.0
    factor[..., [0, 1], [0, 1]] = np.exp(rng.uniform(0.0, 3.0, (n_spec, n_component, 2)))
    mean = rng.uniform(-0.5, 1.5, (n_spec, n_component, 2))
    log_weight = np.log(rng.dirichlet(np.ones(n_component), n_spec))
    posterior = Truncated(BOX, log_weight, mean, factor)
    draws = posterior.sample(40_000, (1,))
    assert (posterior.log_density(draws) > -np.inf).all()
    assert (posterior.log_density(np.array([[[0.9, 4000.0]]] * n_spec)) == -np.inf).all()
    middle, width = posterior.moments()
    # 16 points of a component, 40,000 draws
    np.testing.assert_allclose((draws.mean(axis=1) - middle) / width, 0.0, atol=0.03)
    np.testing.assert_allclose(width, draws.std(axis=1), rtol=0.03)
    levels = np.array([0.16, 0.5, 0.84])
    found = posterior.quantiles(levels)
    below = np.mean(draws[:, None] < found[:, :, None], axis=2)
    np.testing.assert_allclose(below, np.broadcast_to(levels[:, None], below.shape), atol=0.02)
    np.testing.assert_allclose(posterior.cumulative(found[:, 1]), 0.5, atol=0.02)
    u = (np.arange(250) + 0.5) / 250
    place = np.stack(np.meshgrid(u, u, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = np.repeat((BOX.low + BOX.width * place)[None], n_spec, axis=0)
    total = np.exp(posterior.log_density(grid)).mean(axis=1) * np.prod(BOX.width)
    np.testing.assert_allclose(total, 1.0, atol=0.02)  # midpoints


def test_the_place_of_a_truncated_normal_is_that_of_its_distribution():
    """Limits on either side of the mode and far from it, by scipy's logarithms of tails."""
    rng = np.random.default_rng(5)
    low = rng.normal(size=300) * np.exp(rng.uniform(-2.0, 6.0, 300))
    scale, p = np.exp(rng.uniform(-1.0, 6.0, 300)), rng.random(300)
    found = [truncated_place(*numbers) for numbers in zip(low, scale, p, strict=True)]
    expected = _truncated(low, low + scale, np.log(p), scale)
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=0)


def test_a_flat_prior_is_a_standard_normal():
    """One component of mean 0 and unit covariance is the uniform prior itself."""
    flat = Mixture(BOX, np.zeros((1, 1)), np.zeros((1, 1, 2)), np.eye(2)[None, None])
    mean, width = flat.moments()
    np.testing.assert_allclose(mean[0], [3.0, 4875.0])
    np.testing.assert_allclose(width[0], BOX.width / np.sqrt(12.0))
    log = flat.log_density(np.array([[[2.0, 4000.0], [4.5, 5900.0]]]))
    np.testing.assert_allclose(log, -np.log(np.prod(BOX.width)))


def test_pooled_mixtures_average_their_means():
    mixture = toy_mixture(6)
    np.testing.assert_allclose(
        mixture.pooled(3).moments()[0], mixture.moments()[0].reshape(2, 3, 2).mean(axis=1)
    )
    few = toy_mixture(2, 6, seed=5)
    put = mixture.put(np.array([1, 4]), few)
    np.testing.assert_allclose(put.moments()[0][[1, 4]], few.moments()[0])
    np.testing.assert_allclose(put.moments()[0][[0, 5]], mixture.moments()[0][[0, 5]])
