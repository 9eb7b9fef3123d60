"""``speclearn train`` and ``export`` as commands: online runs, settings, and what is refused."""

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from astropy.table import Table

from starsmith.learners.online.online_view import open_online
from tests.cli.conftest import call

TINY = "--model specvit_tiny --set options.patch=20 --set options.dim=16 --set options.n_head=2"
SHORT = f"speclearn train {TINY} --epochs 2 --batch-size 50"


@pytest.fixture(scope="module", autouse=True)
def few_stars():
    """Runs that draw their own stars measure themselves on hundreds, not on tens of thousands."""
    few = partial(open_online, n_val=100, n_statistics=400)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("starsmith.learners.online.online_view.open_online", few)
        yield


@pytest.fixture(scope="module")
def other_grid(toy_bank, tmp_path_factory):
    """A data set of the same stars on 200 pixels."""
    from tests.conftest import make_toy_bank

    folder = tmp_path_factory.mktemp("other")
    make_toy_bank(200).save(folder / "bank.zarr")
    done = call(
        "specsim generate -n 40 --workers 1",
        *("--bank", folder / "bank.zarr", "--out", folder / "data.zarr"),
    )
    assert done.exit_code == 0, done.stderr
    return folder / "data.zarr"


@pytest.fixture(scope="module")
def online(bank_file, tmp_path_factory):
    """A run that drew its own stars."""
    out = tmp_path_factory.mktemp("models") / "online"
    done = call(
        f"{SHORT} --online --epoch-size 200 --mag 18-19 --target m_h --seed 3",
        *("--bank", bank_file, "--out", out),
    )
    assert done.exit_code == 0, done.stderr
    assert "kept" in done.stdout
    return out


def test_an_online_run_needs_no_data_set(online):
    """Bank, prior and seed are on the card; the recipe beside it holds every setting."""
    card = json.loads((online / "card.json").read_text())

    assert card["dataset"]["online"]["ranges"]["mag"] == [18.0, 19.0]
    assert card["dataset"]["online"]["seed"] == 3
    assert card["recipe"]["options"] == {"patch": 20, "dim": 16, "n_head": 2}
    assert card["recipe"]["epoch_size"] == 200


def test_an_online_run_is_validated_on_a_data_set_of_its_bank(dataset, tmp_path):
    """The bank is found through DATA; its prior is DATA's unless a range is given."""
    done = call(f"{SHORT} --online --epoch-size 100", dataset, "--out", tmp_path / "run")
    card = json.loads((tmp_path / "run/card.json").read_text())

    assert done.exit_code == 0, done.stderr
    assert card["dataset"]["n_val"] == 50
    assert card["dataset"]["online"]["ranges"]["mag"] == [20.5, 22.5]


def test_an_online_model_predicts_and_is_scored(online, dataset):
    """A data set of the same pixels will do."""
    done = call("speclearn evaluate --json", online, dataset)

    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["n_spec"] == 50


def test_any_key_of_a_recipe_can_be_set(dataset, tmp_path):
    """Numbers, texts and options; quotes may be left out."""
    settings = "--set loss=beta_nll --set beta=0.7 --set ema=0.9"

    done = call(f"{SHORT} {settings}", dataset, "--out", tmp_path / "run")
    recipe = json.loads((tmp_path / "run/card.json").read_text())["recipe"]

    assert done.exit_code == 0, done.stderr
    assert (recipe["loss"], recipe["beta"], recipe["ema"]) == ("beta_nll", 0.7, 0.9)


def test_the_papers_recipe(dataset, tmp_path):
    """Table 1 for the network at hand."""
    done = call(f"{SHORT} --recipe paper", dataset, "--out", tmp_path / "run")
    recipe = json.loads((tmp_path / "run/card.json").read_text())["recipe"]

    assert done.exit_code == 0, done.stderr
    assert (recipe["loss"], recipe["precision"], recipe["weight_decay"]) == ("l1", "float16", 0.01)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--mag 20-21", "--mag is for stars drawn during training: add --online"),
        ("--epoch-size 100", "add --online"),
        ("--target a_m", "not a label"),
        ("--set emma=0.9", "unknown key(s) emma"),
        ("--set ema", "write it as KEY=VALUE"),
        ("--set loss=mae", "mse, l1, gaussian_nll, beta_nll"),
        ("--recipe paper --model mlp", "the paper trains no 'mlp'"),
        ("--set cuda_graph=true", "no GPU"),
        ("--device cuda:9", "torch can use cpu"),
        ("--device tpu", "torch can use cpu"),
        ("--set options.patchsize=3", "patchsize"),
        ("--online --teff 3000-6000", "leaves the bank"),
        ("--online --rv -100..100", "at rest"),
        ("--online --a-m 0..0.4", "bank has only"),
        ("--online --target a_m", "not a label"),
        ("--online --model ridge", "no network"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(dataset, tmp_path, options, says):
    """Exit code 2, and nothing written."""
    done = call(f"speclearn train --model specvit_tiny {options}", dataset, "--out", tmp_path / "x")

    assert done.exit_code == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_nothing_to_train_on_is_said(bank_file):
    """A bank alone is not drawn from unless --online says so."""
    for words in ((), ("--bank", bank_file), ("--online",)):
        done = call("speclearn train --model specvit_tiny", *words)
        assert done.exit_code == 2
        assert "--online" in done.stderr


def test_a_data_set_of_another_bank_is_no_validation(other_grid, bank_file, online, tmp_path):
    """Nor can a model be used on other pixels."""
    words = ("--bank", bank_file, "--out", tmp_path / "run")

    validated = call(f"{SHORT} --online", other_grid, *words)
    scored = call("speclearn evaluate", online, other_grid)

    for done in (validated, scored):
        assert done.exit_code == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert "made from bank" in validated.stderr
    assert "300" in scored.stderr
    assert "200" in scored.stderr


def test_a_checkpoint_of_another_schema_is_refused(online, tmp_path):
    """Found and expected version are named."""
    copy = tmp_path / "old"
    copy.mkdir()
    for path in online.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps(card | {"schema_version": 0}))

    done = call("speclearn export", copy, "--out", tmp_path / "old.onnx")

    assert done.exit_code == 2
    assert "version 0" in done.stderr
    assert not (tmp_path / "old.onnx").exists()


