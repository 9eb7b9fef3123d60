"""A learner cannot reach what it must not know, and its inputs do not hold it."""

import dataclasses
import inspect
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import starsmith.learners
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.learners import evaluate, fit, load_checkpoint
from starsmith.learners.recipe import NetworkRecipe
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.prior import Prior

FORBIDDEN = ("flux_model", "true_error", "starsmith.simulator", "sigma_true")
SOURCES = sorted(Path(starsmith.learners.__file__).parent.rglob("*.py"))


@pytest.fixture(scope="module")
def dataset(toy_bank, tmp_path_factory):
    """A real data set of toy stars on 300 pixels, written and read through the contract."""
    out = tmp_path_factory.mktemp("data") / "toy.zarr"
    prior = Prior.default().with_ranges(mag=(19.0, 21.0))
    write_dataset(toy_bank, prior, {"train": 1200, "val": 300, "test": 600}, out, seed=5)
    return open_dataset(out)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_no_source_names_what_learners_must_not_touch(path):
    """No learner's code mentions noiseless flux, true noise or the simulator."""
    text = path.read_text()

    assert [word for word in FORBIDDEN if word in text] == []


def test_the_training_view_holds_no_way_to_the_answers(dataset):
    """Nothing reachable by attribute from the view is a Split, a test draw or noiseless."""
    view = dataset.training()

    names = {f.name for f in dataclasses.fields(view)}
    assert names == {"train", "val", "digest", "notice", "versions"}
    for split in (view.train, view.val):
        public = {n for n in dir(split) if not n.startswith("_")}
        assert not public & {"flux_model", "draws", "header", "noise", "mag", "conditions"}
        assert not hasattr(split, "__dict__")  # nothing can be hidden in it later


def test_fit_takes_a_view_and_never_a_data_set():
    """The signature has no place for a Dataset, a path or a test split."""
    parameters = list(inspect.signature(fit).parameters)

    assert parameters[:3] == ["model", "view", "target"]
    assert not {"dataset", "data", "test", "split"} & set(parameters)


def test_every_module_of_the_package_imports_alone():
    """No learner needs the simulator to be imported first."""
    modules = [m.name for m in pkgutil.iter_modules(starsmith.learners.__path__)]

    assert {"train", "prediction", "evaluation", "networks", "estimators"} <= set(modules)


def test_shuffled_labels_teach_nothing(dataset, tmp_path):
    """With labels permuted among training stars no model scores above chance.

    If it did, something other than the labels handed over would be telling it the answer.
    """
    view = dataset.training()
    order = np.random.default_rng(0).permutation(len(view.train))
    object.__setattr__(view.train, "labels", view.train.labels[order])

    fit("ridge", view, "logg", None, tmp_path / "ridge")
    score = evaluate(load_checkpoint(tmp_path / "ridge"), dataset.split("test")).scores["r2"]

    assert score.value < 3 * score.error


def test_networks_and_ridge_learn_from_a_real_data_set(dataset, tmp_path):
    """Through files, keyed noise and views: metallicity of bright toy stars is recovered."""
    recipe = NetworkRecipe(
        learning_rate=5e-3,
        batch_size=100,
        epochs=5,
        ema=0.9,
        options={"patch": 20, "dim": 16, "depth": 1, "n_head": 2, "readout": "tokens"},
    )
    for model, chosen in (("ridge", None), ("specvit_tiny", recipe)):
        fit(model, dataset.training(), "m_h", chosen, tmp_path / model)

        result = evaluate(load_checkpoint(tmp_path / model), dataset.split("test"), n_resample=50)

        assert result.unit == "dex"
        assert result.scores["r2"].value > 0.5
        assert result.dataset == dataset.digest


def test_noise_of_an_epoch_is_the_same_in_every_block(dataset):
    """How many spectra are read at a time does not change what is seen."""
    train = dataset.training().train

    whole = train.observe(slice(0, 40), epoch=3).flux
    parts = [train.observe(np.arange(a, a + 8), epoch=3).flux for a in range(0, 40, 8)]

    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole, train.observe(slice(0, 40), epoch=4).flux)
