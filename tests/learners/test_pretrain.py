"""Pretraining: run folders, the same weights after a kill, sources, and what is refused."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from starsmith.data_contract.errors import ConfigError, ContractError, DataError
from starsmith.learners import load_checkpoint
from starsmith.learners.checkpoint import verify_checkpoint
from starsmith.learners.pretrain import training
from starsmith.learners.pretrain.encoder import open_encoder
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.pretrain.training import align, pretrain
from tests.learners.worlds import lines, make_data, uniform_logg

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"dim": 16, "depth": 1, "n_head": 2, "patch": 8, "stride": 4, "chunk": 2}
KEYS = {"epochs": 3, "batch_size": 50, "learning_rate": 3e-3, "ema": 0.9}
MASKED = load_pretraining("masked_tiny", **KEYS, options=OPTIONS)
ENCODER = load_pretraining("autoencoder_tiny", **KEYS, options={"width": 16, "dim": 8})
PAIR = load_pretraining("base", **KEYS, options={"dim": 12, "n_head": 2, "dropout": 0.0})


def data(sigma=0.2, seed=0, n_wave=128):
    def flux_of(labels):
        return lines(labels, n_wave)

    return make_data(flux_of, uniform_logg, sigma, (300, 100, 100), seed=seed).training()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A masked network and an autoencoder, pretrained on the same stars."""
    folder = tmp_path_factory.mktemp("runs")
    torch.set_num_threads(1)
    pretrain("masked_tiny", data(), MASKED, folder / "masked", device="cpu")
    pretrain("autoencoder_tiny", data(), ENCODER, folder / "latent", device="cpu")
    return folder / "masked", folder / "latent"


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def test_a_run_is_a_checkpoint_that_gives_vectors(runs):
    assert verify_checkpoint(runs[0]).ok
    encoder, flux = open_encoder(runs[0], device="cpu"), data().val.observe().flux
    vectors = encoder.encode(flux, np.full_like(flux, 0.2))
    assert vectors.shape == (100, 16)
    assert encoder.kinds == ("token", "mean")
    assert encoder.encode(flux[:5], kind="token").shape == (5, 16)
    np.testing.assert_allclose(encoder.encode(3 * flux[:5]), vectors[:5], atol=1e-5)
    lines_of = (runs[0] / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["val_loss"] for line in lines_of]
    assert losses[-1] < losses[0]
    with pytest.raises(DataError, match="knows no label"):
        load_checkpoint(runs[0])


def test_masked_pixels_are_not_seen(runs):
    encoder, flux = open_encoder(runs[0], device="cpu"), data().val.observe().flux[:3]
    error = np.full_like(flux, 0.2)
    error[:, 40] = np.inf
    wild = flux.copy()
    wild[:, 40] = 1e6
    np.testing.assert_array_equal(encoder.encode(wild, error), encoder.encode(flux, error))
    wild[:, 40] = np.nan
    np.testing.assert_array_equal(encoder.encode(wild), encoder.encode(flux, error))


def test_a_killed_run_comes_to_the_same_weights(runs, tmp_path, monkeypatch):
    whole = training.score
    calls = 0

    def dies(session):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return whole(session)

    monkeypatch.setattr(training, "score", dies)
    with pytest.raises(KeyboardInterrupt):
        pretrain("masked_tiny", data(), MASKED, tmp_path / "run", device="cpu")
    monkeypatch.setattr(training, "score", whole)
    pretrain("masked_tiny", data(), MASKED, tmp_path / "run", device="cpu")
    assert weights(tmp_path / "run") == weights(runs[0])


@pytest.mark.slow
def test_steps_decide_the_epochs_in_half_precision_too(tmp_path):
    recipe = dataclasses.replace(MASKED, steps=9, precision="bfloat16")
    result = pretrain("masked_tiny", data(), recipe, tmp_path, device="cpu")
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2  # of 6 steps each
    assert np.isfinite(result.metrics["val_loss"])


def test_another_run_in_the_folder_is_refused(runs):
    with pytest.raises(ConfigError, match="holds a different run"):
        pretrain("masked_tiny", data(), dataclasses.replace(MASKED, seed=1), runs[0])


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("split", "pr")]


