"""Every network of the zoo: it trains, resumes, loads, exports, and the small ones learn."""

import dataclasses

import numpy as np
import pytest

from starsmith.learners import fit, load_checkpoint, predict
from starsmith.learners.estimators.registry import list_estimators
from starsmith.learners.networks import list_models
from starsmith.learners.recipe import load_recipe
from starsmith.learners.scores.metrics import r2
from tests.learners.worlds import lines, make_data, uniform_logg

NETWORKS = [name for name in list_models() if name not in list_estimators()]
SMALL = [*list_models("*_tiny"), "mlp"]
SHORT = {"epochs": 2, "batch_size": 16, "warmup": 0.0}
MLP_OPTIONS = {"widths": [64, 32]}

REACHED = {
    "bilstm_tiny": 0.85,
    "convstem_lstm_tiny": 0.85,
    "convstem_vit_tiny": 0.85,
    "deep_cnn_tiny": 0.70,
    "lstmformer_tiny": 0.85,
    "mlp": 0.85,
    "overlap_vit_tiny": 0.85,
    "resnet18_tiny": 0.30,
    "specvit_tiny": 0.85,
}
"""R2 each small network must reach on 3000 spectra of three lines in 512 pixels.

Measured 0.883, 0.892, 0.893, 0.767, 0.893, 0.891, 0.893, 0.394, 0.893; the best possible is near
0.9. ResNet averages over wavelength, and here only three places of it say anything.
"""


def world(n_wave, counts):
    return make_data(lambda labels: lines(labels, n_wave), uniform_logg, 0.15, counts)


def recipe_for(name, **changes):
    options = MLP_OPTIONS if name == "mlp" and changes.pop("narrow", True) else {}
    changes.pop("narrow", None)
    return load_recipe(name, options=options, precision="float32", **changes)


@pytest.mark.parametrize("name", SMALL)
def test_a_network_trains_stops_resumes_and_loads(name, tmp_path):
    """The second epoch after a stop is the second epoch: bit for bit, for every kind of layer."""
    data = world(512, (48, 16, 8))
    recipe = recipe_for(name, **SHORT)

    def stop(row):
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    fit(name, data.training(), "logg", recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(name, data.training(), "logg", recipe, tmp_path / "parts", stop)
    fit(name, data.training(), "logg", recipe, tmp_path / "parts")

    values = [
        predict(load_checkpoint(tmp_path / k, "cpu"), data.split("test")).value
        for k in ("whole", "parts")
    ]
    np.testing.assert_array_equal(*values)
    assert np.isfinite(values[0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*NETWORKS} - {*SMALL} | {"mlp"}))
def test_a_network_of_the_paper_takes_a_step_at_full_size(name, tmp_path):
    """4096 pixels, float32: weights move, and the checkpoint predicts."""
    data = world(4096, (8, 4, 4))
    recipe = recipe_for(name, narrow=False, **(SHORT | {"epochs": 1, "batch_size": 8}))

    result = fit(name, data.training(), "logg", recipe, tmp_path)

    assert np.isfinite(result.metrics["val_error"])
    assert np.isfinite(predict(load_checkpoint(tmp_path, "cpu"), data.split("test")).value).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_network_exports(name, tmp_path):
    """ONNX and the network agree to 1e-4 spreads of the label."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from starsmith.learners.export import export_onnx

    data = world(512, (32, 16, 8))
    fit(name, data.training(), "logg", recipe_for(name, **(SHORT | {"epochs": 1})), tmp_path / "r")

    assert export_onnx(load_checkpoint(tmp_path / "r", "cpu"), tmp_path / "m.onnx") < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_small_network_learns_gravity_from_three_lines(name, tmp_path):
    """With its own recipe, in 15 epochs of 3000 spectra: the R2 stated for it."""
    data = world(512, (3000, 400, 1500))
    recipe = recipe_for(name, epochs=15, batch_size=64, learning_rate=3e-3)
    recipe = dataclasses.replace(recipe, ema=0.95)

    fit(name, data.training(), "logg", recipe, tmp_path)
    found = predict(load_checkpoint(tmp_path, "cpu"), data.split("test"))

    reached = r2(found.truth[:, 0], found.value[:, 0])
    assert reached > REACHED[name]
