"""Benchmarks run, so that they cannot rot; nothing is timed against a bound."""

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.learners import fit
from starsmith.simulator.generation.generate import Settings, write_dataset
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.compress import compress_bank

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bank(toy_bank, tmp_path_factory):
    """The toy bank as a file."""
    path = tmp_path_factory.mktemp("bank") / "bank.zarr"
    toy_bank.save(path)
    return path


@pytest.mark.parametrize(
    ("module", "options", "rows"),
    [
        (
            "generate",
            ["-n", "40", "80", "--workers", "1", "--plain", "2"],
            ("plain numpy/scipy", "40 to disk, noiseless", "80 to disk, frozen", "largest over"),
        ),
        ("stores", ["-n", "64"], ("| noiseless | noise |", "| frozen | noise |")),
        (
            "gpu_generate",
            ["-n", "64", "--device", "cpu"],
            ("| bound:", "| computed |", "fetched |"),
        ),
        ("stages", [], ("interpolate", "true error", "normals", "shard to disk", "file of")),
        ("peers", ["-n", "4"], ("starsmith `observe`", "plain numpy/scipy", "specsim")),
    ],
)
def test_report_covers_every_row(run, bank, module, options, rows):
    """A tiny run fills the tables."""
    printed = run(module, "--bank", bank, *options)
    for row in rows:
        assert row in printed


@pytest.mark.slow
def test_peers_of_the_network_do_the_same_work(run):
    """As many parameters as ours, in turn; peers that are not installed are left out."""
    printed = run("network_peers", "--size", "1", "--rounds", "1")
    assert printed.count("| 4,809,729 |") >= 2
    assert "`TransformerEncoder`" in printed


@pytest.mark.slow
def test_learners_report_is_right_before_it_is_fast(bank, tmp_path):
    """A tiny run on the CPU checks the bank and the precision, then fills every table."""
    command = [sys.executable, "-m", "benchmarks.gpu_learners", "--bank", bank]
    tiny = ["--tiny", "--device", "cpu", "--networks", "specvit_tiny,bilstm_tiny"]
    options = {"cwd": ROOT, "capture_output": True, "text": True, "check": True}

    subprocess.run([*command, "--write-npz", tmp_path / "bank.npz"], **options)
    command[-1] = tmp_path / "bank.npz"
    run = subprocess.run([*command, *tiny, "--out", tmp_path / "report.md"], **options)

    numbers = json.loads((tmp_path / "report.json").read_text())
    assert numbers["bank"] == dict.fromkeys(("words", "normals", "labels", "flux", "error"), 0.0)
    assert [row["network"] for row in numbers["networks"]] == ["specvit_tiny", "bilstm_tiny"]
    assert all(row["training"] and row["inference"] for row in numbers["networks"])
    for words in ("Input alone", "Matrix products", "spends a training step"):
        assert words in run.stdout
    assert (tmp_path / "report.md").read_text() in run.stdout


@pytest.mark.slow
def test_training_is_timed_against_another_checkout(run, bank):
    """Here against itself: a line for a pair, wall and processor time of each."""
    few = ["--stars", 128, "--epochs", 1, "--pairs", 1]
    printed = run("training_rate", "--bank", bank, *few)
    assert re.search(r"^\| 1 \| [\d.]+ \| [\d,]+, [\d,]+ \| [\d,]+, [\d,]+ \|", printed, re.M)


@pytest.mark.slow
def test_the_first_hour_with_a_gpu_runs_on_a_cpu(run, tmp_path):
    """Every stage at tiny size, checks before measures; each adds a line of its own."""
    out = tmp_path / "gpu.jsonl"
    out.write_text('{"stage": "of another day"}\n')

    start = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        run("gpu", "--tiny", "--device", "cpu", "--out", out)

    assert time.monotonic() - start < 60
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line.get("wrong") for line in lines if line.get("wrong")] == []
    assert ended.value.code == 0
    names = [line["stage"] for line in lines]
    assert names[:5] == ["of another day", "versions", "bank", "attention", "gradients"]
    assert {"specvit", "feed", "epochs", "compiled", "others", "memory", "profile"} < set(names)
    assert lines[names.index("bank")]["holes"] == lines[names.index("bank")]["words"] == 0


