"""Training networks: what is kept, what is reproduced, what is refused."""

import json
import math

import numpy as np
import pytest
import torch

from starsmith.data_contract.errors import ConfigError, DataError, DivergedError
from starsmith.learners import evaluate, fit, load_checkpoint, predict
from starsmith.learners.estimators import registry
from starsmith.learners.networks import register_model
from starsmith.learners.recipe import NetworkRecipe, RidgeRecipe
from starsmith.learners.scores.metrics import r2
from starsmith.learners.training import network
from starsmith.learners.training.optimise import AveragedModel
from tests.learners.worlds import lines, make_data, uniform_logg

SMALL = {"patch": 16, "dim": 16, "depth": 1, "n_head": 2, "readout": "tokens"}


@pytest.fixture
def small_data():
    """Few spectra: seconds of training."""
    return make_data(lines, uniform_logg, 0.2, (300, 100, 100))


def metrics_rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def bayes_r2(split, sigma):
    """R2 of the exact posterior mean under the uniform prior, amplitude known."""
    grid = np.linspace(1.0, 5.0, 401)
    template = lines(grid[:, None])
    flux = split.observe().flux.astype(np.float64)
    chi2 = -2 * flux @ template.T + np.sum(template**2, axis=1)
    weight = np.exp(-0.5 * (chi2 - chi2.min(axis=1, keepdims=True)) / sigma**2)
    return r2(split.labels[:, 0], weight @ grid / weight.sum(axis=1))


def test_a_trained_network_approaches_the_bayes_optimum_from_below(line_data, tmp_path):
    """In a world whose optimum is known, a tiny network nears it and never passes it."""
    recipe = NetworkRecipe(
        learning_rate=5e-3, batch_size=50, epochs=6, ema=0.95, grad_clip=1.0, options=SMALL
    )

    fit("specvit_tiny", line_data.training(), "logg", recipe, tmp_path / "run")
    reached = evaluate(load_checkpoint(tmp_path / "run"), line_data.split("test")).scores["r2"]

    optimum = bayes_r2(line_data.split("test"), 0.2)
    assert reached.value > 0.8 * optimum  # a constant scores 0
    # It divides by a noisy median where the optimum knows the amplitude; on one and the
    # same noise a paired excess of even one standard error (0.006) would be a leak.
    assert reached.value < optimum + reached.error


def test_a_network_can_memorise_a_handful(small_data, tmp_path):
    """Without fresh noise a network fits 32 spectra to a hundredth of their variance."""
    data = make_data(lines, uniform_logg, 0.2, (32, 10, 10))
    recipe = NetworkRecipe(
        learning_rate=5e-3, batch_size=32, epochs=100, noise="fixed", grad_clip=10, options=SMALL
    )

    fit("specvit_tiny", data.training(), "logg", recipe, tmp_path)

    assert metrics_rows(tmp_path)[-1]["train_loss"] < 0.01


