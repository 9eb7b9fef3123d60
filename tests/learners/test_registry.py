"""One registry knows every model: a new one is one file, and no other module asks for its name."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import starsmith.learners
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import ConfigError
from starsmith.learners import fit, list_models, load_checkpoint, predict, register_estimator
from starsmith.learners import recipe as recipes
from starsmith.learners.checkpoint import make_card, write_checkpoint
from starsmith.learners.estimators import registry
from starsmith.learners.estimators.registry import FAMILY, Kind, Task, kind_of, list_estimators
from starsmith.learners.networks import create_model
from starsmith.learners.preprocess import measure_statistics
from starsmith.learners.recipe import RidgeRecipe
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.prior import Prior

LEARNERS = Path(starsmith.learners.__file__).parent
NAMES = re.compile(r'"(?:ridge|lightgbm|gridposterior|template)"|card\["kind"\]')
NAMED_FOR_THE_READER = {
    "recipe.py": 2,  # kinds of recipes, as files spell them
    "checkpoint.py": 1,  # a package whose version the card tells
    "benchmark/report.py": 1,  # a package
    "benchmark/report_figures.py": 4,  # colours of families
    "benchmark/report_tables.py": 3,  # rows that the published tables have
    "benchmark/sections.py": 2,  # rows of Table 18
}


@dataclass(frozen=True, kw_only=True)
class MeanRecipe:
    """A constant added to the mean."""

    shift: float = 0.0


def fit_mean(task: Task) -> None:
    """Keep the recipe's constant as the only weight."""
    statistics = measure_statistics(task.view, task.labels)
    card = make_card(task.model, task.labels, task.recipe, task.view) | {
        "metrics": {},
        "finished": {"reason": "nothing to train", "seconds": 0.0},
    }
    shift = np.full(len(task.labels), task.recipe.shift)
    write_checkpoint(task.out, card, {"shift": shift}, statistics)


def load_mean(folder, card, weights, device):
    """The same z-score for every spectrum."""
    return lambda scaled: (np.tile(weights["shift"], (len(scaled), 1)), None)


@pytest.fixture(scope="module")
def dataset(toy_bank, tmp_path_factory):
    """Toy stars on 300 pixels."""
    out = tmp_path_factory.mktemp("data") / "toy.zarr"
    write_dataset(toy_bank, Prior.default(), {"train": 60, "val": 20, "test": 20}, out, seed=5)
    return open_dataset(out)


@pytest.fixture
def toy(monkeypatch):
    """A registry with one more estimator."""
    monkeypatch.setattr(registry, "_ADDED", {})
    monkeypatch.setattr(recipes, "KINDS", dict(recipes.KINDS))
    monkeypatch.setattr(recipes, "_ADDED", set())
    register_estimator("toy", Kind(recipe=MeanRecipe, fit=fit_mean, load=load_mean))
    return "toy"


def test_an_estimator_in_one_file_fits_saves_loads_predicts_and_is_listed(toy, dataset, tmp_path):
    """It predicts the mean of the training labels, and takes its keys as any recipe does."""
    fit(toy, dataset.training(), "logg", out=tmp_path / "zero")
    fit(toy, dataset.training(), "logg", recipes.load_recipe(toy, shift=1), tmp_path / "one")

    zero = predict(load_checkpoint(tmp_path / "zero"), dataset.split("test")).value
    one = predict(load_checkpoint(tmp_path / "one"), dataset.split("test")).value
    labels = dataset.training().train.label("logg")

    assert toy in list_models()
    np.testing.assert_allclose(zero, labels.mean(), rtol=1e-6)
    np.testing.assert_allclose(one - zero, labels.std(), rtol=1e-6)


@pytest.mark.parametrize("name", ["toy", "ridge", "mlp"])
def test_a_name_is_given_once(toy, name):
    """Neither an estimator nor a network can be replaced."""
    with pytest.raises(ConfigError, match="registered already"):
        register_estimator(name, Kind(recipe=MeanRecipe, fit=fit_mean, load=load_mean))


def test_an_added_estimator_is_held_to_its_own_recipe(toy, dataset, tmp_path):
    """The error names both recipes, as for every model."""
    with pytest.raises(ConfigError, match="needs a MeanRecipe, found a RidgeRecipe"):
        fit(toy, dataset.training(), "logg", RidgeRecipe(), tmp_path / "wrong")


def test_every_entry_is_complete():
    """Each is named by its own checkpoint; families register what the table says."""
    for name in list_estimators():
        assert not kind_of(name).is_network
    for names in FAMILY.values():
        for name in names:
            assert kind_of(name).is_network
            create_model(name, ["logg"], n_wave=1024)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from starsmith.data_contract import open_dataset
from starsmith.learners import fit, list_models, load_checkpoint, predict
data = open_dataset(sys.argv[1])
fit("ridge", data.training(), "logg", out=sys.argv[2])
value = predict(load_checkpoint(sys.argv[2]), data.split("test")).value
assert value.shape == (len(data.split("test")), 1)
assert {"ridge", "specvit"} <= set(list_models())
from starsmith.cli.speclearn import main
main(["models"])
"""


def test_ridge_and_the_list_of_models_need_no_torch(dataset, tmp_path):
    """Fit, predict and list in a process where importing torch fails."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(dataset.path), str(tmp_path / "ridge")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "ridge" in done.stdout.split()


def test_no_module_but_the_registry_asks_which_model_it_is():
    """Names of estimators stand in the registry, and where a reader is shown them."""
    found = {}
    for path in LEARNERS.rglob("*.py"):
        name = path.relative_to(LEARNERS).as_posix()
        code = [line for line in path.read_text().splitlines() if ">>>" not in line]
        count = len(NAMES.findall("\n".join(code)))
        if count and not name.startswith("estimators/"):
            found[name] = count

    assert found == NAMED_FOR_THE_READER