def test_stages_keep_to_their_budgets(monkeypatch, tmp_path):
    """All together eight minutes at most; one that takes too long, or fails, stops no other."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import gpu

    def slow(bench, options):
        time.sleep(60)

    def torn(bench, options):
        raise RuntimeError("torn")

    assert sum(stage.seconds for stage in gpu.STAGES) <= 9.5 * 60
    options = gpu.parse(["--tiny", "--device", "cpu", "--out", str(tmp_path / "gpu.jsonl")])
    assert gpu.parse(["--device", "cpu"]).minutes == 8
    bench = SimpleNamespace(cuda=False)
    found = [
        gpu.attempt(gpu.Stage("slow", 9, slow), bench, options, 0.05),
        gpu.attempt(gpu.Stage("torn", 9, torn), bench, options, 9),
        gpu.attempt(gpu.Stage("late", 9, slow), bench, options, 0),
    ]
    assert found[0]["wrong"] == ["OutOfTime: longer than 0 s"]
    assert found[0]["seconds"] < 30  # it was stopped, on a busy machine too
    assert found[1]["wrong"] == ["RuntimeError: torn"]
    assert found[2]["left out"] == "no time left"


def test_report_of_banks_of_five_labels(run, toy_bank, bank, tmp_path):
    """A tiny run, of three labels here, tells errors, costs and what workers share."""
    small = tmp_path / "small.zarr"
    compress_bank(toy_bank, 1e-3).save(small)
    options = ["--teff", "4500", "6000", "-n", "40", "--workers", "1"]

    printed = run("five_labels", "--bank", bank, "--compressed", small, *options)

    for row in (
        "error asked for 0.001",
        "| exact, 64 rows",
        "| compressed, 64 rows",
        "| exact | 40",
    ):
        assert row in printed


def test_observe_report_covers_every_term(run, bank):
    """A tiny run names the default and all noise terms."""
    printed = run("observe", "--bank", bank, "-n", 4, "--rounds", 1)
    for row in ("calculator (default)", "correlated", "Poisson", "cosmic rays", "drift"):
        assert row in printed


def test_fisher_report_covers_nodes_and_posteriors(run, bank):
    """A tiny run fills the table."""
    printed = run("fisher", "--bank", bank, "--nodes", 300, "--stars", 30, "--templates", 1000)
    for row in ("plain numpy", "fill_gram", "posterior_mean", "Largest memory"):
        assert row in printed


def test_read_report_compares_every_way(run, toy_bank, tmp_path):
    """A tiny data set fills both tables."""
    path = tmp_path / "data.zarr"
    write_dataset(toy_bank, Prior.default(), 200, path, 1, Settings(shard_rows=64))
    printed = run("read", path, "--repeat", 1)
    for row in ("zarr, whole shards", "starsmith, whole", "shuffle buffer", "memmap cache"):
        assert row in printed


def test_stars_are_brought_to_a_model(run, toy_bank, tmp_path):
    """Four toy stars of known line width, and a ridge regression."""
    arm = {"lsf_wave_nm": [850.0, 863.0], "lsf_fwhm_pixel": [3.0, 3.0]}
    bank = replace(toy_bank, instrument={"name": "toy", "arms": [arm]})
    prior = Prior.default().with_ranges(mag=(17.0, 19.0))
    counts = {"train": 200, "val": 40, "test": 4}
    write_dataset(bank, prior, counts, tmp_path / "d.zarr", seed=1)
    fit("ridge", open_dataset(tmp_path / "d.zarr").training(), "logg", None, tmp_path / "m")
    printed = run("brought_to_model", tmp_path / "d.zarr", tmp_path / "m", "-n", 4)
    assert printed.count("of 4 |") == 5
    assert "4 of 4 |" in printed


def test_report_of_ingest(run):
    """One row: what was read, how fast, in how much memory."""
    printed = run("ingest", "--n", 40, "--n-wave", 128)
    assert re.search(r"^\| 40 \| 128 \| \d+ \| \d+ \| \d+ \|$", printed, re.MULTILINE)


@pytest.mark.slow
def test_pretraining_on_a_device_runs_on_a_cpu(run, bank):
    """A curve of two epochs, and a floor that is a number."""
    printed = run("gpu_pretrain", "--small", "--bank", bank, "--device", "cpu")
    assert "val_loss" in printed
    floor = float(re.search(r"components (\S+)", printed)[1])
    assert 0.0 < floor < 5.0


@pytest.mark.slow
def test_report_of_pretraining(run, toy_bank, bank, tmp_path):
    """Every input under every head, and the exact posterior."""
    counts = {"train": 200, "val": 40, "test": 40}
    write_dataset(toy_bank, Prior.default(), counts, tmp_path / "d.zarr", seed=1)
    words = [tmp_path / "d.zarr", "--bank", bank, "--out", tmp_path / "run"]
    words += ["--epochs", 1, "--numbers", 60, "--set", "patch=8", "--set", "stride=8"]
    printed = run("pretrain", *words)
    for row in ("network, token, ridge", "PCA-64, MLP", "pixels, MLP", "exact posterior mean"):
        assert row in printed


@pytest.mark.slow
def test_all_works_are_in_one_table(run, bank):
    """Ours beside others that are installed, in turn; who is missing is named."""
    printed = run("all", "--tiny", "--bank", bank)
    from benchmarks.works import WORKS

    for work in WORKS:
        if work.missing:
            assert f"not measured: {work.peer}: {', '.join(work.missing)} not installed" in printed
        else:
            assert f"| {work.name} | {work.peer} |" in printed


def test_a_stated_ratio_that_does_not_hold_is_told(monkeypatch):
    """README's rows are works that are measured; one that fell short ends with a sentence."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.all import README, broken, stated
    from benchmarks.works import WORKS

    promised = stated(README.read_text(encoding="utf-8"))
    assert promised
    assert set(promised) <= {(work.name, work.peer) for work in WORKS}
    assert broken(dict(promised), promised) == []
    assert broken({}, promised) == []  # a peer that is not installed breaks nothing
    name, least = next(iter(promised.items()))
    (sentence,) = broken({**promised, name: least / 2}, promised)
    assert f"at least {least:g}, measured {least / 2:.2f}" in sentence
