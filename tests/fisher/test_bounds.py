"""From information to R²: worlds where the best answer is known."""

import dataclasses

import numpy as np
import pytest

from starsmith.fisher.information.bounds import (
    StarBounds,
    bayes_gauss,
    fisher_information,
    mean_clip,
    paper_median,
    unbiased_mean,
    van_trees,
)
from starsmith.fisher.information.crlb import crlb_from_gram, whitened_gram
from starsmith.fisher.information.grid_nodes import node_spectra, step_error
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.rendering.interpolate import prefilter
from tests.conftest import make_noise_tables, make_toy_bank, star_flux


def test_best_linear_estimator_lands_on_bayes_gauss():
    """Linear spectra, Gaussian labels: the optimum is known and a regression attains it.

    Monte Carlo scatter of R² over 100,000 stars is 1e-3; four times that.
    """
    rng = np.random.default_rng(7)
    n_wave, n_star = 40, 100_000
    jacobian, error = rng.normal(size=(n_wave, 2)), rng.uniform(2.0, 6.0, n_wave)
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    labels = rng.multivariate_normal([0, 0], covariance, n_star)
    flux = labels @ jacobian.T + error * rng.normal(size=(n_star, n_wave))
    flux_covariance = jacobian @ covariance @ jacobian.T + np.diag(error**2)
    estimate = flux @ np.linalg.solve(flux_covariance, jacobian @ covariance)
    r2 = 1 - np.mean((estimate - labels) ** 2, axis=0) / np.var(labels, axis=0)

    gram = whitened_gram(jacobian.T[None], error[None] ** 2)
    stars = StarBounds(("a", "b"), 2, gram, crlb_from_gram(gram, 0), np.ones(1), np.ones(1))

    for k, name in enumerate(("a", "b")):
        ceiling = 1.0 - bayes_gauss(stars, name, covariance)[0] / covariance[k, k]
        assert r2[k] == pytest.approx(ceiling, abs=4e-3)


@pytest.mark.parametrize(("sigma", "r2"), [(0.4255, 0.8914), (0.6588, 0.7396), (1.0281, 0.3658)])
def test_paper_median_reproduces_published_digits(sigma, r2):
    """Logged median σ of log g at magnitudes 21.5, 22, 22.5 and R² with Var = 1.6667."""
    middle = paper_median(np.full(9, sigma**2), np.arange(1.0, 5.01, 0.5).var())[1]
    assert middle == pytest.approx(r2, abs=1e-4)


def test_clipping_only_ever_raises_r2():
    sigma2 = np.array([0.1, 1.0, 30.0, np.inf])
    clipped = mean_clip(sigma2, 1.5)
    assert np.all(clipped <= unbiased_mean(sigma2))
    np.testing.assert_array_equal(clipped, [0.1, 1.0, 1.5, 1.5])


def test_van_trees_needs_no_monte_carlo_for_constant_information():
    """Independent labels do not help or hurt each other: the bound is that of one label."""
    position = np.linspace(-1.0, 1.0, 4001)[:, None]
    one = van_trees(np.full((4001, 1, 1), 5.0), position, np.array([-1.0]), np.array([1.0]), 0)
    rng = np.random.default_rng(0)
    both = np.column_stack([position[:, 0], rng.permutation(position[:, 0])])
    gram = np.broadcast_to(np.diag([5.0, 2.0]), (4001, 2, 2))
    two = van_trees(gram, both, np.full(2, -1.0), np.full(2, 1.0), 0)
    assert two == pytest.approx(one, rel=1e-10)


@pytest.mark.parametrize(
    ("normalise", "tolerance"), [("known", 0.15), ("free", 0.05), ("absolute", 0.05)]
)
def test_nodes_with_spline_slopes_equal_stars_at_the_nodes(toy_bank, prior, normalise, tolerance):
    """Bounds at nodes and bounds of stars with those labels are the same calculation.

    The node spectra are normalised before they are differentiated, the bank's flux after:
    the two splines differ by their own error, a few per cent at coarse toy nodes; more for
    the median, whose pixel jumps from node to node.
    """
    nodes = node_spectra(toy_bank, prior, normalise, "spline")
    mag = nodes.magnitude_at(7.0)
    pick = np.arange(0, len(nodes.labels), 7)
    draws = draw_stars(toy_bank, prior, 0, "test", np.arange(pick.size))
    conditions = np.repeat(
        np.array([[1.0, 22.5, 0.325, 60.0, 120.0, 0.0, 900.0, 12.0]]), pick.size, axis=0
    )
    object.__setattr__(draws, "labels", nodes.labels[pick])
    object.__setattr__(draws, "mag", np.full(pick.size, mag))
    object.__setattr__(draws, "conditions", conditions)

    stars = fisher_information(toy_bank, draws, normalise=normalise)

    sigma2 = nodes.sigma2("logg", np.array([mag]))[0, pick]
    assert np.median(nodes.snr(mag)) == pytest.approx(7.0, rel=1e-3)
    np.testing.assert_allclose(np.sqrt(sigma2 / stars.bounds.sigma2), 1.0, atol=tolerance)
    np.testing.assert_allclose(nodes.snr(mag)[pick], stars.snr, rtol=1e-4)


def test_nodes_count_once_each(toy_bank, prior):
    """Var of the nodes is that of the node values, not of a uniform prior."""
    nodes = node_spectra(toy_bank, prior)
    assert nodes.variance("logg") == pytest.approx(np.array([1, 2, 3, 4, 5]).var())
    assert len(nodes.labels) == 150


def test_nodes_outside_the_prior_or_missing_are_left_out(toy_bank, prior):
    """Two nodes beside three holes have no third to make a parabola of: counted, left out."""
    filled = toy_bank.filled.copy()
    filled[:3] = True
    holey = node_spectra(dataclasses.replace(toy_bank, filled=filled), prior)
    assert len(holey.labels) == 145
    assert holey.without_slope == 2
    giants = prior.with_ranges(logg=(1.0, 3.0))
    assert len(node_spectra(toy_bank, giants).labels) == 6 * 3 * 5


def bank_of_steps(n_teff, n_logg, n_m_h):
    """Toy stars on evenly spaced nodes, 100 pixels."""
    wave = 8500.0 + 1.3 * np.arange(100)
    axes = (
        np.linspace(3750.0, 6000.0, n_teff),
        np.linspace(1.0, 5.0, n_logg),
        np.linspace(-2.5, 0.75, n_m_h),
    )
    nodes = np.stack(
        [[[star_flux(t, g, z, wave) for z in axes[2]] for g in axes[1]] for t in axes[0]]
    )
    n_node = n_teff * n_logg * n_m_h
    return dataclasses.replace(
        make_toy_bank(100),
        wave=wave,
        axes=axes,
        coef=prefilter(nodes * 1e-6, axes).reshape(n_node, -1).astype(np.float32),
        band_coef=prefilter(nodes.mean(axis=-1)[..., None] * 6e-15, axes).ravel(),
        filled=np.zeros(n_node, dtype=bool),
        noise=make_noise_tables(wave),
    )


def test_finer_grids_leave_less_choice_of_derivative(prior):
    """Differences are of second order: half the steps, about a quarter of the disagreement."""
    apart = [
        np.nanstd(step_error(bank_of_steps(*steps), prior, "logg"))
        for steps in ((5, 5, 5), (5, 9, 5))
    ]
    assert apart[1] < 0.5 * apart[0]
