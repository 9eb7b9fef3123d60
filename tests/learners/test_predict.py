"""Using a checkpoint: what it says, what it refuses, what it cannot know."""

import json

import numpy as np
import pytest
from astropy import units
from astropy.utils.masked import Masked

from starsmith.data_contract import read_predictions, write_ecsv
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.predictions import Predictions
from starsmith.learners import (
    fit,
    load_checkpoint,
    plot_predictions,
    plot_training,
    predict,
    predict_spectrum,
)
from starsmith.learners.prediction.own_pixels import in_order_of
from tests.learners.worlds import NOTICE, lines, make_data, uniform_logg


@pytest.fixture(scope="module")
def data():
    return make_data(lines, uniform_logg, 0.2, (400, 100, 150))


@pytest.fixture(scope="module")
def ridge(data, tmp_path_factory):
    """A fitted ridge regression: the quickest of checkpoints."""
    folder = tmp_path_factory.mktemp("ridge") / "run"
    fit("ridge", data.training(), "logg", None, folder)
    return folder


def test_a_spectrum_in_any_flux_unit_gives_the_same_label(ridge, data):
    """Brightness and units cancel; the answer comes in label units."""
    split = data.split("test")
    flux = split.observe(slice(0, 1)).flux[0]
    predictor = load_checkpoint(ridge)

    (faint,) = predict_spectrum(predictor, split.wave, flux)
    (bright,) = predict_spectrum(predictor, split.wave, flux * 1024)

    assert (faint.label, faint.unit, faint.uncertainty) == ("logg", "dex(cm s-2)", None)
    assert bright.value == faint.value
    assert faint.value == predict(predictor, split).value[0, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda wave: wave[:-1], "127 pixels.*expects 128 pixels, 8500.000"),
        (lambda wave: wave / 10, "nanometres"),
        (lambda wave: wave / 1.000275, "air wavelengths"),
        (lambda wave: wave + 0.2, "off by up to 0.2"),
    ],
)
def test_another_wavelength_grid_is_refused_by_name(ridge, data, change, words):
    """The message says what differs, what is expected, and what it looks like."""
    split = data.split("test")
    wave = change(split.wave)

    with pytest.raises(DataError, match=words):
        predict_spectrum(load_checkpoint(ridge), wave, np.ones(wave.size))


@pytest.mark.parametrize("kind", ["nan", "flag", "masked", "error", "quantity"])
def test_however_a_pixel_is_unusable_the_answer_is_the_same(ridge, data, kind):
    """Not a number, flagged in bit 40, masked, without an error: one label, near the whole one."""
    split = data.split("test")
    predictor = load_checkpoint(ridge)
    flux = split.observe(slice(0, 1)).flux[0].astype(np.float64)
    (whole,) = predict_spectrum(predictor, split.wave, flux)
    bad = np.arange(flux.size) == 3
    flagged = np.where(bad, 50.0 * flux, flux)
    (expected,) = predict_spectrum(predictor, split.wave, flagged, mask=bad)
    wave, error, mask = split.wave, np.ones(flux.size), np.zeros(flux.size, np.int64)
    if kind == "nan":
        flagged[3] = np.nan
    elif kind == "flag":
        mask[3] = 1 << 40
    elif kind == "error":
        error[3] = 0.0
    else:
        flagged = np.ma.array(flagged, mask=bad)
    if kind == "quantity":
        wave, flagged = wave / 10 * units.nm, Masked(flagged.data * units.mJy, mask=bad)
        flagged = flagged / (split.wave / 8500.0) ** -2.0  # constant f_nu is no constant f_lambda
        error = None

    (found,) = predict_spectrum(predictor, wave, flagged, error, mask)

    assert found.value == pytest.approx(expected.value, rel=1e-6)
    assert found.value == pytest.approx(whole.value, abs=0.1)  # a continuum pixel of 128


def test_spectra_without_enough_pixels_are_refused(ridge, data):
    """None at all, fewer than a quarter, none of positive flux, another shape."""
    split = data.split("test")
    predictor = load_checkpoint(ridge)
    flux = split.observe(slice(0, 1)).flux[0]

    with pytest.raises(DataError, match="no usable pixel"):
        predict_spectrum(predictor, split.wave, flux, mask=np.full(128, 1 << 33))
    with pytest.raises(DataError, match="31 usable pixels of 128"):
        predict_spectrum(predictor, split.wave, flux, mask=np.arange(128) >= 31)
    assert predict_spectrum(predictor, split.wave, flux, mask=np.arange(128) >= 32)
    with pytest.raises(DataError, match="no usable"):
        predictor.predict(np.full((2, 128), np.nan, np.float32))
    value, _ = predictor.predict(np.stack([flux, np.full(128, np.nan, np.float32)]))
    assert np.isfinite(value).tolist() == [[True], [False]]
    with pytest.raises(DataError, match="shape"):
        predictor.predict(flux)
    with pytest.raises(DataError, match="not positive"):
        predict_spectrum(predictor, split.wave, -np.ones(128))


