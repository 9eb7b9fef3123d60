"""Estimators that know the forward model: best template, and the posterior mean."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize, rosen

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.fisher.ceilings.ceiling import ceiling
from starsmith.fisher.posterior.best_fit import FitOptions, best_fit, nelder_mead
from starsmith.learners import fit, load_checkpoint, predict
from starsmith.learners.estimators.registry import Forward, ForwardView
from starsmith.learners.recipe import PosteriorRecipe, TemplateRecipe
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate

PRIOR = Prior.default().with_ranges(mag=(19.0, 21.0))
POSTERIOR = PosteriorRecipe(n_template=8000, n_local=256)


@pytest.fixture(scope="module")
def dataset(toy_bank, tmp_path_factory):
    out = tmp_path_factory.mktemp("forward") / "toy.zarr"
    write_dataset(toy_bank, PRIOR, {"train": 40, "val": 60, "test": 400}, out, seed=9)
    return open_dataset(out)


@pytest.fixture(scope="module")
def forward(toy_bank):
    return Forward(toy_bank, dict(PRIOR.ranges))


@pytest.fixture(scope="module")
def runs(dataset, forward, tmp_path_factory):
    """Checkpoint of each of the two models."""
    out = tmp_path_factory.mktemp("runs")
    for model, recipe in (("gridposterior", POSTERIOR), ("template", TemplateRecipe())):
        known = ForwardView(dataset.training(), forward)
        fit(model, known, ("logg", "m_h"), recipe, out / model)
    return out


def rosenbrock(offset):
    return lambda rows, places: np.array(
        [rosen(2.0 * p - offset[r]) for r, p in zip(rows, places, strict=True)]
    )


def test_simplices_side_by_side_find_what_scipy_finds_one_by_one():
    """Rosenbrock's valley, shifted for every problem so that some minima lie on the box."""
    offset = np.array([[1.0, 1.0], [0.0, 0.5], [3.0, 3.5], [-2.0, -1.0]])
    top = np.array([2.5, 2.5])
    start = np.array([[1.2, 0.3], [1.7, 0.3], [1.2, 0.8]])
    misfit = rosenbrock(offset)

    place, least, converged = nelder_mead(
        misfit, np.repeat(start[None], 4, axis=0), top, iterations=500, tolerance=1e-5
    )

    assert converged.all()
    for k in range(4):
        theirs = minimize(
            lambda p, k=k: rosen(2.0 * p - offset[k]),
            start[0],
            method="Nelder-Mead",
            bounds=[(0.0, 2.5)] * 2,
            options={"xatol": 1e-6, "fatol": 1e-12, "initial_simplex": start, "maxiter": 2000},
        )
        # both stop at 1e-5 in place; the valley's curvature along the floor is about 1
        assert least[k] <= theirs.fun + 1e-6
        np.testing.assert_allclose(place[k], theirs.x, atol=1e-3)


def test_the_best_template_is_the_minimum_of_chi_square_over_pixels(toy_bank):
    """No label nearby, in full spectra with the amplitude solved for, fits better."""
    draws = draw_stars(toy_bank, PRIOR, 4, "test", np.arange(12))
    seen = observe(toy_bank, draws)
    found = best_fit(toy_bank, PRIOR, seen.flux, seen.error)
    rng = np.random.default_rng(0)
    step = np.array([50.0, 0.1, 0.05])
    low, high = np.array([PRIOR.ranges[n] for n in toy_bank.label_names]).T

    def gain(labels, k):
        model = interpolate(toy_bank, labels, np.full(len(labels), 20.0)).astype(float)
        weight = 1.0 / seen.error[k].astype(float) ** 2
        return (model @ (seen.flux[k] * weight)) ** 2 / (model**2 @ weight)

    assert not found.failed.any()
    for k in range(12):
        near = np.clip(found.labels[k] + step * rng.standard_normal((200, 3)), low, high)
        best = gain(found.labels[k][None], k)[0]
        # the reduced basis loses up to 0.1 in chi-square, the simplex 1e-3 of a node spacing
        assert gain(near, k).max() < best + 0.15
        assert found.chi2_gain[k] == pytest.approx(best, abs=0.2)


def test_errors_of_bright_stars_are_those_the_bound_states(toy_bank):
    """At high S/N the best template scatters by its Cramér-Rao σ."""
    prior = PRIOR.with_ranges(mag=(16.5, 17.0), logg=(2.0, 4.0), m_h=(-1.5, 0.0))
    draws = draw_stars(toy_bank, prior, 1, "test", np.arange(100))
    seen = observe(toy_bank, draws)

    found = best_fit(toy_bank, PRIOR, seen.flux, seen.error, FitOptions(iterations=400))

    inner = ~found.at_edge & ~found.failed
    z = (found.labels - draws.labels)[inner] / found.sigma[inner]
    assert inner.sum() > 90
    # the scatter of a median of 100 is 12 %; it resists the few second minima
    assert 1.4826 * np.median(np.abs(z), axis=0) == pytest.approx([1.0, 1.0, 1.0], abs=0.36)


