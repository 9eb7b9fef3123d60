"""Compressed estimators: masks, training on drawn stars, draws and their weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from scipy.stats import kstest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import ConfigError, ContractError, DataError
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quality import quality_value
from starsmith.data_contract.tables.population import read_population
from starsmith.fisher.posterior.posterior_mean import PosteriorOptions, posterior_mean
from starsmith.learners import fit, load_checkpoint, predict
from starsmith.learners.compressed.features import LOOSE, Features
from starsmith.learners.estimators.registry import Forward, ForwardView
from starsmith.learners.prediction.posterior_draws import PosteriorDraws, draw_posterior
from starsmith.learners.recipe import CompressedRecipe, PosteriorRecipe
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.prior import Prior

PRIOR = Prior.default().with_ranges(mag=(19.0, 21.5))
RECIPE = CompressedRecipe(n_mode=12, width=96, epochs=8, epoch_size=4096, batch_size=512)
TARGETS = ("logg", "teff")


@pytest.fixture(scope="module")
def dataset(toy_bank, tmp_path_factory):
    out = tmp_path_factory.mktemp("compressed") / "toy.zarr"
    write_dataset(toy_bank, PRIOR, {"train": 40, "val": 300, "test": 900}, out, seed=9)
    return open_dataset(out)


@pytest.fixture(scope="module")
def view(dataset, toy_bank):
    return ForwardView(dataset.training(), Forward(toy_bank, dict(PRIOR.ranges)))


@pytest.fixture(scope="module")
def trained(view, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "compressed"
    fit("compressed", view, TARGETS, RECIPE, out)
    return load_checkpoint(out)


def test_it_is_near_the_exact_posterior_and_not_above(trained, view, dataset, tmp_path):
    """Eight short rounds reach 0.85 of what is possible; nothing reaches more than all."""
    split = dataset.split("test")
    own = predict(trained, split)
    fit("gridposterior", view, TARGETS, PosteriorRecipe(n_template=4000), tmp_path / "grid")
    exact = predict(load_checkpoint(tmp_path / "grid"), split)
    square = {name: (one.value - one.truth) ** 2 for name, one in (("own", own), ("best", exact))}
    efficiency = square["best"].mean(axis=0) / square["own"].mean(axis=0)
    assert (efficiency > 0.85).all()
    apart = square["own"] - square["best"]
    error = apart.std(axis=0) / np.sqrt(len(apart))
    assert (apart.mean(axis=0) > -3 * error).all()


def test_stated_uncertainties_are_true(trained, dataset):
    split = dataset.split("test")
    seen = split.observe()
    posterior = trained.estimator.posterior(seen.flux, seen.error, seen.mask)
    truth = np.stack([split.label(name) for name in TARGETS], axis=1)
    place = posterior.cumulative(truth)
    for column in place.T:
        assert kstest(column, "uniform").statistic < 0.08  # 900 stars, a short training


def test_it_does_not_depend_on_the_unit_of_flux(trained, dataset):
    seen = dataset.split("test").observe(slice(0, 20))
    for scale in (1e-17, 3.0):
        value, width = trained.predict(seen.flux * scale, seen.error * scale)
        expected = trained.predict(seen.flux, seen.error)
        np.testing.assert_allclose(value, expected[0], rtol=2e-4)
        np.testing.assert_allclose(width, expected[1], rtol=2e-3)


def test_masked_pixels_widen_the_posterior_and_keep_it_true(trained, dataset):
    """What a masked pixel holds does not matter; coverage stays, errors grow a little."""
    split = dataset.split("test")
    seen = split.observe(slice(0, 600))
    truth = np.stack([split.label(name)[:600] for name in TARGETS], axis=1)
    whole, _ = trained.predict(seen.flux, seen.error)
    rng = np.random.default_rng(2)
    scattered = (rng.random(seen.flux.shape) < 0.2).astype(np.uint32)
    block = np.zeros_like(scattered)
    block[:, 100:160] = 1
    for mask in (scattered, block):
        broken = np.where(mask > 0, 1e6, seen.flux)
        value, width = trained.predict(broken, seen.error, mask)
        plain, _ = trained.predict(np.where(mask > 0, -3.0, seen.flux), seen.error, mask)
        np.testing.assert_array_equal(value, plain)
        lost = np.mean((value - truth) ** 2, axis=0) / np.mean((whole - truth) ** 2, axis=0)
        assert (lost < 1.6).all()  # a fifth of the pixels, among them a line, are gone
        inside = np.mean(np.abs(value - truth) < width, axis=0)
        assert (np.abs(inside - 0.68) < 0.08).all()  # four binomial errors of 600


def test_the_completed_coefficients_are_those_of_the_whole_spectrum(trained, dataset):
    """Draws of what bad pixels held scatter around the truth as widely as they say."""
    features: Features = trained.estimator.features
    seen = dataset.split("test").observe(slice(0, 40))
    bad = np.random.default_rng(3).random(seen.flux.shape[1]) < 0.2
    numbers = np.random.default_rng(4).standard_normal((400, 2 * len(features.modes)))
    white = []
    for flux, error in zip(seen.flux, seen.error, strict=True):
        whole, _ = features.project(flux[None], error[None])
        drawn, _ = features.complete(flux, error, bad, numbers)
        white.append((whole[0] - drawn.mean(axis=0)) / drawn.std(axis=0))
    assert abs(np.std(white) - 1.0) < 0.15  # 480 correlated numbers


def test_a_masked_spectrum_is_fitted_as_written_in_full(trained, dataset):
    """Mean and precision of the coefficients given the good pixels, in double precision."""
    features: Features = trained.estimator.features
    seen = dataset.split("test").observe(slice(0, 5))
    bad = np.random.default_rng(3).random(seen.flux.shape[1]) < 0.2
    n_mode, good = len(features.modes), ~bad
    numbers = np.zeros((1, 2 * n_mode))
    prior = features.covariance + LOOSE * np.outer(features.centre, features.centre)
    prior += 1e-12 * np.trace(prior) * np.eye(n_mode)
    for flux, error in zip(seen.flux, seen.error, strict=True):
        rows = features.modes[:, good]
        value = (flux * features.weight)[good]
        inverse = (error * features.weight)[good] ** -2.0
        template = features.centre @ rows
        amplitude = np.sum(template * value * inverse) / np.sum(template**2 * inverse)
        amplitude = max(amplitude, np.sqrt(np.mean(1.0 / inverse)))
        middle = amplitude * features.centre
        precision = (rows * inverse) @ rows.T + np.linalg.inv(amplitude**2 * prior)
        pull = (rows * inverse) @ (value - middle @ rows)
        mean = middle + np.linalg.solve(precision, pull)
        expected = rows @ value + features.modes[:, bad] @ (mean @ features.modes[:, bad])
        drawn, _ = features.complete(flux, error, bad, numbers)
        np.testing.assert_allclose(drawn[0], expected, atol=1e-3 * np.sqrt(1.0 / inverse.mean()))


@pytest.mark.parametrize("head", ["mean", "gaussian", "mixture"])
def test_other_heads_train_too(view, head, tmp_path):
    recipe = replace(RECIPE, head=head, epochs=2)
    fit("compressed", view, ("logg",), recipe, tmp_path / head)
    flux = view.view.val.observe(slice(0, 5))
    value, width = load_checkpoint(tmp_path / head).predict(flux.flux, flux.error)
    assert np.isfinite(value).all()
    assert (width is None) == (head == "mean")


def test_a_flow_draws_from_the_density_it_states(view, tmp_path):
    """Its density integrates to one, and its draws have the mean of that density."""
    fit("compressed", view, TARGETS, replace(RECIPE, head="flow", epochs=2), tmp_path / "flow")
    seen = view.view.val.observe(slice(0, 2))
    mask = np.zeros(seen.flux.shape, dtype=np.uint32)
    mask[1, :40] = 1  # the second is the mean over draws of its bad pixels
    model = load_checkpoint(tmp_path / "flow")
    flow = model.estimator.posterior(seen.flux, seen.error, mask)
    u = (np.arange(200) + 0.5) / 200
    place = np.stack(np.meshgrid(u, u, indexing="ij"), axis=-1).reshape(-1, 2)
    box = model.estimator.box
    grid = box.low + box.width * place
    density = np.exp(flow.log_density(np.repeat(grid[None], 2, axis=0)))
    np.testing.assert_allclose(density.mean(axis=1) * np.prod(box.width), 1.0, atol=0.02)
    expected = (density[:, :, None] * grid).sum(axis=1) / density.sum(axis=1)[:, None]
    draws = flow.sample(20_000)
    apart = (draws.mean(axis=1) - expected) / draws.std(axis=1)
    assert np.abs(apart).max() < 0.04  # 4 standard errors of 20,000 draws, and the midpoints
    drawn = draw_posterior(model, Observed(model.wave, seen.flux, seen.error), 50, weighted=False)
    assert np.isfinite(drawn.value).all()


def test_draws_of_a_spectrum_are_the_same_alone_and_in_any_order(trained, dataset):
    seen = dataset.split("test").observe(slice(0, 5))
    spectra = Observed(seen.wave, seen.flux, seen.error)
    together = draw_posterior(trained, spectra, 40, seed=3, weighted=False).value
    turned = draw_posterior(trained, spectra[np.arange(5)[::-1]], 40, seed=3, weighted=False).value
    alone = draw_posterior(trained, spectra[np.array([3])], 40, seed=3, weighted=False).value
    # 1e-5: the network multiplies matrices of other shapes
    np.testing.assert_allclose(turned[::-1], together, rtol=1e-5)
    np.testing.assert_allclose(alone[0], together[3], rtol=1e-5)
    assert not np.allclose(together[0], together[1])


def test_training_twice_gives_the_same_weights(view, tmp_path):
    recipe = replace(RECIPE, epochs=1, epoch_size=1024)
    weights = []
    for name in ("a", "b"):
        fit("compressed", view, ("logg",), recipe, tmp_path / name)
        card = json.loads((tmp_path / name / "card.json").read_text())
        weights.append(card["weights_sha256"])
    assert weights[0] == weights[1]


def test_what_cannot_be_drawn_is_refused_before_anything_is_written(view, toy_bank, tmp_path):
    moving = Forward(toy_bank, dict(PRIOR.ranges) | {"rv": (-100.0, 100.0)})
    dusty = Forward(toy_bank, dict(PRIOR.ranges) | {"ebv": (0.0, 0.3)})
    table = Forward(toy_bank, dict(PRIOR.ranges), drawn_from="stars.ecsv")
    cases = (
        (moving, "velocity tables"),
        (dusty, "without dust"),
        (table, "stars.ecsv"),
        (None, "draws its stars"),
    )
    for forward, words in cases:
        given = ForwardView(view.view, forward) if forward else view.view
        with pytest.raises(ConfigError, match=words):
            fit("compressed", given, "logg", RECIPE, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_checkpoint_whose_arrays_do_not_fit_its_recipe_is_refused(trained, view, tmp_path):
    from starsmith.learners.checkpoint import read_checkpoint
    from starsmith.learners.compressed.estimator import load_compressed

    fit("compressed", view, "logg", replace(RECIPE, epochs=1), tmp_path / "c")
    card, tensors = read_checkpoint(tmp_path / "c")
    own = {name.removeprefix("model."): value for name, value in tensors.items()}
    card["recipe"]["width"] = 5
    with pytest.raises(ContractError, match="fit the model again"):
        load_compressed(tmp_path / "c", card, own, None)


@pytest.fixture(scope="module")
def whole(view, tmp_path_factory):
    """A model of every label that varies."""
    out = tmp_path_factory.mktemp("whole") / "all"
    fit("compressed", view, ("logg", "teff", "m_h"), RECIPE, out)
    return load_checkpoint(out)


def test_importance_weights_lead_to_the_exact_posterior(whole, view, dataset):
    """Weighted draws have the moments of the grid posterior, whatever the network thought."""
    seen, model = dataset.split("test").observe(slice(0, 24)), whole
    drawn = draw_posterior(model, Observed(model.wave, seen.flux, seen.error), 4000)
    exact = posterior_mean(
        view.forward.bank, PRIOR, seen.flux, seen.error, options=PosteriorOptions(n_local=2000)
    )
    columns = [exact.label_names.index(name) for name in model.labels]
    apart = (drawn.moments()[0] - exact.mean[:, columns]) / np.sqrt(exact.var[:, columns])
    # both are Monte Carlo, a few hundred effective draws each; error and its mean differ too
    assert np.sqrt(np.mean(apart**2)) < 0.2
    assert np.median(drawn.efficiency) > 0.3
    assert not drawn.quality.any()
    np.testing.assert_allclose(np.exp(drawn.log_weight).sum(axis=1), 1.0)
    middle = drawn.quantiles((0.5,))[:, 0]
    np.testing.assert_allclose(drawn.cumulative(middle), 0.5, atol=0.02)


def test_weights_need_every_label_and_draws_a_posterior(trained, view, dataset, tmp_path):
    seen = dataset.split("test").observe(slice(0, 2))
    seen = Observed(trained.wave, seen.flux, seen.error)
    with pytest.raises(ConfigError, match="--target m_h"):
        draw_posterior(trained, seen)
    assert np.isfinite(draw_posterior(trained, seen, 50, weighted=False).value).all()
    fit("compressed", view, "logg", replace(RECIPE, head="mean", epochs=1), tmp_path / "mean")
    with pytest.raises(ConfigError, match="no posterior"):
        draw_posterior(load_checkpoint(tmp_path / "mean"), seen)


def test_weights_by_all_pixels_are_those_by_coefficients(whole, toy_bank, dataset):
    """The bank is that of the coefficients: little is lost, and another bank is refused."""
    seen = dataset.split("test").observe(slice(0, 12))
    seen = Observed(whole.wave, seen.flux, seen.error)
    short = draw_posterior(whole, seen, 2000)
    exact = draw_posterior(whole, seen, 2000, bank=toy_bank)
    assert np.array_equal(short.value, exact.value)
    (mean, width), (other, _) = exact.moments(), short.moments()
    # 12 modes of a toy bank lose a little, the error's own noise more
    assert np.sqrt(np.mean(((mean - other) / width) ** 2)) < 0.3
    assert not np.array_equal(mean, other)
    with pytest.raises(DataError, match="give the bank of its data set"):
        draw_posterior(whole, seen, 50, bank=replace(toy_bank, coef=1.01 * toy_bank.coef))


def test_weights_follow_the_error_of_a_star_moved_to_rest(whole, toy_bank, dataset):
    """Sky lines then lie at other pixels than any star at rest has them, and edges are masked."""
    rng = np.random.default_rng(3)
    seen = dataset.split("test").observe(slice(0, 10))
    loud = np.where(np.arange(seen.flux.shape[1]) % 6 == 0, 15.0, 1.0)
    flux = seen.flux + rng.normal(size=seen.flux.shape) * seen.error * np.sqrt(loud**2 - 1.0)
    mask = np.zeros(flux.shape, dtype=np.uint32)
    mask[:, :2] = 1
    moved = Observed(whole.wave, flux, seen.error * loud, mask)
    (own, width), (exact, _) = (
        draw_posterior(whole, moved, 2000, bank=bank).moments() for bank in (None, toy_bank)
    )
    assert np.sqrt(np.mean(((own - exact) / width) ** 2)) < 0.3


def stars(tmp_path, **columns):
    table = Table({"teff": [], "logg": [], "m_h": [], "mag": []} | columns)
    table.write(tmp_path / "stars.ecsv", overwrite=True)
    return read_population(tmp_path / "stars.ecsv")


def test_a_population_takes_the_place_of_the_prior(whole, trained, dataset, tmp_path):
    """Giants alone pull log g down; the same stars twice change nothing; rows outside do not go."""
    rng = np.random.default_rng(1)
    seen = dataset.split("test").observe(slice(0, 30))
    seen = Observed(whole.wave, seen.flux, seen.error)
    own = PRIOR.ranges
    flat = {n: rng.uniform(*own[n], 1500) for n in ("teff", "logg", "m_h")}
    flat["mag"] = np.full(1500, 20.0)
    plain = draw_posterior(whole, seen, 1000).moments()[0]
    same = draw_posterior(whole, seen, 1000, population=stars(tmp_path, **flat)).moments()[0]
    giants = flat | {"logg": rng.normal(1.8, 0.1, 1500)}
    low, _ = draw_posterior(whole, seen, 1000, population=stars(tmp_path, **giants)).moments()
    spread = np.ptp(own["logg"])
    assert np.abs(same - plain)[:, 0].mean() < 0.03 * spread  # kernels of 1,500 stars
    assert np.median(np.abs(low[:, 0] - 1.8)) < 0.3
    assert (np.abs(low[:, 0] - 1.8) < np.abs(plain[:, 0] - 1.8) + 0.15).all()
    outside = flat | {"logg": np.full(1500, 9.0)}
    with pytest.raises(DataError, match="logg of 1500 row"):
        draw_posterior(whole, seen, 50, population=stars(tmp_path, **outside))
    alike = {name: np.full(20, np.mean(own[name])) for name in flat}
    with pytest.raises(ConfigError, match="too alike"):
        draw_posterior(whole, seen, 50, population=stars(tmp_path, **alike))
    few = stars(tmp_path, **flat)
    with pytest.raises(ConfigError, match="must be a target"):
        draw_posterior(trained, seen, 50, weighted=False, population=few)


def test_labels_outside_the_prior_and_spectra_without_a_pixel_are_refused(whole, dataset):
    seen = dataset.split("test").observe(slice(0, 2))
    draws = np.full((2, 5, 3), 2.0)
    mask = np.zeros(seen.flux.shape, dtype=np.uint32)
    with pytest.raises(DataError, match="teff 2 lies outside this model's prior"):
        whole.estimator.log_likelihood(seen.flux, seen.error, mask, draws)
    blind = Observed(whole.wave, seen.flux, seen.error, mask + 1)
    with pytest.raises(DataError, match="no usable pixel"):
        draw_posterior(whole, blind, 50)


def test_few_draws_that_carry_all_the_weight_are_flagged():
    log = np.full((2, 100), -np.log(100.0))
    log[0] = -60.0
    log[0, :3] = -np.log(3.0)
    draws = PosteriorDraws(("logg",), ("dex",), np.zeros((2, 100, 1)), log, np.zeros(2))
    assert list(draws.quality) == [quality_value("few_draws"), 0]
