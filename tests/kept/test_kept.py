"""Files written by release 0.1 still open, and the same commands still give the same numbers.

`before.zip` holds what these commands wrote before the packages were rearranged: a bank of toy
stars, a data set in each store, five checkpoints with their predictions, two ceiling tables.
"""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract import open_dataset
from tests.cli.conftest import call

MODELS = ("ridge", "lightgbm", "mlp", "template", "gridposterior")
ROUNDING = {"template": 2e-3}
"""A fit ends at 1e-3 of a node spacing, 1 dex here: on which side depends on the processor."""
GENERATED = {
    "data": "--splits train=160,val=32,test=48 --seed 7",
    "frozen": "--splits train=48,val=16,test=16 --seed 8 --store frozen --sky-floor correlated",
    "keys": "--splits train=16,val=16,test=16 --seed 9 --store keys",
}
CEILINGS = {
    "ceiling": "--bank bank.zarr --snr-bins",
    "ceiling_data": "--data data.zarr --snr-bins 0,5,10,inf",
}


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """Folder of the files of release 0.1."""
    folder = tmp_path_factory.mktemp("before")
    with zipfile.ZipFile(Path(__file__).with_name("before.zip")) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(autouse=True)
def inside(before, monkeypatch):
    """Names in the files are relative to their folder."""
    monkeypatch.chdir(before)


def ok(line, *more):
    """Run a command that must succeed."""
    done = call(line, *more)
    assert done.exit_code == 0, done.stderr


def keys_digest(split):
    """SHA-256 of the names, draw keys and labels of a split: integers and exact doubles."""
    draws = split.draws
    digest = hashlib.sha256(json.dumps([split.name, draws.seed, *draws.label_names]).encode())
    for array in (draws.index, draws.labels, draws.conditions, draws.mag):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", GENERATED)
def test_a_data_set_is_made_as_before(name, tmp_path):
    """Names, keys and labels bit for bit; flux, error and S/N to 1e-6 of the noise."""
    out = tmp_path / f"{name}.zarr"
    ok(f"specsim generate --bank bank.zarr {GENERATED[name]} --workers 1 --out", out)
    if name == "keys":
        new, old = out / "run.json", Path("keys.zarr/run.json")
        assert json.loads(new.read_text())["counts"] == json.loads(old.read_text())["counts"]
    then, now = open_dataset(f"{name}.zarr"), open_dataset(out)
    for split in ("train", "val", "test"):
        a, b = then.split(split), now.split(split)
        assert keys_digest(a) == keys_digest(b)
        np.testing.assert_allclose(b.snr, a.snr, rtol=1e-6)
        if name != "keys":
            view, kept = b.observe(), a.observe()
            np.testing.assert_allclose(view.error, kept.error, rtol=1e-6)
            assert np.abs((view.flux - kept.flux) / kept.error).max() < 1e-6
            np.testing.assert_array_equal(view.mask, kept.mask)


@pytest.mark.parametrize("name", ["data", "frozen", "keys"])
def test_a_data_set_of_before_verifies(name):
    """Every file of the contract is whole by today's checks too."""
    ok(f"specdata verify {name}.zarr")


@pytest.mark.parametrize("model", MODELS)
def test_a_checkpoint_predicts_as_before(model, tmp_path):
    """Any model trained by release 0.1 gives its predictions again."""
    out = tmp_path / "again.ecsv"
    ok(f"speclearn predict {model} data.zarr --split test --out", out)
    then, now = (Table.read(p, format="ascii.ecsv") for p in (f"{model}.ecsv", out))
    assert now.colnames == then.colnames
    assert now.meta == then.meta
    for name in then.colnames:
        if then[name].dtype.kind == "f":
            bound = ROUNDING.get(model, 1e-6)
            np.testing.assert_allclose(now[name], then[name], rtol=bound, atol=bound)
        else:
            np.testing.assert_array_equal(now[name], then[name])


@pytest.mark.parametrize("model", ["ridge", "mlp"])
def test_training_goes_as_before(model, tmp_path):
    """A model fitted again on the same data gives the same predictions."""
    more = "--epochs 2 --set options.widths=[8,8]" if model == "mlp" else ""
    ok(f"speclearn train data.zarr --model {model} --target logg {more} --out", tmp_path / "m")
    ok(f"speclearn predict {tmp_path / 'm'} data.zarr --out", tmp_path / "m.ecsv")
    then, now = (
        Table.read(p, format="ascii.ecsv")["logg"] for p in (f"{model}.ecsv", tmp_path / "m.ecsv")
    )
    np.testing.assert_allclose(now, then, rtol=1e-6, atol=1e-6)


def assert_same(now, then, where=""):
    """Compare two JSON documents: numbers to 1e-6, everything else exactly."""
    if isinstance(then, float):
        assert now == pytest.approx(then, rel=1e-6, abs=1e-6), where
    elif isinstance(then, dict):
        assert list(now) == list(then), where
        for key in then:
            assert_same(now[key], then[key], f"{where}.{key}")
    elif isinstance(then, list):
        assert len(now) == len(then), where
        for k, pair in enumerate(zip(now, then, strict=True)):
            assert_same(*pair, f"{where}[{k}]")
    else:
        assert now == then, where


@pytest.mark.parametrize("name", CEILINGS)
def test_a_ceiling_is_as_before(name, tmp_path):
    """Rows and words of both tables; every number to 1e-6."""
    out = tmp_path / "table.json"
    ok(f"specfisher ceiling {CEILINGS[name]} --out", out)
    assert_same(json.loads(out.read_text()), json.loads(Path(f"{name}.json").read_text()))
