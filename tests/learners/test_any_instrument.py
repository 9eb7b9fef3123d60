"""One network for every instrument: keys, pooling, and spectra of pixels never seen."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.dataset.training import join_views
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum, Velocity
from starsmith.learners import fit, load_checkpoint
from starsmith.learners.any_instrument.field import Field, solve_field
from starsmith.learners.any_instrument.pooling import LOOSE, Tokens
from starsmith.learners.prediction.matching import SpectrumMatcher
from starsmith.learners.recipe import AnyInstrumentRecipe
from starsmith.learners.transfer.samples import Sample, training_view
from tests.cli.conftest import call

LINES = np.linspace(8515.0, 8635.0, 25)
DEPTH = np.random.default_rng(7).uniform(0.1, 0.5, LINES.size)
TARGETS = ("teff", "m_h")
RECIPE = AnyInstrumentRecipe(
    n_key=6, width=64, components=2, epochs=24, batch_size=64, learning_rate=4e-3
)


def star(wave, fwhm, labels):
    """Lines of width ``fwhm`` that deepen with [M/H], every second one with Teff instead."""
    teff, m_h = (labels[:, 0] - 5000.0) / 1000.0, labels[:, 1] + 1.0
    sigma = FWHM_TO_SIGMA * fwhm
    shape = np.exp(-0.5 * np.square((wave[:, None] - LINES) / sigma)) * 1.2 / fwhm
    deep = DEPTH * np.where(np.arange(LINES.size) % 2, 0.8 + 0.5 * m_h[:, None], 1 - teff[:, None])
    return (1.0 + 0.1 * teff[:, None] * (wave - 8575.0) / 60.0) * (1.0 - deep @ shape.T)


INSTRUMENTS = {
    "coarse": (np.arange(8505.0, 8645.0, 0.9), 2.6),
    "fine": (np.arange(8510.0, 8640.0, 0.31), 1.2),
    "unseen": (np.arange(8508.0, 8642.0, 0.53), 1.7),
}


def stars(name, n, seed, snr=15.0):
    """Stars on an instrument's pixels as a `Sample`."""
    wave, fwhm = INSTRUMENTS[name]
    draw = np.random.default_rng(seed)
    labels = np.column_stack([draw.uniform(4500, 5500, n), draw.uniform(-2, 0, n)])
    flux = star(wave, fwhm, labels)
    error = (flux / snr).astype(np.float32)
    seen = (flux + error * draw.standard_normal(flux.shape)).astype(np.float32)
    return Sample(wave=wave, flux=seen, label_names=TARGETS, labels=labels, error=error)


def view_of(name):
    wave, fwhm = INSTRUMENTS[name]
    view = training_view(stars(name, 700, 1), stars(name, 200, 2))
    widths = np.full(wave.size, fwhm)
    return replace(view, train=replace(view.train, fwhm=widths), val=replace(view.val, fwhm=widths))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("any") / "any"
    fit("any_instrument", join_views([view_of("coarse"), view_of("fine")]), TARGETS, RECIPE, out)
    return out


@pytest.fixture(scope="module")
def model(folder):
    return load_checkpoint(folder)


def r2(truth, value):
    return 1.0 - np.mean((truth - value) ** 2, axis=0) / truth.var(axis=0)


def test_an_instrument_never_seen_is_read_as_well_as_one_it_learned_from(model):
    scores = {}
    for name, (wave, fwhm) in INSTRUMENTS.items():
        sample = stars(name, 300, 3)
        seen = model.on(wave, np.full(wave.size, fwhm))
        value, width = seen.predict(sample.flux, sample.error)
        scores[name] = r2(sample.labels, value)
        pull = (value - sample.labels) / width
        assert 0.5 < pull.std() < 1.5  # its uncertainties are those of this instrument
    assert (scores["unseen"] > 0.9).all()
    assert (scores["unseen"] > scores["coarse"] - 0.02).all()  # it is the sharper of the two


def test_keys_are_the_spectra_through_the_line_profile():
    labels = np.array([[5000.0, -1.0], [4700.0, -0.3], [5300.0, -1.8]])
    pixels = [(wave, np.full(wave.size, fwhm)) for wave, fwhm in INSTRUMENTS.values()][:2]
    spectra = [star(wave, fwhm[0], labels).T for wave, fwhm in pixels]
    field = solve_field(pixels, spectra)
    wave, fwhm = INSTRUMENTS["unseen"]
    keys, known = field.keys(wave, np.full(wave.size, fwhm))
    inside = known & (wave > 8515) & (wave < 8635)
    left = (keys - star(wave, fwhm, labels).T)[inside]
    assert np.abs(left).max() < 0.01  # of a continuum of 1 and lines 0.5 deep
    with pytest.raises(DataError, match="train it on an instrument that sees there"):
        field.keys(wave - 1000.0, np.full(wave.size, fwhm))