@pytest.mark.parametrize("variant", ["base", *SLOW])
def test_pairs_learn_to_name_their_partner(runs, tmp_path, variant):
    recipe, clear = dataclasses.replace(PAIR, epochs=10 if variant == "base" else 2), data(0.01)
    result = align(variant, runs, (clear, clear), recipe, tmp_path / "pair", device="cpu")
    if variant == "base":  # vectors that say nothing: log 50, and 0.02
        assert result.metrics["val_loss"] < np.log(50) - 0.1
        assert result.metrics["val_partner"] > 0.04
    assert verify_checkpoint(result.path).ok
    for side, dim in (("first", 16), ("second", 8)):
        encoder = open_encoder(result.path, side, device="cpu")
        flux = data().val.observe().flux
        assert encoder.encode(flux, kind="mean").shape == (100, dim)
        assert encoder.encode(flux).shape == (100, 12)
        shared = 8 if variant == "split" else 12
        assert encoder.encode(flux, kind="projected").shape == (100, shared)
    backbone = open_encoder(runs[1], device="cpu").encode(flux)
    np.testing.assert_array_equal(encoder.encode(flux, kind="mean"), backbone)


def test_two_sources_are_mixed(tmp_path):
    views = data(), data(seed=5, sigma=0.1)
    feeds = []
    original = training.open_source_feed

    def remembered(*arguments):
        feeds.append(original(*arguments))
        return feeds[-1]

    training.open_source_feed = remembered
    try:
        pretrain("masked_tiny", views[0], MASKED, tmp_path, (views[1],), device="cpu")
    finally:
        training.open_source_feed = original
    (feed,) = feeds
    assert feed.n_batch == 12
    assert len(list(feed.batches(1))) == 12


def test_what_cannot_be_learned_is_refused(runs, tmp_path):
    with pytest.raises(DataError, match="256 pixels"):
        pretrain("masked_tiny", data(), MASKED, tmp_path / "a", (data(n_wave=256),))
    with pytest.raises(DataError, match="same stars"):
        align("base", runs, (data(), data(seed=3)), PAIR, tmp_path / "b")
    with pytest.raises(DataError, match="reads 128 pixels"):
        align("base", runs, (data(n_wave=256), data()), PAIR, tmp_path / "c")
    with pytest.raises(ConfigError, match="side 'third'"):
        open_encoder(runs[0], "third")
    with pytest.raises(ConfigError, match="--kind split"):
        open_encoder(runs[0], device="cpu").encode(data().val.observe().flux, kind="split")
    assert not list(tmp_path.iterdir())


def test_a_changed_byte_is_found(runs, tmp_path):
    for file in runs[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = bytearray(weights(tmp_path))
    content[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ContractError, match="damaged"):
        open_encoder(tmp_path, device="cpu")


@pytest.mark.slow
def test_two_processes_equal_one(runs, tmp_path):
    """Masked and aligned: the same weights but for the order of sums; negatives are gathered."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", "0", "--standalone", __file__, str(tmp_path), *map(str, runs)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    align("base", runs, (data(), data()), PAIR, tmp_path / "alone", device="cpu")
    for one, other in ((runs[0], "masked"), (tmp_path / "alone", "pair")):
        first, second = (open_encoder(f, device="cpu") for f in (one, tmp_path / other))
        flux = data().val.observe().flux
        np.testing.assert_allclose(first.encode(flux), second.encode(flux), atol=2e-4)
        loss = [e.card["metrics"]["val_loss"] for e in (first, second)]
        assert loss[0] == pytest.approx(loss[1], rel=1e-4)


def together(out: Path, *runs: str) -> None:
    """What each of two processes does."""
    from starsmith.learners.training.distributed import process_group

    torch.set_num_threads(1)
    with process_group("cpu"):
        pretrain("masked_tiny", data(), MASKED, out / "masked", device="cpu")
        align("base", runs, (data(), data()), PAIR, out / "pair", device="cpu")


if __name__ == "__main__":
    together(Path(sys.argv[1]), *sys.argv[2:])
