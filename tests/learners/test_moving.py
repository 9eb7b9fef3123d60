"""Compressed estimators of stars that move: frames of velocity, and labels as good as at rest."""

from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.bank.velocity import VelocityTables
from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.observed import Observed
from starsmith.fisher.posterior.compressed_draws import build_frame_noise, draw_compressed
from starsmith.fisher.posterior.compression import build_compression
from starsmith.fisher.posterior.frames import STEP, Frames, frame_velocities
from starsmith.fisher.posterior.moving_likelihood import MovingLikelihood, Weighed
from starsmith.learners import fit, load_checkpoint
from starsmith.learners.compressed.moving import Moving, peaks
from starsmith.learners.estimators.registry import Forward, ForwardView
from starsmith.learners.prediction.posterior_draws import draw_posterior, weighs
from starsmith.learners.recipe import CompressedRecipe
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import flux_of, interpolate, prefilter
from starsmith.simulator.rendering.velocity_shift import shift_to_pixels
from tests.conftest import make_toy_bank, star_flux
from tests.reference.moving_posterior import log_likelihood_plainly

N_PHASE, STEP_KM_S = 8, 5.0
REACH = 100.0
PRIOR = Prior.default().with_ranges(mag=(18.0, 20.0), rv=(-REACH, REACH))
RECIPE = CompressedRecipe(n_mode=20, width=64, epochs=8, epoch_size=4096, batch_size=512)


@pytest.fixture(scope="module")
def bank():
    """The toy bank, its pixels straight lines between samples 5 km/s apart."""
    toy = make_toy_bank()
    step = STEP_KM_S / LIGHT_SPEED_KM_S
    first, last = np.log(toy.wave[[0, -1]]) + np.array([-1.0, 1.0]) * 1e-3
    wave = np.exp(np.arange(first, last, step))
    nodes = np.stack(
        [
            [[star_flux(t, g, z, wave) for z in toy.axes[2]] for g in toy.axes[1]]
            for t in toy.axes[0]
        ]
    )
    place = np.log(toy.wave / wave[0]) / step
    start = np.floor(place).astype(np.int64) - 1
    weights = np.zeros((N_PHASE + 1, toy.wave.size, 3), dtype=np.float32)
    for phase, share in enumerate(weights):
        at = place - phase / N_PHASE - start
        low = np.floor(at).astype(np.int64)
        pixel = np.arange(toy.wave.size)
        share[pixel, low] = 1.0 - (at - low)
        share[pixel, np.minimum(low + 1, 2)] += at - low
    coef = prefilter(nodes * 1e-6, toy.axes).reshape(len(toy.coef), -1).astype(np.float32)
    tables = VelocityTables(
        step=step, resolution=20_000.0, wave=wave, coef=coef, first=start, weights=weights
    )
    at_rest = shift_to_pixels(tables, coef, np.zeros(len(coef)))
    return replace(toy, coef=at_rest, velocity=tables)


@pytest.fixture(scope="module")
def projection(bank):
    compression = build_compression(bank, PRIOR, 20)
    velocities = frame_velocities(PRIOR.ranges["rv"])
    return compression, Frames(velocities, bank.wave, compression.weight, compression.modes)


def test_frames_lie_close_enough_and_cover_the_range():
    assert frame_velocities((5.0, 5.0)).tolist() == [5.0]
    found = frame_velocities((-310.0, 250.0))
    assert np.diff(found).max() <= STEP
    assert found[0] - STEP / 2 <= -310.0
    assert found[-1] + STEP / 2 >= 250.0


def test_a_star_in_its_frame_is_one_that_moves_by_what_is_left(bank, projection):
    """Coefficients of noiseless moving stars are those of their labels and residual velocity."""
    compression, frames = projection
    draws = draw_stars(bank, PRIOR, 3, "test", np.arange(200))
    frame = np.argmin(np.abs(draws.rv[:, None] - frames.velocities), axis=1)
    left = draws.rv - frames.velocities[frame]
    wanted = compression.templates(np.column_stack([draws.labels, left]), draws.mag)
    flux = flux_of(bank, draws) * compression.weight
    found = np.stack([frames.projector(k) @ row for k, row in zip(frame, flux, strict=True)])
    noise = 1.0  # of a coefficient
    assert np.abs(found - wanted).max() < 0.3 * noise
    assert np.linalg.norm(wanted, axis=1).min() > 30.0 * noise