def test_the_best_epoch_is_kept_not_the_last(tmp_path):
    """Weights in the checkpoint are those of the smallest validation error, and score it."""
    data = make_data(lines, uniform_logg, 0.3, (60, 200, 10))
    recipe = NetworkRecipe(
        learning_rate=1e-2, warmup=0.0, batch_size=20, epochs=25, noise="fixed", options=SMALL
    )

    result = fit("specvit_tiny", data.training(), "logg", recipe, tmp_path)

    rows = metrics_rows(tmp_path)
    best = min(rows, key=lambda row: row["val_error"])
    assert result.metrics["best_epoch"] == best["epoch"] < len(rows)  # it did overfit later
    predicted = predict(load_checkpoint(tmp_path), data.split("val"))
    error = np.abs(predicted.value - predicted.truth).mean()
    assert error == pytest.approx(best["val_mae"]["logg"], rel=1e-6)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(small_data, tmp_path, tiny_recipe, ema):
    """Stopped after one epoch and continued: the same weights, bit for bit, dropout included."""
    recipe = NetworkRecipe(
        batch_size=100, epochs=3, ema=ema, options=SMALL | {"dropout": 0.2}, learning_rate=3e-3
    )

    def kill(row):
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    fit("specvit_tiny", small_data.training(), "logg", recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit("specvit_tiny", small_data.training(), "logg", recipe, tmp_path / "parts", kill)
    part = (tmp_path / "parts/model.safetensors").read_bytes()
    fit("specvit_tiny", small_data.training(), "logg", recipe, tmp_path / "parts")

    whole = (tmp_path / "whole/model.safetensors").read_bytes()
    assert (tmp_path / "parts/model.safetensors").read_bytes() == whole != part
    timeless = [
        [
            {k: v for k, v in row.items() if "second" not in k}
            for row in metrics_rows(tmp_path / name)
        ]
        for name in ("whole", "parts")
    ]
    assert timeless[0] == timeless[1]


def test_a_finished_run_is_returned_and_another_is_refused(small_data, tmp_path, tiny_recipe):
    """Fitting again costs nothing; fitting something else into the folder is an error."""
    view = small_data.training()
    first = fit("specvit_tiny", view, "logg", tiny_recipe, tmp_path / "run")
    weights = (tmp_path / "run/model.safetensors").stat().st_mtime_ns

    again = fit("specvit_tiny", view, "logg", tiny_recipe, tmp_path / "run")

    assert again == first
    assert (tmp_path / "run/model.safetensors").stat().st_mtime_ns == weights
    with pytest.raises(ConfigError, match="different run"):
        fit("ridge", view, "logg", None, tmp_path / "run")
    (tmp_path / "run/notes.txt").write_text("mine")
    fit("ridge", view, "logg", None, tmp_path / "run", resume=False)
    assert (tmp_path / "run/notes.txt").read_text() == "mine"  # only our own files are removed
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.tex").write_text("")
    with pytest.raises(DataError, match="not a training run"):
        fit("ridge", view, "logg", None, tmp_path / "other", resume=False)


def test_patience_ends_a_run_that_no_longer_improves(tmp_path):
    """With hopeless labels the run ends long before its epochs do."""
    data = make_data(lambda labels: np.ones((len(labels), 64)), uniform_logg, 0.5, (60, 50, 10))
    recipe = NetworkRecipe(
        learning_rate=1e-2, batch_size=30, epochs=200, patience=4, options=SMALL, noise="fixed"
    )

    result = fit("specvit_tiny", data.training(), "logg", recipe, tmp_path)

    assert "4 epochs" in result.stop_reason
    assert len(metrics_rows(tmp_path)) == result.metrics["best_epoch"] + 4 < 200


def test_noise_is_fresh_every_epoch(small_data, tmp_path, tiny_recipe):
    """Training reads epochs 1, 2, 3 of the noise; with ``fixed`` the draw of record alone."""
    for noise, expected in (("fresh", {1, 2, 3, None}), ("fixed", {None})):
        view, epochs = small_data.training(), set()
        clean = view.train.observe

        def observe(rows=None, epoch=None, clean=clean, epochs=epochs):
            epochs.add(epoch)
            return clean(rows, epoch)

        object.__setattr__(view.train, "observe", observe)
        recipe = NetworkRecipe(epochs=3, batch_size=100, noise=noise, options=tiny_recipe.options)
        fit("specvit_tiny", view, "logg", recipe, tmp_path / noise)

        assert epochs == expected  # None: the statistics of the input


def test_predicted_uncertainty_is_the_spread_of_the_errors(line_data, tmp_path):
    """Trained by likelihood, errors over predicted sigma have unit spread."""
    recipe = NetworkRecipe(
        loss="gaussian_nll", learning_rate=5e-3, batch_size=50, epochs=5, ema=0.95, options=SMALL
    )

    fit("specvit_tiny", line_data.training(), "logg", recipe, tmp_path)
    found = predict(load_checkpoint(tmp_path), line_data.split("test"))

    pull = (found.value - found.truth) / found.uncertainty
    assert math.sqrt(np.mean(pull**2)) == pytest.approx(1.0, abs=0.15)  # 5 epochs, not converged


def test_two_labels_are_learned_together(tmp_path):
    """One network, two targets of very different size, both in their own units."""
    data = make_data(
        lambda labels: lines(labels[:, 1:]) - 0.3 * lines(labels[:, :1] / 600 - 5.5)[:, ::-1],
        lambda rng, n: rng.uniform([3750, 1], [6000, 5], (n, 2)),
        0.05,
        (1000, 200, 300),
        label_names=("teff", "logg"),
    )
    recipe = NetworkRecipe(learning_rate=5e-3, batch_size=100, epochs=6, options=SMALL)

    fit("specvit_tiny", data.training(), ("logg", "teff"), recipe, tmp_path)
    found = predict(load_checkpoint(tmp_path), data.split("test"))

    assert found.labels == ("logg", "teff")
    assert found.value[:, 1].min() > 3000  # kelvin, not z-scores
    assert (r2(found.truth.T, found.value.T) > 0.3).all()


def test_the_running_mean_of_weights_follows_its_formula():
    """After one step from w0 to w1 the mean is w0 + (1 - keep)(w1 - w0)."""
    model = torch.nn.Linear(3, 1, bias=False)
    averaged = AveragedModel(model, 0.9)
    start = model.weight.detach().clone()
    model.weight.data += 1.0

    averaged.update(model, step=1)

    expected = start + (1 - 2 / 11)  # keep = min(0.9, (1 + 1) / (10 + 1))
    torch.testing.assert_close(averaged.module.weight, expected)


@pytest.mark.parametrize(
    ("model", "target", "recipe", "words"),
    [
        ("specvitt", "logg", NetworkRecipe(), "choose one of"),
        ("specvit_tiny", "m_h", NetworkRecipe(), "not a label of this data set"),
        ("specvit_tiny", (), NetworkRecipe(), "not a label of this data set"),
        ("specvit_tiny", "logg", RidgeRecipe(), "needs a NetworkRecipe"),
        ("ridge", "logg", NetworkRecipe(), "needs a RidgeRecipe"),
    ],
)
def test_impossible_requests_write_nothing(small_data, tmp_path, model, target, recipe, words):
    """They are refused before a folder appears."""
    with pytest.raises(ConfigError, match=words):
        fit(model, small_data.training(), target, recipe, tmp_path / "run")

    assert not (tmp_path / "run").exists()


def test_mixed_precision_trains_the_same_network(small_data, tmp_path):
    """In bfloat16 the loss of an epoch agrees with float32 to that format's three digits."""
    losses = {}
    for precision in ("float32", "bfloat16"):
        recipe = NetworkRecipe(precision=precision, epochs=1, batch_size=100, options=SMALL)
        fit("specvit_tiny", small_data.training(), "logg", recipe, tmp_path / precision)
        losses[precision] = metrics_rows(tmp_path / precision)[0]["train_loss"]

    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["bfloat16"] != losses["float32"]


def test_a_network_of_your_own_is_trained_and_read_back(small_data, tmp_path, monkeypatch):
    """A registered builder takes part in everything, options included."""
    monkeypatch.setattr(registry, "_BUILDERS", dict(registry._BUILDERS))

    @register_model("mine")
    def mine(n_wave, n_output, width=32):
        return torch.nn.Sequential(
            torch.nn.Linear(n_wave, width), torch.nn.GELU(), torch.nn.Linear(width, n_output)
        )

    recipe = NetworkRecipe(epochs=2, batch_size=50, options={"width": 8}, learning_rate=1e-2)
    fit("mine", small_data.training(), "logg", recipe, tmp_path)
    predictor = load_checkpoint(tmp_path)

    assert predictor.card["n_parameters"] == 128 * 8 + 8 + 8 + 1
    assert evaluate(predictor, small_data.split("test"), n_resample=20).scores["r2"].value > 0.2


def test_a_frozen_data_set_cannot_give_fresh_noise(small_data, tmp_path, tiny_recipe, caplog):
    """Several copies of one draw are refused; a network is trained on it, with a warning."""
    view = small_data.training()
    object.__setattr__(view.train, "fresh_noise", False)

    with pytest.raises(ConfigError, match="noise_copies"):
        fit("ridge", view, "logg", RidgeRecipe(noise_copies=2), tmp_path / "a")
    fit("specvit_tiny", view, "logg", tiny_recipe, tmp_path / "b")

    assert "same noise" in caplog.text


def test_a_run_that_never_validates_is_an_error(small_data, tmp_path, tiny_recipe, monkeypatch):
    """Without one finite validation error there is nothing to keep, and that is said."""
    monkeypatch.setattr(network, "validation_scores", lambda *_: {"val_error": math.nan})

    with pytest.raises(DivergedError, match="no epoch of 3 had a finite validation error"):
        fit("specvit_tiny", small_data.training(), "logg", tiny_recipe, tmp_path)
