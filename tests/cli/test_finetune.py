"""`speclearn finetune` and `merge` as a user types them; what they refuse, and with which code."""

import json
import shutil

import numpy as np
import pytest

from starsmith.data_contract import open_dataset
from tests.cli.conftest import call

QUICK = ("--epochs", 2, "--lr", "1e-3")


@pytest.fixture(scope="module")
def base(dataset, tmp_path_factory):
    """A small MLP, and a ridge regression, which no strategy can change."""
    work = tmp_path_factory.mktemp("base")
    for model, more in (("mlp", ("--epochs", 1, "--set", "options.widths=[8]")), ("ridge", ())):
        done = call(f"speclearn train --model {model}", dataset, *more, "--out", work / model)
        assert done.exit_code == 0, done.stderr
    return work


def finetune(base, dataset, out, *more):
    return call("speclearn finetune", base / "mlp", dataset, *QUICK, "--out", out, *more)


def test_seeds_strata_and_both_fractions(base, dataset, tmp_path):
    more = ("--n", 80, "--stratify", "fe_h:-1", "--seeds", 2, "--strategy", "lora", "--json")
    done = finetune(base, dataset, tmp_path / "lora", *more)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert [entry["seed"] for entry in told["seeds"]] == [0, 1]
    counts = told["seeds"][0]["parameters"]
    assert counts["of_total"] < counts["of_base"] == counts["n_trainable"] / counts["n_base"]
    assert {"all", "below", "above"} == set(told["seeds"][0]["test"]["logg"])
    for seed in (0, 1):
        assert (tmp_path / "lora" / f"seed-{seed}" / "adapter.safetensors").is_file()
    again = finetune(base, dataset, tmp_path / "lora", *more)
    assert json.loads(again.stdout) == told  # finished before: read, not trained


def test_an_adapter_serves_where_a_checkpoint_does(base, dataset, tmp_path):
    out = tmp_path / "residual"
    done = finetune(base, dataset, out, "--n", 100)
    assert done.exit_code == 0, done.stderr
    assert "% of the base's" in done.stdout
    assert call("speclearn merge", out, "--out", tmp_path / "merged").exit_code == 0
    scores = [
        json.loads(call("speclearn evaluate --json", model, dataset).stdout)["scores"]
        for model in (out, tmp_path / "merged")
    ]
    assert scores[0]["r2"]["value"] == pytest.approx(scores[1]["r2"]["value"], abs=1e-6)
    assert call("speclearn info", out).exit_code == 0
    assert call("specdata verify", tmp_path / "merged").exit_code == 0
    assert "3 files" in call("specdata verify", out).stdout
    tensors = (out / "adapter.safetensors").read_bytes()
    (out / "adapter.safetensors").write_bytes(tensors[:-1] + b"?")
    damaged = call("specdata verify", out)
    assert (damaged.exit_code, "not the file its card was written for" in damaged.stderr) == (
        3,
        True,
    )
    (out / "adapter.safetensors").write_bytes(tensors)
    # the base moves: the adapter says so, and takes the place it is told
    shutil.copytree(base, tmp_path / "moved")
    card = json.loads((out / "adapter.json").read_text())
    card["base"] |= {"path": "/nowhere/mlp", "relative": "../nowhere"}
    (out / "adapter.json").write_text(json.dumps(card))
    done = call("speclearn evaluate", out, dataset)
    assert done.exit_code == 2
    assert "give it with --base" in done.stderr
    moved = ("--base", tmp_path / "moved" / "mlp", "--out", tmp_path / "merged2")
    assert call("speclearn merge", out, *moved).exit_code == 0


@pytest.mark.parametrize(
    ("more", "found"),
    [
        (("--n", 401), "--n 401: the train split of the data has 400 stars"),
        (("--strategy", "lora", "--targets", "attention"), "no such layer; it has kinds mlp"),
        (("--target", "m_h"), "--target m_h: the base predicts logg"),
        (("--strategy", "zero_shot", "--new-head"), "--new-head: zero_shot keeps"),
        (("--stratify", "logg=2"), "write it as LABEL:EDGE"),
        (("--strategy", "scratch", "--n", 0), "cannot be made of no star"),
        (("--freeze", "*", "--strategy", "full"), "leaves nothing that learns"),
        (("--freeze", "conv*", "--strategy", "full"), "no number has that name"),
    ],
)
def test_what_cannot_be_done_is_one_line(base, dataset, tmp_path, more, found):
    done = finetune(base, dataset, tmp_path / "out", *more)
    assert done.exit_code == 2
    assert found in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 + done.stderr.count("seed 0\n")
    assert not (tmp_path / "out" / "adapter.json").exists()


def test_a_model_that_is_no_network_is_refused(base, dataset, tmp_path):
    done = call("speclearn finetune", base / "ridge", dataset, "--out", tmp_path / "x")
    assert (done.exit_code, "'ridge' is no network" in done.stderr) == (2, True)