def test_a_label_a_model_was_not_trained_for_cannot_be_scored(online, dataset):
    done = call("speclearn evaluate --target logg", online, dataset)

    assert done.exit_code == 2
    assert "'logg' was not predicted" in done.stderr


@pytest.mark.slow
def test_export_writes_a_file_others_can_run(online, dataset, tmp_path):
    """The runtime alone, fed a spectrum of the test split, gives the command's prediction."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from starsmith.data_contract.dataset.reader import open_dataset

    done = call("speclearn export --json", online, "--out", tmp_path / "model.onnx")
    call("speclearn predict --split test", online, dataset, "--out", tmp_path / "p.ecsv")
    flux = open_dataset(dataset).split("test").observe().flux
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (value,) = session.run(None, {"flux": flux, "bad": np.zeros(flux.shape, bool)})

    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["difference"] < 1e-4
    # float32 throughout, in dex
    np.testing.assert_allclose(value[:, 0], Table.read(tmp_path / "p.ecsv")["m_h"], atol=1e-4)
    assert call("speclearn export", online, "--out", tmp_path / "model.onnx").exit_code == 2


@pytest.mark.slow
def test_a_run_that_is_killed_ends_with_the_same_weights(bank_file, tmp_path):
    """SIGKILL in the middle of an epoch, then the same command: the same file to the byte."""
    words = f"{SHORT} --epochs 4 --online --epoch-size 2000 --set ema=0.9 --set precision=float16"
    command = [sys.executable, "-m", "starsmith.cli.speclearn", *words.split()[1:]]
    command += ["--bank", str(bank_file), "--out"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

    whole = subprocess.run([*command, tmp_path / "whole"], env=environment, capture_output=True)
    assert whole.returncode == 0, whole.stderr
    process = subprocess.Popen([*command, tmp_path / "parts"], env=environment)
    metrics = tmp_path / "parts/metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_text().count("\n")):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert metrics.read_text().count("\n") < 4
    subprocess.run([*command, tmp_path / "parts"], env=environment, check=True, capture_output=True)

    assert (tmp_path / "parts/model.safetensors").read_bytes() == (
        tmp_path / "whole/model.safetensors"
    ).read_bytes()


def test_a_run_that_diverges_prints_the_command_that_goes_on(dataset, tmp_path, monkeypatch):
    """A planted NaN in step 10, epoch 2: exit 2, one line; the command printed trains from it."""
    from starsmith.learners.training.step import Stepper

    clean, step = Stepper.backward, 0

    def backward(self, batch):
        nonlocal step
        step += 1
        return clean(self, batch) * (math.nan if step == 10 else 1.0)

    monkeypatch.setattr(Stepper, "backward", backward)
    out = tmp_path / "my run"
    done = call(SHORT, dataset, "--lr", "0.01", f"--out={out}")

    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "epoch 2, batch 2 of 8" in done.stderr
    assert "Traceback" not in done.output
    tool, *words = shlex.split(done.stderr.split("go on with: ")[1])
    assert words[-6:] == ["--lr", "0.001", "--set", f"initial={out}", "--out", f"{out}-2"]
    assert words.count("--lr") == 1
    again = call(tool, *words)
    assert again.exit_code == 0, again.stderr
    assert (tmp_path / "my run-2/card.json").is_file()


def test_bare_it_takes_what_generate_left_and_names_each_default(dataset, tmp_path, monkeypatch):
    """The recommended model is trained on data.zarr; where there is none, it says what makes it."""
    monkeypatch.chdir(tmp_path)
    refused = call("speclearn train")
    assert refused.exit_code == 2
    assert "no data.zarr here; make it with `specsim generate`" in refused.stderr

    shutil.copytree(dataset, "data.zarr")
    done = call("speclearn train --epochs 1 --set epoch_size=256")
    assert done.exit_code == 0, done.stderr
    assert (
        "by default: data data.zarr, --model compressed, --target logg, --out models/compressed"
        in done.stderr
    )
    card = json.loads((tmp_path / "models/compressed/card.json").read_text())
    assert (card["model"], card["labels"]) == ("compressed", ["logg"])