def test_pooling_is_the_posterior_of_linear_amounts():
    """Against the same posterior written pixel by pixel for one star."""
    wave = np.linspace(8500.0, 8600.0, 80)
    draw = np.random.default_rng(0)
    table = np.column_stack([np.full(80, 1.0), 0.1 * draw.standard_normal((80, 2))])
    field = Field(wave, np.zeros(80), table)
    tokens = Tokens.of(field, wave[1:-1], np.full(78, 1e-3))
    flux = 3.0 * tokens.keys @ [1.0, 0.4, -0.8] + 0.05 * draw.standard_normal(78)
    error = draw.uniform(0.03, 0.08, 78)
    mask = (np.arange(78) % 7 == 0).astype(np.uint32)
    found = tokens.features(flux[None], error[None], mask[None])[0]
    good, keys = mask == 0, tokens.keys.astype(np.float64)
    matrix, pull = np.zeros((3, 3)), np.zeros(3)
    for i in np.flatnonzero(good):
        matrix += np.outer(keys[i], keys[i]) / error[i] ** 2
        pull += keys[i] * flux[i] / error[i] ** 2
    amplitude = pull[0] / matrix[0, 0]
    prior = np.array([LOOSE**-2, 1.0, 1.0]) / amplitude**2
    covariance = np.linalg.inv(matrix + np.diag(prior))
    mean = covariance @ (pull + prior * [amplitude, 0.0, 0.0])
    assert found[:2] == pytest.approx(mean[1:] / mean[0], abs=2e-4)  # sums are float32
    variance = np.diag(covariance)[1:] / amplitude**2
    assert np.square(0.5 * (found[4:6] + 1.0)) == pytest.approx(variance, rel=1e-3)
    again = tokens.features(1e-17 * flux[None], 1e-17 * error[None], mask[None])[0]
    assert again == pytest.approx(found, abs=1e-4)  # any unit


def test_a_moving_star_is_read_without_resampling(model):
    wave, fwhm = INSTRUMENTS["unseen"]
    labels = np.array([[4900.0, -0.7]])
    factor = 1.0 + 60.0 / 299792.458
    flux = star(wave / factor, fwhm / factor, labels)[0]
    error = flux / 30.0
    seen = flux + error * np.random.default_rng(5).standard_normal(flux.size)
    arm = SpectrumArm(wave=wave, flux=seen, error=error, fwhm=fwhm)
    moving = SurveySpectrum(survey="toy", arms=(arm,), ids={}, velocity=Velocity(rv=None))
    matcher = SpectrumMatcher(model)
    given, matched = matcher.predict(moving, 60.0)
    assert not matched.interpolated
    assert matched.seen.flux == pytest.approx(seen)
    assert given[1].value == pytest.approx(-0.7, abs=0.15)
    measured, _ = matcher.predict(moving)
    assert measured[1].value == pytest.approx(given[1].value, abs=0.1)
    assert matcher.velocity(moving).rv == pytest.approx(60.0, abs=20.0)


def test_from_the_command_line(folder, tmp_path):
    """A table does not say how wide its lines are: the option does."""
    wave, fwhm = INSTRUMENTS["unseen"]
    sample = stars("unseen", 1, 9)
    path = tmp_path / "star.ecsv"
    Table({"wave": wave, "flux": sample.flux[0], "error": sample.error[0]}).write(path)
    line = f"speclearn predict {folder} {path} --rv 0 --json"
    refused = call(line)
    assert refused.exit_code == 2
    assert "--resolution" in refused.stderr
    found = call(line, "--resolution", 8575.0 / fwhm, "--posterior", "quantiles")
    rows = json.loads(found.stdout)["predictions"]
    assert rows[0]["value"] == pytest.approx(sample.labels[0, 0], abs=150)
    card = tmp_path / "card.png"
    assert call(line, "--resolution", 8575.0 / fwhm, "--card", card).exit_code == 0
    assert card.stat().st_size > 10_000
    assert call(line, "--among", tmp_path).exit_code == 2  # is for --card
    assert rows[0]["q2.5"] < rows[0]["value"] < rows[0]["q97.5"]


def test_refusals(tmp_path):
    view = view_of("fine")
    unknown = replace(view, train=replace(view.train, fwhm=None))
    with pytest.raises(DataError, match="width of its lines is unknown"):
        fit("any_instrument", join_views([view, unknown]), TARGETS, RECIPE, tmp_path / "no")
    with pytest.raises(ConfigError, match="--model any_instrument"):
        fit("ridge", join_views([view, view_of("coarse")]), "m_h", None, tmp_path / "no")
    assert not (tmp_path / "no").exists()