def test_grid_posterior_lands_on_the_exact_ceiling(dataset, toy_bank, runs):
    """Flux and honest error alone are as good as conditions known: paired, within 2 s.e."""
    found = predict(load_checkpoint(runs / "gridposterior"), dataset.split("test"))
    exact = ceiling(
        toy_bank,
        PRIOR,
        "logg",
        dataset.split("test").draws,
        statistics=("posterior_mean",),
        n_template=8000,
    )

    truth, value = found.truth[:, 0], found.value[:, 0]
    apart = (value - truth) ** 2 - (exact.stars.mean - truth) ** 2
    reached = 1.0 - np.mean((value - truth) ** 2) / truth.var()
    best, error = exact.rows[0].r2["posterior_mean"]
    realised_error = exact.rows[0].realised[1]
    assert abs(apart.mean()) < 2.0 * apart.std() / np.sqrt(apart.size)
    assert abs(reached - best) < 2.0 * np.hypot(error, realised_error)
    z = (found.value - found.truth) / found.uncertainty
    assert z.std(axis=0) == pytest.approx([1.0, 1.0], abs=0.15)  # 4 / sqrt(2 x 400)


def test_best_template_is_worse_than_the_posterior_mean(dataset, runs):
    """Maximum likelihood pays for not knowing the prior; paired over the same stars."""
    squared = {}
    for model in ("gridposterior", "template"):
        found = predict(load_checkpoint(runs / model), dataset.split("test"))
        squared[model] = np.nan_to_num((found.value - found.truth)[:, 0], nan=0.0) ** 2

    apart = squared["template"] - squared["gridposterior"]
    assert apart.mean() > 3.0 * apart.std() / np.sqrt(apart.size)


def test_a_fit_that_needs_more_steps_has_failed_and_says_so(dataset, forward, tmp_path):
    """Failures are NaN and counted, never a number that looks like a fit."""
    known = ForwardView(dataset.training(), forward)
    fit("template", known, "logg", TemplateRecipe(iterations=1), tmp_path)

    found = predict(load_checkpoint(tmp_path), dataset.split("test"))

    assert np.isnan(found.value).all()
    assert json.loads((tmp_path / "card.json").read_text())["metrics"]["n_failed"] == 60


def test_a_masked_pixel_does_not_matter(dataset, runs):
    """Any number may stand in a masked pixel: the fit is the same."""
    model = load_checkpoint(runs / "template")
    seen = dataset.split("test").observe(slice(0, 5))
    mask = seen.mask.copy()
    mask[:, 30:40] = 1
    spoiled = seen.flux.copy()
    spoiled[:, 30:40] = 1e4

    clean = model.predict(np.where(mask, 0.0, seen.flux), seen.error, mask)[0]

    np.testing.assert_allclose(model.predict(spoiled, seen.error, mask)[0], clean)


def test_what_cannot_be_compared_with_templates_is_refused(dataset, forward, toy_bank, tmp_path):
    """One line each, and nothing is written."""
    view, out = dataset.training(), tmp_path / "none"
    moving = Forward(toy_bank, dict(PRIOR.ranges) | {"rv": (-50.0, 50.0)})
    wider = Forward(make_wider(toy_bank), forward.ranges)

    for wrong, problem, says in (
        (view, ConfigError, "names its bank"),
        (ForwardView(view, moving), ConfigError, "radial velocities"),
        (ForwardView(view, wider), DataError, "pixels are not"),
    ):
        with pytest.raises(problem, match=says):
            fit("gridposterior", wrong, "logg", POSTERIOR, out)
    assert not out.exists()


def make_wider(bank):
    """The same bank with its wavelengths a little off."""
    from dataclasses import replace

    return replace(bank, wave=bank.wave * 1.001)


def test_spectra_without_errors_are_refused(dataset, runs):
    """Templates are weighed by the error; a network would not mind."""
    model = load_checkpoint(runs / "template")
    seen = dataset.split("test").observe(slice(0, 2))

    with pytest.raises(DataError, match="give the 1σ error"):
        model.predict(seen.flux)
    with pytest.raises(DataError, match="must be positive"):
        model.predict(seen.flux, np.zeros_like(seen.error))
