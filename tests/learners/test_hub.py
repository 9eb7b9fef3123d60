"""Checkpoints on a hub: what goes up is listed, what comes down is checked."""

import json
import shutil

import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.learners import fit, load_checkpoint
from starsmith.simulator import Prior, write_dataset
from tests.cli.conftest import call


@pytest.fixture(scope="module")
def world(toy_bank, tmp_path_factory):
    """A ridge regression, and a mirror that it was pushed to."""
    work = tmp_path_factory.mktemp("hub")
    prior = Prior.default().with_ranges(mag=(17.0, 19.0))
    write_dataset(toy_bank, prior, {"train": 60, "val": 20, "test": 10}, work / "d.zarr", seed=3)
    fit("ridge", open_dataset(work / "d.zarr").training(), "logg", None, work / "ridge")
    row = {"name": "all", "n": 10, "r2": {"posterior_mean": [0.68, 0.01]}}
    table = {"target": "logg", "unit": "dex", "rows": [row]}
    (work / "ceiling.json").write_text(json.dumps({"ceiling": table}))
    line = f"speclearn hub push {work / 'ridge'} me/ridge --folder {work / 'mirror'}"
    done = call(line, "--licence", "mit", "--ceiling", work / "ceiling.json")
    assert done.exit_code == 0, done.output
    return work


def copied(world, tmp_path):
    mirror = tmp_path / "mirror"
    shutil.copytree(world / "mirror", mirror)
    return mirror, mirror / "me" / "ridge"


def test_a_checkpoint_comes_back_as_it_went(world, tmp_path):
    out = tmp_path / "back"
    done = call(f"speclearn hub pull me/ridge --out {out} --folder {world / 'mirror'}")
    assert done.exit_code == 0, done.output
    star = open_dataset(world / "d.zarr").split("test").observe()
    value = load_checkpoint(out).predict(star.flux)[0]
    assert np.array_equal(value, load_checkpoint(world / "ridge").predict(star.flux)[0])


def test_the_model_card_says_data_ceiling_and_licence(world):
    text = (world / "mirror" / "me" / "ridge" / "README.md").read_text()
    digest = open_dataset(world / "d.zarr").digest
    for part in ("license: mit", digest, "0.680", "speclearn hub pull me/ridge"):
        assert part in text


def test_files_that_changed_are_more_or_are_missing_are_refused(world, tmp_path):
    changes = {
        "SHA-256": lambda p: p.joinpath("recipe.toml").write_bytes(
            p.joinpath("recipe.toml").read_bytes()[:-1] + b"#"
        ),
        "bytes": lambda p: p.joinpath("model.safetensors").write_bytes(b"short"),
        "does not list": lambda p: p.joinpath("code.py").write_text("print(1)"),
        "is missing": lambda p: p.joinpath("recipe.toml").unlink(),
    }
    for told, change in changes.items():
        mirror, place = copied(world, tmp_path / told.replace(" ", ""))
        change(place)
        out = tmp_path / "no"
        refused = call(f"speclearn hub pull me/ridge --out {out} --folder {mirror}")
        assert refused.exit_code in (2, 3), told
        assert told in refused.stderr, (told, refused.stderr)
        assert not out.exists()


def test_a_pickle_is_refused_whatever_the_card_says(world, tmp_path):
    mirror, place = copied(world, tmp_path)
    (place / "model.pkl").write_bytes(b"\x80\x04.")
    card = json.loads((place / "card.json").read_text())
    card["files"]["model.pkl"] = {"bytes": 3, "sha256": "0" * 64}
    (place / "card.json").write_text(json.dumps(card))
    refused = call(f"speclearn hub pull me/ridge --out {tmp_path / 'no'} --folder {mirror}")
    assert refused.exit_code == 2
    assert "may run code" in refused.stderr


def test_a_hub_without_its_client_says_what_to_install(world, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    refused = call(f"speclearn hub push {world / 'ridge'} me/ridge --licence mit")
    assert refused.exit_code == 2
    assert "starsmith[hub]" in refused.stderr