def test_noise_in_a_frame_is_that_of_its_pixels(bank, projection):
    """Whitened with the frame's covariance, drawn coefficients are standard normal."""
    compression, frames = projection
    noise = build_frame_noise(bank, PRIOR, compression, frames, n_condition=32)
    stars = draw_compressed(bank, PRIOR, compression, noise, range(0, 2560))
    assert set(stars.frame) == set(range(10))
    white = []
    for k in range(10):
        some = stars.frame == k
        own = noise[k].covariance(stars.noiseless[some], noise[k].under(stars.index[some]))[0]
        root = np.linalg.cholesky(own[:, :-1, :-1].astype(np.float64))
        away = stars.coefficients[some, 0] - stars.noiseless[some]
        white.append(np.linalg.solve(root, away[:, :, None])[:, :, 0])
    white = np.concatenate(white)
    np.testing.assert_allclose(np.cov(white.T), np.eye(20), atol=0.12)  # 2560 draws
    assert abs(white.mean()) < 0.02


@pytest.fixture(scope="module")
def models(bank, tmp_path_factory):
    """Data sets and models of moving stars and of stars at rest, the same otherwise."""
    out, found = tmp_path_factory.mktemp("moving"), {}
    for name, prior in (("moving", PRIOR), ("rest", PRIOR.with_ranges(rv=(0.0, 0.0)))):
        write_dataset(bank, prior, {"train": 40, "val": 200, "test": 1200}, out / name, seed=9)
        data = open_dataset(out / name)
        view = ForwardView(data.training(), Forward(bank, dict(prior.ranges)))
        fit("compressed", view, ("logg", "teff", "m_h"), RECIPE, out / f"{name}_model")
        found[name] = data, load_checkpoint(out / f"{name}_model")
    return found


def errors(data, model):
    """Errors of the labels of the test stars, and the stated 1σ."""
    split = data.split("test")
    seen = split.observe(slice(None))
    value, width = model.predict(seen.flux, seen.error)
    truth = np.column_stack(
        [split.labels[:, data.header.label_names.index(n)] for n in model.labels]
    )
    return value - truth, width


@pytest.mark.slow
def test_labels_of_moving_stars_are_nearly_as_good_as_at_rest(models):
    moving, width = errors(*models["moving"])
    still, _ = errors(*models["rest"])
    lost = np.mean(moving**2, axis=0) / np.mean(still**2, axis=0)
    assert (lost < 1.35).all()
    inside = np.mean(np.abs(moving) < width, axis=0)
    assert (np.abs(inside - 0.68) < 0.06).all()


@pytest.fixture(scope="module")
def stars(bank):
    """A faint star, a bright one, and one between frames: what is seen, and its error."""
    labels = np.array([[4800.0, 3.0, -0.5], [5200.0, 2.0, -1.2], [4300.0, 4.2, 0.1]])
    mag, rv = np.array([19.8, 18.3, 19.0]), np.array([-37.0, 63.0, 10.2])
    flux = interpolate(bank, labels, mag, rv).astype(np.float64)
    error = np.array([0.25, 0.03, 0.1])[:, None] * np.median(flux, axis=1)[:, None]
    rng = np.random.default_rng(4)
    error = error * rng.uniform(0.7, 1.4, flux.shape)
    draws = labels[:, None] + rng.normal(size=(3, 6, 3)) * np.array([60.0, 0.15, 0.08])
    return flux + error * rng.normal(size=flux.shape), error, draws, rv


def test_velocities_are_integrated_out_of_the_likelihood(bank, projection, stars):
    """By all pixels as a dense sum has it; by coefficients to what 20 modes of a toy bank lose."""
    compression, frames = projection
    mags = PRIOR.ranges["mag"]
    likelihood = MovingLikelihood(
        frames, compression.node_modes, compression.axes, 2.0 * REACH, mags
    )
    velocities = np.arange(-REACH + 0.5, REACH)
    for flux, error, labels, rv in zip(*stars, strict=True):
        star = Weighed.of(flux, error, np.ones(flux.shape, dtype=bool))
        plain = log_likelihood_plainly(bank, flux, error, labels, velocities, mags)
        some = np.arange(len(frames))
        exact = likelihood.log_likelihood(star, some, labels, bank)
        apart = exact - plain
        # 1e-5 of the posterior is not rendered; float32 spectra; sums of 200 velocities
        assert np.ptp(apart) < 2e-3
        near = some[np.abs(frames.velocities - rv) < 1.5 * STEP]
        short = likelihood.log_likelihood(star, near, labels)
        assert np.std(short - plain) < 0.15  # 20 modes, and pixels at the ends that frames lack


