"""Checkpoints hold numbers and text: nothing in them can run."""

import errno
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import starsmith.learners
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.learners import fit, load_checkpoint
from starsmith.learners.checkpoint import (
    SCHEMA,
    SCHEMA_VERSION,
    read_checkpoint,
    write_checkpoint,
)
from starsmith.learners.preprocess import Statistics
from starsmith.learners.recipe import NetworkRecipe
from tests.learners.worlds import lines, make_data, uniform_logg

RAN = []
OPTIONS = {"patch": 16, "dim": 16, "n_head": 2}
SOURCES = sorted(Path(starsmith.learners.__file__).parent.rglob("*.py"))
LOADERS = ("torch.load", "import pickle", "joblib", "allow_pickle=True", "dill", "read_pickle")


class Trap:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return RAN.append, ("ran",)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained tiny network."""
    out = tmp_path_factory.mktemp("run") / "run"
    train(out)
    return out


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run to be spoilt."""
    target = tmp_path / "copy"
    target.mkdir()
    for path in run.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_no_source_can_load_a_pickle(path):
    """None of the ways to unpickle is so much as named."""
    text = path.read_text()

    assert [name for name in LOADERS if name in text] == []


def train(out):
    data = make_data(lines, uniform_logg, 0.2, (100, 40, 30))
    fit("specvit_tiny", data.training(), "logg", NetworkRecipe(epochs=2, options=OPTIONS), out)


@pytest.mark.parametrize("name", ["model.safetensors", "card.json"])
def test_a_pickle_in_place_of_a_file_is_refused_unopened(copy, name):
    """Weights and card are read as what they should be, and fail as that."""
    (copy / name).write_bytes(pickle.dumps(Trap()))

    with pytest.raises((DataError, ContractError)):
        load_checkpoint(copy)

    assert RAN == []


def test_a_pickle_in_place_of_the_state_is_refused_unopened(copy):
    """A run that would go on from it says so instead."""
    (copy / "state.safetensors").write_bytes(pickle.dumps(Trap()))
    (copy / "card.json").unlink()

    with pytest.raises(DataError, match="--overwrite starts it anew"):
        train(copy)

    assert RAN == []


def test_a_pickle_with_the_right_hash_is_refused_too(copy):
    """Even where the card vouches for it."""
    import hashlib

    content = pickle.dumps(Trap())
    (copy / "model.safetensors").write_bytes(content)
    card = json.loads((copy / "card.json").read_text())
    card["weights_sha256"] = hashlib.sha256(content).hexdigest()
    (copy / "card.json").write_text(json.dumps(card))

    with pytest.raises(ContractError, match="damaged"):
        load_checkpoint(copy)
    assert RAN == []


def test_a_card_tells_what_the_model_is_for(run):
    """Data, labels, limits, normalisation, scores, versions: enough to judge and to repeat."""
    card = json.loads((run / "card.json").read_text())

    assert (card["schema"], card["schema_version"]) == (SCHEMA, SCHEMA_VERSION)
    assert len(card["dataset"]["digest"]) == 64
    assert card["labels"] == ["logg"]
    assert card["limits"]["labels"]["logg"][0] >= 1.0
    assert 0 < card["metrics"]["val_mae"]["logg"] < 2
    assert {"starsmith", "torch", "numpy", "python"} <= set(card["versions"])
    assert "median" in card["normalisation"]


@pytest.mark.parametrize("change", [{"schema": "other"}, {"schema_version": 99}])
def test_a_checkpoint_of_another_schema_is_refused(copy, change):
    """Found and expected are named."""
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps(card | change))

    with pytest.raises(DataError, match="this starsmith reads"):
        load_checkpoint(copy)


@pytest.mark.parametrize("name", ["model.safetensors", "card.json"])
def test_a_full_disk_leaves_the_checkpoint_that_was_there(copy, monkeypatch, name):
    """New weights and card are on the disk before the old ones give way; no half file stays."""
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    card, tensors = read_checkpoint(copy)
    statistics = Statistics.from_tensors(tensors)
    for method in ("write_bytes", "write_text"):
        clean = getattr(Path, method)

        def full(self, content, clean=clean):
            if name in self.name:
                clean(self, content[: len(content) // 2])
                raise OSError(errno.ENOSPC, "No space left on device", str(self))
            return clean(self, content)

        monkeypatch.setattr(Path, method, full)

    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(copy, card | {"model": "other"}, {"w": np.ones(3)}, statistics)

    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
