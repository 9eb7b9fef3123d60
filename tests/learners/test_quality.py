"""What a model does not know, and how a prediction says so."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from starsmith.data_contract import read_predictions, write_ecsv
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quality import (
    QUALITY_BITS,
    describe_quality,
    flag_names,
    quality_value,
)
from starsmith.learners import fit, load_checkpoint, predict, predict_observed
from starsmith.learners.checkpoint import CARD, WEIGHTS
from starsmith.simulator.generation.generate import Settings, write_dataset
from starsmith.simulator.prior import Prior

SEED = 3


@pytest.fixture(scope="module")
def data(toy_bank, tmp_path_factory):
    """Bright toy stars at rest, of log g 2 to 4."""
    path = tmp_path_factory.mktemp("data") / "toy.zarr"
    prior = Prior.default().with_ranges(mag=(18.0, 19.0), logg=(2.0, 4.0))
    write_dataset(toy_bank, prior, 1200, path, seed=SEED, settings=Settings(shard_rows=512))
    return open_dataset(path)


@pytest.fixture(scope="module")
def ridge(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ridge") / "run"
    fit("ridge", data.training(), ("logg", "teff"), None, folder)
    return folder


@pytest.fixture(scope="module")
def model(ridge):
    return load_checkpoint(ridge)


def star(data, row=0):
    return data.split("test").observe(slice(row, row + 1))[0]


def flags(model, seen, rv=0.0):
    return set(predict_observed(model, seen, rv)[0].flags)


def changed(seen, **arrays):
    given = {"flux": seen.flux, "error": seen.error, "mask": seen.mask} | arrays
    return Observed(seen.wave, **given)


def test_bits_have_names():
    """Bits and names go both ways; a sentence counts and explains."""
    assert len(set(QUALITY_BITS.values())) == len(QUALITY_BITS)
    both = quality_value("few_pixels", "outside_training")
    assert set(flag_names(both)) == {"few_pixels", "outside_training"}
    assert flag_names(0) == ()
    (first, second) = describe_quality(np.array([both, 0, quality_value("few_pixels")]))
    assert first.startswith("outside_training: ")
    assert "(1 of 3 spectra)" in first
    assert "(2 of 3 spectra)" in second


def test_stars_of_the_training_set_carry_few_flags(model, data):
    """Of its own kind 1 % look odd; of this few validation spectra the limits are uncertain."""
    found = predict(model, data.split("test"))
    odd = found.quality >> QUALITY_BITS["unlike_training"] & 1
    assert odd.mean() < 0.03
    for name in ("few_pixels", "unknown_velocity", "limits_unknown"):
        assert not (found.quality >> QUALITY_BITS[name] & 1).any()


def test_labels_outside_and_at_the_edge(model, data):
    """Every bit says what the value does: beyond 2.5..3.5 dex, or in the outermost 2 % of it."""
    spans = model.card["limits"]["labels"] | {"logg": [2.5, 3.5]}
    narrow = replace(model, card=model.card | {"limits": {"labels": spans}})
    found = predict(narrow, data.split("test"))
    outside, edge = (np.zeros(len(found), bool) for _ in range(2))
    for name, values in zip(found.labels, found.value.T, strict=True):
        low, high = spans[name]
        margin = 0.02 * (high - low)
        beyond = (values < low) | (values > high)
        outside |= beyond
        edge |= ~beyond & ((values < low + margin) | (values > high - margin))
    assert outside.any()
    assert edge.any()
    np.testing.assert_array_equal(outside, found.quality >> QUALITY_BITS["outside_training"] & 1)
    np.testing.assert_array_equal(edge, found.quality >> QUALITY_BITS["training_edge"] & 1)


def test_few_pixels_are_told(model, data):
    """An eighth of the pixels masked: told; a twentieth: not."""
    seen = star(data, 2)
    n = seen.flux.size
    assert "few_pixels" in flags(model, changed(seen, mask=np.arange(n) % 8 == 0))
    assert "few_pixels" not in flags(model, changed(seen, mask=np.arange(n) % 20 == 0))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda wave, flux: flux[::-1],
        lambda wave, flux: np.median(flux) * (1 + 0.3 * np.sin(wave / 3.0)),
        lambda wave, flux: flux * (wave / 8500.0) ** 30,
        lambda wave, flux: flux + 2 * np.median(flux) * (np.abs(wave - 8560.0) < 1.0),
        lambda wave, flux: np.random.default_rng(1).normal(1.0, 0.3, wave.size),
    ],
)
def test_what_is_no_such_star_is_told(model, data, spoil):
    """Reversed, a wave, another slope, a strong emission line, noise: with an error or without."""
    seen = star(data, 1)
    assert "unlike_training" not in flags(model, seen)
    spoiled = spoil(seen.wave, seen.flux.astype(np.float64))
    scale = np.median(spoiled) / np.median(seen.flux)
    error = seen.error * scale
    assert "unlike_training" in flags(model, changed(seen, flux=spoiled, error=error))
    assert "unlike_training" in flags(model, changed(seen, flux=spoiled, error=None))


def test_a_model_states_that_it_knows_stars_at_rest(model, data):
    """It says so; a star that moves by 200 km/s is told apart, and shifted back is at rest."""
    assert "velocities stars at rest only" in repr(model)
    seen = star(data, 1)
    assert "unknown_velocity" not in flags(model, seen, None)
    stretch = 1.0 + 200.0 / 299792.458
    moved = changed(seen, flux=np.interp(seen.wave, seen.wave * stretch, seen.flux))
    assert "unknown_velocity" in flags(model, moved, None)
    assert "unknown_velocity" not in flags(model, moved, 200.0)
    (at_rest, _), (back, _) = (
        predict_observed(model, s, rv) for s, rv in ((seen, 0.0), (moved, 200.0))
    )
    assert back.value == pytest.approx(at_rest.value, abs=0.3)  # 5 % of the pixels are lost


def test_a_checkpoint_of_before_loads_and_says_that_its_limits_are_unknown(ridge, data, tmp_path):
    """The same labels; what the card does not record is named."""
    tensors = {n: v for n, v in load_file(ridge / WEIGHTS).items() if not n.startswith("typical")}
    card = json.loads((ridge / CARD).read_text())
    del card["limits"]["velocity"], card["files"]
    content = save(tensors)
    card["weights_sha256"] = hashlib.sha256(content).hexdigest()
    (tmp_path / WEIGHTS).write_bytes(content)
    (tmp_path / CARD).write_text(json.dumps(card))
    old, new = load_checkpoint(tmp_path), load_checkpoint(ridge)
    before, now = (predict_observed(m, star(data), 0.0)[0] for m in (old, new))
    assert before.value == now.value
    assert before.flags == ("limits_unknown",)


def test_quality_survives_its_file(model, data, tmp_path):
    """A column of whole numbers, and the names of its bits in the head."""
    found = predict(model, data.split("test"))
    write_ecsv(tmp_path / "p.ecsv", found)
    np.testing.assert_array_equal(read_predictions(tmp_path / "p.ecsv").quality, found.quality)
    assert "quality_bits" in (tmp_path / "p.ecsv").read_text()
    assert found.take(np.arange(3)).quality.size == 3