def test_another_base_is_refused(base, dataset, tmp_path):
    out = tmp_path / "lora"
    assert finetune(base, dataset, out, "--strategy", "lora", "--n", 40).exit_code == 0
    more = ("--epochs", 2, "--set", "options.widths=[8]", "--seed", 5, "--out", tmp_path / "other")
    assert call("speclearn train --model mlp", dataset, *more).exit_code == 0
    merged = ("--base", tmp_path / "other", "--out", tmp_path / "merged")
    done = call("speclearn merge", out, *merged)
    assert done.exit_code == 2
    assert "another base: its weights have SHA-256" in done.stderr
    assert not (tmp_path / "merged").exists()


def stars(dataset, work, name, splits):
    """Observed stars on the data set's pixels, divided as told."""
    folder, split = work / "stars", open_dataset(dataset).split("train")
    if not folder.exists():
        folder.mkdir()
        seen = split.observe(slice(0, len(splits)))
        for k in range(len(splits)):
            table = np.column_stack([split.wave, seen.flux[k], seen.error[k]])
            np.savetxt(
                folder / f"hd{k}.csv", table, "%.6g", ",", header="wave,flux,error", comments=""
            )
    logg = split.label("logg")
    rows = [f"HD{k},{logg[k]},{part}\n" for k, part in enumerate(splits)]
    (work / f"{name}.csv").write_text("name,logg,part\n" + "".join(rows))
    done = call(
        "specdata ingest library", folder, "--catalogue", work / f"{name}.csv",
        "--split-by", "part", "--out", work / f"{name}.zarr",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return work / f"{name}.zarr"


def test_planted_test_stars_end_with_3(base, dataset, tmp_path):
    """20 test stars among those the base, or a stage before, has learned from."""
    sky = stars(dataset, tmp_path, "sky", ["train", "train", "val"] * 2 + ["test"] * 20)
    planted = stars(dataset, tmp_path, "planted", ["val", "test"] * 3 + ["train"] * 20)
    more = ("--wave-map", "interpolate")
    done = finetune(base, sky, tmp_path / "out", *more, "--apart", planted)
    assert done.exit_code == 3, done.stderr
    assert "20 of its stars are test stars of" in done.stderr
    assert not (tmp_path / "out").exists()
    assert finetune(base, sky, tmp_path / "out", *more).exit_code == 0
    assert finetune(base, planted, tmp_path / "out2", *more, "--test", sky).exit_code == 3


CHAIN = """
base = "{base}"
[[stage]]
name = "a"
data = "{data}"
strategy = "full"
n = 60
epochs = 3
lr = 1e-3
[[stage]]
name = "b"
data = "{data}"
strategy = "lora"
n = 40
epochs = 3
lr = 1e-3
"""


def test_a_chain_goes_on_where_it_was_killed(base, dataset, tmp_path, monkeypatch):
    """Two stages, killed in the second: the same weights as in one go; leaks end with 3."""
    from starsmith.learners.transfer import tuning

    (tmp_path / "c.toml").write_text(CHAIN.format(base=base / "mlp", data=dataset))
    done = call("speclearn chain", tmp_path / "c.toml", "--out", tmp_path / "whole")
    assert done.exit_code == 0, done.stderr
    assert "b-merged" in done.stdout
    steps, epoch = [], tuning._epoch

    def killed(*parts):
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return epoch(*parts)

    monkeypatch.setattr(tuning, "_epoch", killed)
    assert call("speclearn chain", tmp_path / "c.toml", "--out", tmp_path / "k").exit_code == 130
    assert call("speclearn chain", tmp_path / "c.toml", "--out", tmp_path / "k").exit_code == 0
    files = [tmp_path / name / "b" / "adapter.safetensors" for name in ("whole", "k")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("epochs = 3", "epoch = 3", "unknown keys ['epoch']"),
        ('strategy = "full"', 'strategy = "fulll"', "expected one of zero_shot"),
        ('name = "b"', 'name = "a"', "a name of its own"),
        ('name = "b"', 'name = "../b"', "no name of a folder"),
        ("epochs = 3", "epochs = -3", "epochs"),
        ("n = 60", "n = 900", "stage 'a': n = 900, but the train split"),
        ("n = 40", "n = 900", "stage 'b': n = 900, but the train split"),
        ("lr = 1e-3", 'lr = "fast"', "stage 1"),
        ('strategy = "full"', 'strategy = "residual"', "no stage can follow"),
        ("base =", "bass =", "unknown keys ['bass']"),
    ],
)
def test_a_chain_that_cannot_be_is_one_line(base, dataset, tmp_path, old, new, found):
    text = CHAIN.format(base=base / "mlp", data=dataset).replace(old, new, 1)
    (tmp_path / "c.toml").write_text(text)
    done = call("speclearn chain", tmp_path / "c.toml", "--out", tmp_path / "out")
    assert done.exit_code == 2, done.stderr
    assert found in done.stderr
    assert not list((tmp_path / "out").glob("a*"))