def test_frames_are_told_by_their_share_of_the_probability():
    """One peak of two frames side by side, and another of a quarter; copies of eight."""
    log = np.log(np.array([[0.45, 0.3, 1e-9, 0.02, 0.23], [1e-9, 1e-9, 1.0, 1e-9, 1e-9]]))
    frames = peaks(log, 8)
    np.testing.assert_array_equal(frames, [[0] * 6 + [4] * 2, [2] * 8])
    np.testing.assert_array_equal(peaks(log, 1), [[0], [2]])


def test_frames_of_an_integral_are_all_that_may_be_right(monkeypatch):
    """Those of a hundred-thousandth of the best one's evidence, and their neighbours."""
    log = np.array(
        [[0.0, -50.0, -50.0, -50.0, -10.0, -50.0], [-50.0, 0.0, -12.0, -50.0, -50.0, -50.0]]
    )
    monkeypatch.setattr(Moving, "_log_evidence", lambda *_: log)
    found = Moving(None, None, None).likely(None, None, None)
    assert [one.tolist() for one in found] == [[0, 1, 3, 4, 5], [0, 1, 2]]
    monkeypatch.setattr(Moving, "_log_evidence", lambda *_: log[:, :1])
    assert Moving(None, None, None).likely(None, None, None)[0].tolist() == [0]


@pytest.mark.slow
def test_a_spectrum_in_doubt_is_read_in_several_frames(models):
    """Faint stars: the mean over frames; what is seen in one frame is read as before."""
    data, model = models["moving"]
    estimator = model.estimator
    seen = data.split("test").observe(slice(0, 40))
    flux = 0.15 * seen.flux + seen.error * np.random.default_rng(2).normal(size=seen.flux.shape)
    flux = flux.astype(np.float32)
    found, level, frames = estimator.eye.look(flux, seen.error, n_copy=8)
    doubt = (frames != frames[:, :1]).any(axis=1)
    assert doubt.mean() > 0.2
    value, _ = model.predict(flux, seen.error)
    sight = estimator.eye.see(found, level, frames[:, 0])
    first = estimator.network.answer(sight, estimator.box).moments()[0]
    np.testing.assert_allclose(value[~doubt], first[~doubt], rtol=1e-6)
    assert (np.abs(value - first)[doubt] > 1e-4).any()


@pytest.mark.slow
def test_bad_pixels_of_moving_stars_cost_little(models):
    data, model = models["moving"]
    rows = slice(0, 300)
    seen = data.split("test").observe(rows)
    bad = np.random.default_rng(1).random(seen.flux.shape) < 0.1
    flux = np.where(bad, np.nan, seen.flux)
    value, width = model.predict(flux, seen.error, bad.astype(np.uint32))
    whole, _ = model.predict(seen.flux, seen.error)
    assert (np.median(np.abs(value - whole) / width, axis=0) < 0.6).all()


@pytest.mark.slow
def test_a_model_of_moving_stars_says_what_it_is(models):
    _, model = models["moving"]
    low, high = model.card["limits"]["velocity"]
    assert -REACH <= low < -0.5 * REACH
    assert 0.5 * REACH < high <= REACH
    assert weighs(model)


@pytest.mark.slow
def test_weights_of_moving_stars_lead_to_the_exact_posterior(models, bank):
    """By coefficients and by all pixels; faint stars, which are seen in several frames, too."""
    data, model = models["moving"]
    seen = data.split("test").observe(slice(0, 30))
    noise = np.random.default_rng(5).normal(size=seen.flux.shape)
    faint = np.arange(30) < 10
    flux = np.where(faint[:, None], 0.3 * seen.flux + 0.95 * seen.error * noise, seen.flux)
    spectra = Observed(model.wave, flux, seen.error)
    short, exact = (draw_posterior(model, spectra, 1000, bank=own) for own in (None, bank))
    assert np.array_equal(short.value, exact.value)
    (mean, width), (other, _) = exact.moments(), short.moments()
    assert np.sqrt(np.mean(((mean - other) / width) ** 2)) < 0.3  # as of stars at rest
    assert np.median(short.efficiency) > 0.8
    with pytest.raises(DataError, match="give the bank of its data set"):
        draw_posterior(model, spectra[:2], 50, bank=replace(bank, coef=1.01 * bank.coef))
