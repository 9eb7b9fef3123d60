"""Benchmarks run, so that they cannot rot; nothing is timed against a bound."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from starsmith.simulator.generate import Settings, write_dataset
from starsmith.simulator.prior import Prior

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("module", "options", "rows"),
    [
        (
            "generate",
            ["-n", "40", "80", "--workers", "1", "--plain", "2"],
            ("plain numpy/scipy", "40 to disk, noiseless", "80 to disk, frozen", "largest over"),
        ),
        ("stages", [], ("interpolate", "true error", "normals", "shard to disk", "file of")),
        ("peers", ["-n", "4"], ("starsmith `observe`", "plain numpy/scipy", "specsim")),
    ],
)
def test_report_covers_every_row(toy_bank, tmp_path, module, options, rows):
    """A tiny run fills the tables."""
    toy_bank.save(tmp_path / "bank.zarr")
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", "--bank", tmp_path / "bank.zarr", *options],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for row in rows:
        assert row in run.stdout


@pytest.mark.slow
def test_learners_report_is_right_before_it_is_fast(toy_bank, tmp_path):
    """A tiny run on the CPU checks the bank and the precision, then fills every table."""
    toy_bank.save(tmp_path / "bank.zarr")
    command = [sys.executable, "-m", "benchmarks.gpu_learners", "--bank", tmp_path / "bank.zarr"]
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


def test_observe_report_covers_every_term(toy_bank, tmp_path):
    """A tiny run names the default and all noise terms."""
    toy_bank.save(tmp_path / "bank.zarr")
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.observe", "--bank", tmp_path / "bank.zarr", "-n", "4",
         "--rounds", "1"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for row in ("calculator (default)", "correlated", "Poisson", "cosmic rays", "drift"):
        assert row in run.stdout


def test_fisher_report_covers_nodes_and_posteriors(toy_bank, tmp_path):
    """A tiny run fills the table."""
    toy_bank.save(tmp_path / "bank.zarr")
    options = ["--bank", tmp_path / "bank.zarr", "--nodes", "300"]
    options += ["--stars", "30", "--templates", "1000"]
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.fisher", *options],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for row in ("plain numpy", "fill_gram", "posterior_mean", "Largest memory"):
        assert row in run.stdout


def test_read_report_compares_every_way(toy_bank, tmp_path):
    """A tiny data set fills both tables."""
    path = tmp_path / "data.zarr"
    write_dataset(toy_bank, Prior.default(), 200, path, 1, Settings(shard_rows=64))
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.read", path, "--repeat", "1"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for row in ("zarr, whole shards", "starsmith, whole", "shuffle buffer", "memmap cache"):
        assert row in run.stdout
