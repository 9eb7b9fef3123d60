"""A model as ONNX answers as it does here."""

import json

import numpy as np
import pytest

from starsmith.data_contract.errors import ContractError, DataError
from starsmith.learners import export as export_module
from starsmith.learners import fit, load_checkpoint
from starsmith.learners.recipe import NetworkRecipe, TreesRecipe
from tests.learners.worlds import lines, make_data, uniform_logg

OPTIONS = {
    "specvit_tiny": {"dim": 16, "n_head": 2},
    "convstem_lstm_tiny": {"dim": 16, "n_head": 2, "hidden": 8},
    "resnet18_tiny": {},
    "ridge": None,
}


@pytest.fixture(scope="module", autouse=True)
def onnx_is_there():
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} comes with starsmith[onnx]")


def answers(path, flux, mask):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"flux": flux, "bad": mask != 0})


LONG_TO_EXPORT = ("convstem_lstm_tiny", "resnet18_tiny")


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LONG_TO_EXPORT else [])
        for name in OPTIONS
    ],
)
def test_the_file_predicts_what_the_model_predicts(model, tmp_path):
    """Masks, drowned spectra and any number of rows included; normalisation is in the graph."""
    data = make_data(lambda labels: lines(labels, 256), uniform_logg, 0.2, (120, 40, 30))
    options = OPTIONS[model]
    recipe = None
    if options is not None:
        recipe = NetworkRecipe(loss="gaussian_nll", epochs=1, batch_size=40, options=options)
    fit(model, data.training(), "logg", recipe, tmp_path / "run")
    predictor = load_checkpoint(tmp_path / "run", "cpu")

    difference = export_module.export_onnx(predictor, tmp_path / "model.onnx")

    flux = data.split("test").observe().flux * 7.0
    mask = np.zeros(flux.shape, np.uint32)
    mask[1, ::3] = 4
    mask[2, :] = 1
    flux[3] = -1.0
    expected = [x for x in predictor.predict(flux, mask=mask) if x is not None]
    found = answers(tmp_path / "model.onnx", flux, mask)
    assert len(found) == len(expected) == (1 if recipe is None else 2)
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-4)  # float32 sums, in dex
    assert difference < 1e-4


def test_the_file_carries_its_card(tmp_path):
    """Labels, units, limits and wavelengths travel with the weights."""
    import onnx

    data = make_data(lines, uniform_logg, 0.2, (120, 40, 30))
    fit("ridge", data.training(), "logg", None, tmp_path / "run")
    predictor = load_checkpoint(tmp_path / "run", "cpu")
    export_module.export_onnx(predictor, tmp_path / "model.onnx")

    found = {p.key: json.loads(p.value) for p in onnx.load(tmp_path / "model.onnx").metadata_props}

    assert found["starsmith.card"]["units"] == ["dex(cm s-2)"]
    np.testing.assert_array_equal(found["starsmith.wave"], predictor.wave)


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    """Nothing is left behind either."""
    data = make_data(lines, uniform_logg, 0.2, (120, 40, 30))
    fit("ridge", data.training(), "logg", None, tmp_path / "run")
    monkeypatch.setattr(export_module, "parity", lambda *_: 0.1)

    with pytest.raises(ContractError, match="nothing was written"):
        export_module.export_onnx(load_checkpoint(tmp_path / "run"), tmp_path / "model.onnx")

    assert {p.name for p in tmp_path.iterdir()} == {"run"}


def test_trees_are_refused(tmp_path):
    """They have a text format of their own."""
    data = make_data(lines, uniform_logg, 0.2, (120, 40, 30))
    recipe = TreesRecipe(rounds=3, n_leaves=3, threads=1)
    fit("lightgbm", data.training(), "logg", recipe, tmp_path / "run")

    with pytest.raises(DataError, match="only networks and ridge"):
        export_module.export_onnx(load_checkpoint(tmp_path / "run"), tmp_path / "model.onnx")