def test_predictions_survive_their_file(ridge, data, tmp_path):
    """ECSV keeps keys, units, origin and every digit."""
    predictions = predict(load_checkpoint(ridge), data.split("test"))

    write_ecsv(tmp_path / "p.ecsv", predictions)
    back = read_predictions(tmp_path / "p.ecsv")

    for name in ("index", "snr", "truth", "value"):
        np.testing.assert_array_equal(getattr(back, name), getattr(predictions, name))
    assert (back.split, back.seed, back.units, back.notice) == ("test", 0, ("dex(cm s-2)",), NOTICE)
    assert back.uncertainty is None
    (tmp_path / "other.ecsv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="ECSV"):
        read_predictions(tmp_path / "other.ecsv")


def test_scores_in_normalised_units_are_impossible():
    """Predictions refuse any unit but the label's own: z-scores never pass for dex."""
    arrays = {name: np.zeros((2, 1)) for name in ("truth", "value")}
    keys = {"split": "test", "seed": 0, "index": np.arange(2), "snr": np.ones(2)}
    origin = {"model": "m", "dataset": "d", "notice": "", "uncertainty": None}

    with pytest.raises(ContractError, match="denormalise"):
        Predictions(labels=("logg",), units=("1",), **arrays, **keys, **origin)


def test_a_card_tells_what_the_model_is(ridge, data):
    """Grid, data, limits, recipe, scores and versions can be read without any software."""
    card = json.loads((ridge / "card.json").read_text())

    assert card["schema"] == "starsmith.checkpoint"
    assert card["dataset"]["notice"] == NOTICE
    assert card["dataset"]["digest"] == data.training().digest
    assert card["wave"]["n_wave"] == 128
    low, high = card["limits"]["labels"]["logg"]
    assert 1.0 <= low < 1.1 < 4.9 < high <= 5.0
    assert set(card["versions"]) >= {"starsmith", "torch", "python"}
    assert card["metrics"]["val_mae"]["logg"] > 0


def test_damaged_checkpoints_are_refused(ridge, tmp_path):
    """A changed byte, a missing file, another version: each is named."""
    for name in ("card.json", "model.safetensors"):
        (tmp_path / name).write_bytes((ridge / name).read_bytes())
    weights = bytearray((ridge / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)

    with pytest.raises(ContractError, match="not the weights"):
        load_checkpoint(tmp_path)
    card = json.loads((ridge / "card.json").read_text()) | {"schema_version": 99}
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(DataError, match="version 99"):
        load_checkpoint(tmp_path)
    (tmp_path / "card.json").unlink()
    with pytest.raises(DataError, match="no checkpoint there"):
        load_checkpoint(tmp_path)


def test_no_pickle_in_a_checkpoint(data, tmp_path, tiny_recipe):
    """Every file of a network's folder is text or safetensors; nothing can run code."""
    fit("specvit_tiny", data.training(), "logg", tiny_recipe, tmp_path)

    kinds = {path.name: path.read_bytes()[8:9] for path in tmp_path.iterdir()}
    assert {n.rpartition(".")[2] for n in kinds} == {"json", "jsonl", "toml", "safetensors"}
    assert kinds["model.safetensors"] == kinds["state.safetensors"] == b"{"  # its JSON head


def test_figures_are_drawn_with_their_notice(ridge, data, tmp_path, tiny_recipe, monkeypatch):
    """Both figures are written, and the grid's notice is on them."""
    from matplotlib.figure import Figure

    texts = []
    original = Figure.text
    monkeypatch.setattr(
        Figure, "text", lambda self, *a, **k: texts.append(a[2]) or original(self, *a, **k)
    )
    fit("specvit_tiny", data.training(), "logg", tiny_recipe, tmp_path / "run")

    plot_predictions(predict(load_checkpoint(ridge), data.split("test")), tmp_path / "a.png")
    plot_training(tmp_path / "run", tmp_path / "b.svg", NOTICE)

    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "b.svg").read_text()
    assert texts == [NOTICE, NOTICE]
    with pytest.raises(DataError, match="only networks"):
        plot_training(ridge, tmp_path / "c.png")


def test_pixels_ordered_by_wavelength_are_those_of_joined_arms():
    """Files sort pixels; a model of arms that overlap finds each again, with its flux."""
    wave = np.concatenate([np.arange(100.0, 110.0), np.arange(105.5, 115.5)])
    flux = np.arange(20.0)
    order = np.argsort(wave, kind="stable")
    sorted_by_wave = Observed(wave[order], flux[order], 1.0 + flux[order], order.astype(np.int64))

    found = in_order_of(wave, sorted_by_wave)

    np.testing.assert_array_equal(found.wave, wave)
    np.testing.assert_array_equal(found.flux, flux)
    np.testing.assert_array_equal(found.error, 1.0 + flux)
    np.testing.assert_array_equal(found.mask, np.arange(20))
    other = Observed(wave + 1.0, flux)
    assert in_order_of(wave, other) is other
