"""Training in every way a recipe can ask for: online, in half precision, compiled, in parallel."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.learners import fit, load_checkpoint, predict
from starsmith.learners.networks import create_model, list_models
from starsmith.learners.online.online_view import open_online
from starsmith.learners.recipe import NetworkRecipe, RidgeRecipe
from starsmith.learners.scores.metrics import r2
from starsmith.learners.training.compiled import count_graphs, regions
from starsmith.learners.training.step import Stepper
from starsmith.simulator.prior import Prior
from tests.learners.worlds import lines, make_data, uniform_logg

SMALL = {"patch": 16, "dim": 16, "depth": 1, "n_head": 2, "readout": "tokens"}
RECIPE = NetworkRecipe(epochs=3, batch_size=50, learning_rate=3e-3, ema=0.9, options=SMALL)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small_data():
    """Few spectra: seconds of training."""
    return make_data(lines, uniform_logg, 0.2, (300, 100, 100))


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def online_view(bank):
    prior = Prior.default().with_ranges(mag=(18.0, 19.0))
    return open_online(bank, prior.ranges, seed=3, n_val=60, n_statistics=200)


def kill_after(epoch):
    def kill(row):
        if row["epoch"] == epoch:
            raise KeyboardInterrupt

    return kill


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_killed_online_run_goes_on_to_the_same_weights(toy_bank, tmp_path, precision):
    """Stars are keyed by epoch, the scale of the loss is stored: bit for bit the same end."""
    recipe = dataclasses.replace(RECIPE, epoch_size=200, precision=precision)
    recipe = dataclasses.replace(recipe, options=SMALL | {"patch": 20, "dropout": 0.2})
    view = online_view(toy_bank)

    fit("specvit_tiny", view, "m_h", recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit("specvit_tiny", view, "m_h", recipe, tmp_path / "parts", kill_after(1))
    fit("specvit_tiny", view, "m_h", recipe, tmp_path / "parts")

    for name in ("model.safetensors", "state.safetensors"):
        whole, parts = (safe_tensors(tmp_path / k / name) for k in ("whole", "parts"))
        assert whole.keys() == parts.keys()
        assert all(np.array_equal(whole[n], parts[n]) for n in whole)


def safe_tensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


def test_online_training_learns_and_says_what_it_saw(toy_bank, tmp_path):
    """Bright toy stars: metallicity to R2 0.5 in 2000 stars; the card names bank and prior."""
    recipe = dataclasses.replace(
        RECIPE, epoch_size=500, epochs=4, learning_rate=5e-3, options=SMALL | {"patch": 20}
    )

    result = fit("specvit_tiny", online_view(toy_bank), "m_h", recipe, tmp_path)

    assert result.metrics["val_r2"]["m_h"] > 0.5
    online = load_checkpoint(tmp_path).card["dataset"]["online"]
    assert (online["bank"], online["seed"]) == (toy_bank.digest, 3)
    assert online["ranges"]["mag"] == [18.0, 19.0]
    assert "kept" in result.stop_reason


def test_a_bank_without_the_label_and_models_that_are_no_networks_are_refused(toy_bank, tmp_path):
    """Before anything is written."""
    view = online_view(toy_bank)

    with pytest.raises(ConfigError, match="not a label"):
        fit("specvit_tiny", view, "a_m", RECIPE, tmp_path / "run")
    with pytest.raises(ConfigError, match="no network"):
        fit("ridge", view, "logg", RidgeRecipe(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("loss", ["mse", "l1", "gaussian_nll", "beta_nll"])
def test_missing_labels_do_not_stop_the_others(tmp_path, loss):
    """Half of m_h unknown, in train and val: both labels are learned, the scores are finite."""
    data = make_data(
        lambda labels: lines(labels[:, 1:]) * (1 + 0.1 * labels[:, :1] * np.linspace(-1, 1, 128)),
        lambda rng, n: rng.uniform([-2, 1], [1, 5], (n, 2)),
        0.05,
        (600, 100, 200),
        label_names=("m_h", "logg"),
    )
    for name in ("train", "val"):
        data.splits[name].labels[::2, 0] = np.nan
    recipe = dataclasses.replace(RECIPE, loss=loss, epochs=6, learning_rate=8e-3)

    fit("specvit_tiny", data.training(), ("logg", "m_h"), recipe, tmp_path)
    found = predict(load_checkpoint(tmp_path), data.split("test"))

    assert (r2(found.truth.T, found.value.T) > 0.2).all()
    with pytest.raises(DataError, match="300 of 600"):
        fit("ridge", data.training(), ("logg", "m_h"), None, tmp_path / "ridge")


def test_labels_known_to_be_wrong_are_not_believed(tmp_path):
    """Half the labels scrambled, with errors that say so: better than believing them all."""
    data = make_data(lines, uniform_logg, 0.1, (800, 200, 600))
    view = data.training()
    wrong = np.arange(800) % 2 == 0
    labels = view.train.labels.copy()
    labels[wrong] += 6.0
    errors = np.where(wrong, 60.0, 0.0)[:, None]
    recipe = dataclasses.replace(RECIPE, epochs=5, learning_rate=5e-3)

    scores = {}
    for name, given in (("told", errors), ("believed", None)):
        split = dataclasses.replace(view.train, labels=labels, label_errors=given)
        told = dataclasses.replace(view, train=split)
        fit("specvit_tiny", told, "logg", recipe, tmp_path / name)
        found = predict(load_checkpoint(tmp_path / name), data.split("test"))
        scores[name] = r2(found.truth[:, 0], found.value[:, 0])

    assert scores["told"] > 0.3 > scores["believed"]


def test_half_precision_trains_the_same_network(small_data, tmp_path):
    """With a scaled loss, float16 agrees with float32 to its three digits."""
    losses = {}
    for precision in ("float32", "float16"):
        recipe = dataclasses.replace(RECIPE, precision=precision, epochs=1)
        fit("specvit_tiny", small_data.training(), "logg", recipe, tmp_path / precision)
        losses[precision] = rows_of(tmp_path / precision)[0]["train_loss"]

    assert losses["float16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["float16"] != losses["float32"]


def test_a_batch_too_large_for_the_memory_names_the_one_that_fits(
    small_data, tmp_path, monkeypatch
):
    """Simulated: a device with room for 20 spectra. 50 are refused, 12 proposed."""
    real = Stepper.backward

    def backward(self, batch):
        if len(batch.flux) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, batch)

    monkeypatch.setattr(Stepper, "backward", backward)

    with pytest.raises(ConfigError, match=r"batch_size = 50 needs more.*12 fits: --batch-size 12"):
        fit("specvit_tiny", small_data.training(), "logg", RECIPE, tmp_path)

    monkeypatch.setattr(Stepper, "backward", lambda *_: (_ for _ in ()).throw(
        RuntimeError("DefaultCPUAllocator: can't allocate memory")))  # fmt: skip
    with pytest.raises(RuntimeError, match="allocate"):
        fit("specvit_tiny", small_data.training(), "logg", RECIPE, tmp_path, resume=False)


def test_half_precision_that_never_finds_a_scale_stops(small_data, tmp_path):
    """Infinite spectra give infinite gradients at any scale: named, not skipped forever."""
    view = small_data.training()
    clean = view.train.observe

    def observe(rows=None, epoch=None):
        seen = clean(rows, epoch)
        if epoch:
            seen.flux[:, 5] = np.inf
        return seen

    object.__setattr__(view.train, "observe", observe)
    recipe = dataclasses.replace(RECIPE, precision="float16", epochs=20)

    with pytest.raises(DataError, match=r"batch \d+ .*training rows .*flux not finite"):
        fit("specvit_tiny", view, "logg", recipe, tmp_path)


def test_steps_are_reported_with_speed_and_time_left(small_data, tmp_path, monkeypatch):
    """At every second; here at every step."""
    monkeypatch.setattr("starsmith.learners.training.network.SECONDS_BETWEEN_STEPS", 0.0)
    told = []

    fit("specvit_tiny", small_data.training(), "logg", RECIPE, tmp_path, told.append)

    rows = [row for row in told if row["epoch"] is None]
    assert len(told) - len(rows) == 3
    assert [row["step"] for row in rows] == list(range(1, 19))
    assert {row["steps"] for row in rows} == {18}
    assert all(row["spectra_per_second"] > 0 and row["seconds_left"] >= 0 for row in rows)
    assert all("spectra_per_second" in row and "val_r2" in row for row in rows_of(tmp_path))


@pytest.mark.parametrize("name", list_models("*_tiny"))
def test_regions_are_everything_but_the_recurrent_layers(name):
    """What is compiled holds all parameters except those of the LSTM, once each."""
    model = create_model(name, ["logg"], n_wave=512)
    recurrent = [m for m in model.modules() if isinstance(m, torch.nn.RNNBase)]

    compiled = [p for region in regions(model) for p in region.parameters()]
    left = [p for layer in recurrent for p in layer.parameters()]

    assert len({map(id, compiled)}) == 1
    assert sorted(map(id, compiled + left)) == sorted(map(id, model.parameters()))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["specvit_tiny", "convstem_lstm_tiny"])
def test_something_is_compiled_and_trains_alike(small_data, tmp_path, model):
    """Graphs are counted: a network with an LSTM must not fall back to eager unnoticed."""
    options = SMALL if model == "specvit_tiny" else {"hidden": 8, "dim": 16, "n_head": 2}
    losses = {}
    for compiled in (False, True):
        recipe = dataclasses.replace(RECIPE, compile=compiled, epochs=1, options=options)
        before = count_graphs()
        try:
            fit(model, small_data.training(), "logg", recipe, tmp_path / str(compiled))
        except ConfigError as problem:
            pytest.skip(str(problem))
        losses[compiled] = rows_of(tmp_path / str(compiled))[0]["train_loss"]
        n_graph = count_graphs() - before
        assert n_graph == 0 if not compiled else n_graph > 0

    assert losses[True] == pytest.approx(losses[False], rel=1e-4)  # fused float32 arithmetic


def test_what_needs_a_compiler_or_a_gpu_says_so(small_data, tmp_path, monkeypatch):
    """Before anything is trained."""
    view = small_data.training()
    with pytest.raises(ConfigError, match="cuda_graph"):
        fit("specvit_tiny", view, "logg", dataclasses.replace(RECIPE, cuda_graph=True), tmp_path)

    monkeypatch.setattr("starsmith.learners.training.compiled.shutil.which", lambda name: None)
    recipe = dataclasses.replace(RECIPE, compile=True)
    with pytest.raises(ConfigError, match="install a C"):
        fit("specvit_tiny", view, "logg", recipe, tmp_path, resume=False)


PARALLEL = """
import sys, torch
torch.set_num_threads(1)
from starsmith.learners import fit
from starsmith.learners.training.distributed import process_group
from tests.learners.test_training import RECIPE
from tests.learners.worlds import lines, make_data, uniform_logg
data = make_data(lines, uniform_logg, 0.2, (300, 100, 100))
with process_group("cpu"):
    fit("specvit_tiny", data.training(), "logg", RECIPE, sys.argv[1], device="cpu")
"""


@pytest.mark.slow
def test_two_processes_train_as_one(small_data, tmp_path):
    """With torchrun and gloo the loss of every epoch is that of one process, batch for batch."""
    script = tmp_path / "train.py"
    script.write_text(PARALLEL)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", "0", "--standalone", str(script), str(tmp_path / "two")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    fit("specvit_tiny", small_data.training(), "logg", RECIPE, tmp_path / "one")

    assert run.returncode == 0, run.stderr[-2000:]
    # sums of a batch in another order, over 18 steps
    for one, two in zip(rows_of(tmp_path / "one"), rows_of(tmp_path / "two"), strict=True):
        assert two["train_loss"] == pytest.approx(one["train_loss"], rel=1e-4)
        assert two["val_error"] == pytest.approx(one["val_error"], rel=1e-3)


def test_a_batch_that_does_not_divide_among_processes_is_refused():
    """Every process takes the same number of spectra."""
    from starsmith.learners.training.batch_order import Share

    with pytest.raises(ConfigError, match="does not divide among 3"):
        Stepper(
            create_model("specvit_tiny", ["logg"], n_wave=128),
            RECIPE,
            torch.device("cpu"),
            Share(0, 3),
        )
