"""One kind of spectra from the other, stars found again, and outliers of a data set."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.learners.embedding.cross import cross_scores, other_side
from starsmith.learners.embedding.neighbours import (
    found_among,
    outlier_scores,
    outliers_among,
    recall_at,
)
from starsmith.learners.pretrain.encoder import open_encoder
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.pretrain.training import align, pretrain
from starsmith.simulator import Prior, write_dataset
from tests.cli.conftest import call

TINY = {
    "masked_tiny": {"dim": 16, "depth": 1, "n_head": 2, "patch": 8, "stride": 8},
    "autoencoder_tiny": {"width": 24, "dim": 12},
}


@pytest.fixture(scope="module")
def world(toy_bank, tmp_path_factory):
    """The same stars twice, bright and faint, and pairs aligned on them."""
    torch.set_num_threads(1)
    work = tmp_path_factory.mktemp("cross")
    for name, mag in (("bright", 15.0), ("faint", 15.5)):
        prior = Prior.default().with_ranges(mag=(mag, mag))
        counts = {"train": 150, "val": 40, "test": 30}
        write_dataset(toy_bank, prior, counts, work / f"{name}.zarr", seed=3)
    views = tuple(open_dataset(work / f"{name}.zarr").training() for name in ("bright", "faint"))
    for k, (model, options) in enumerate(TINY.items()):
        recipe = load_pretraining(model, epochs=2, batch_size=50, options=options)
        pretrain(model, views[k], recipe, work / model, device="cpu")
    runs = tuple(work / model for model in TINY)
    for variant, epochs in (("split", 12), ("base", 1)):
        recipe = load_pretraining(
            variant, epochs=epochs, batch_size=50, learning_rate=3e-3, options={"dim": 24}
        )
        align(variant, runs, views, recipe, work / variant, device="cpu")
    return work


@pytest.mark.slow
def test_a_prediction_is_what_the_network_says_in_flux(world):
    encoder = open_encoder(world / "split", device="cpu")
    flux = open_dataset(world / "bright.zarr").split("test").observe().flux
    found = encoder.cross(flux)
    with torch.no_grad():
        own = encoder.pair.predict(torch.from_numpy(encoder.scaled(flux)), "first").numpy()
    scale = encoder.other.normaliser
    assert found == pytest.approx(own * scale.std + scale.mean, rel=1e-5)
    back = open_encoder(world / "split", "second", device="cpu")
    assert other_side(back).statistics.wave.size == encoder.statistics.wave.size
    shown = other_side(back).shown(flux)  # the first side is known in shape alone
    assert shown.mean(axis=1) == pytest.approx(0.0, abs=1e-5)
    assert shown.std(axis=1, ddof=1) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.slow
def test_scores_both_ways_beat_the_mean_spectrum_and_chance(world):
    encoder = open_encoder(world / "split", device="cpu")
    own, other = (
        TrainingSplit.of(open_dataset(world / f"{name}.zarr").split("test"), fresh_noise=False)
        for name in ("bright", "faint")
    )
    rows = cross_scores(encoder, own, other)
    assert [(row["from"], row["to"]) for row in rows] == [("first", "second"), ("second", "first")]
    for row in rows:
        assert row["R2_low"] <= row["R2"] <= row["R2_high"]
        assert row["recall@1"] <= row["recall@5"] <= row["recall@10"]
        assert row["chance@10"] == pytest.approx(1 / 3)
    assert rows[0]["R2"] > 0.0
    assert rows[0]["recall@10"] > 1 / 3
    shuffled = np.roll(other.labels, 1, axis=0)
    with pytest.raises(DataError, match="same stars"):
        cross_scores(encoder, own, replace(other, labels=shuffled))


@pytest.mark.slow
def test_the_command_writes_and_scores(world, tmp_path):
    words = f"speclearn cross {world / 'split'} {world / 'bright.zarr'}"
    done = call(f"{words} {world / 'faint.zarr'} --out {tmp_path / 'p.zarr'} --device cpu --json")
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["rows"]) == 2
    assert verify_dataset(tmp_path / "p.zarr").ok
    made, source = open_dataset(tmp_path / "p.zarr"), open_dataset(world / "bright.zarr")
    np.testing.assert_array_equal(made.wave, open_dataset(world / "faint.zarr").wave)
    seen = source.split("test").observe().flux
    wanted = open_encoder(world / "split", device="cpu").cross(seen)
    wanted /= np.median(wanted, axis=1, keepdims=True)
    assert made.split("test").observe().flux == pytest.approx(wanted, rel=1e-4)
    done = call(f"{words} --side second --out {tmp_path / 'back.zarr'} --device cpu")
    assert done.exit_code == 0, done.output
    base = f"{world / 'base'} {world / 'bright.zarr'}"
    scored = call(f"speclearn cross {base} {world / 'faint.zarr'} --device cpu --json")
    assert json.loads(scored.stdout)["rows"][0]["R2"] is None  # what it has is retrieval


@pytest.mark.slow
def test_what_predicts_nothing_is_refused(world, tmp_path):
    data = world / "bright.zarr"
    for line, words in (
        (f"{world / 'base'} {data} --out {tmp_path / 'a.zarr'}", "predicts no spectra"),
        (f"{world / 'masked_tiny'} {data} {data}", "reads one kind of spectra"),
        (f"{world / 'split'} {data}", "give OTHER"),
        (f"{data} {data} {data}", "no checkpoint"),
    ):
        done = call(f"speclearn cross {line} --device cpu")
        assert done.exit_code == 2, line
        assert words in done.output, done.output
        assert not (tmp_path / "a.zarr").exists()
    with pytest.raises(ConfigError, match="reads one kind"):
        _ = open_encoder(world / "masked_tiny", device="cpu").other


def test_outliers_of_a_set_and_partners_by_blocks(monkeypatch):
    """Whatever the size of a block; a vector far from all others has the largest score."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 3)) * 0.1 + [1.0, 0.0, 0.0]
    vectors[17] = [-3.0, 5.0, 0.0]
    scores = outliers_among(vectors, 5)
    assert scores.argmax() == 17
    assert scores[17] == 49 / 50
    found, new = found_among(vectors, vectors + 0.01, 2), outlier_scores(vectors[:9] + 0.1, vectors)
    monkeypatch.setattr("starsmith.learners.embedding.neighbours.BLOCK", 7)
    assert np.array_equal(outliers_among(vectors, 5), scores)
    assert np.array_equal(found_among(vectors, vectors + 0.01, 2), found)
    assert np.array_equal(outlier_scores(vectors[:9] + 0.1, vectors), new)
    assert recall_at(vectors, vectors) == 1.0


@pytest.mark.slow
def test_the_command_lists_outliers(world):
    line = f"speclearn similar {world / 'masked_tiny'} {world / 'bright.zarr'} --device cpu"
    done = call(f"{line} --outliers 4 --json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["outliers"]
    scores = [row["outlier"] for row in rows]
    assert len(rows) == 4
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(29 / 30, abs=1e-3)
    assert call(f"{line} --outliers 4 --row 3").exit_code == 2
