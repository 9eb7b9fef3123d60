"""Benchmarks run, so that they cannot rot; nothing is timed against a bound."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_generate_report_covers_every_stage(toy_bank, tmp_path):
    """A tiny run fills both tables."""
    toy_bank.save(tmp_path / "bank.zarr")
    options = ["--bank", tmp_path / "bank.zarr", "-n", "40", "--workers", "1", "--plain", "2"]
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.generate", *options],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for row in ("plain numpy/scipy", "noiseless store", "frozen store", "interpolate", "normals"):
        assert row in run.stdout
