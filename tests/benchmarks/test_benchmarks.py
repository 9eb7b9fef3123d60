"""Benchmarks run, so that they cannot rot; nothing is timed against a bound."""

import subprocess
import sys
from pathlib import Path

import pytest

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
