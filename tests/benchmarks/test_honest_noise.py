"""The tables of honest noise can be made again; their numbers are no test."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def table_of(bank, path, module, *options):
    pytest.importorskip("lightgbm")
    bank.save(path / "bank.zarr")
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", "--bank", path / "bank.zarr", *options],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stdout


TINY = ("--sets", "2", "--seeds", "1", "--train", "100", "--test", "60")


def test_gains_cover_what_decides(toy_bank, tmp_path):
    """The few inputs: both learners, both errors, and what is never served."""
    table = table_of(toy_bank, tmp_path, "honest_noise", *TINY, "--table", "few")
    for row in ("R2 of flux alone", "observed error", "smooth error", "never served", "beyond"):
        assert row in table
    assert "nan" not in table


@pytest.mark.slow
def test_gains_cover_every_input(toy_bank, tmp_path):
    """All inputs, what the ideal reading leaves, and each error alone."""
    table = table_of(toy_bank, tmp_path, "honest_noise", *TINY)
    for row in ("noise level", "second exposure", "ideal reading", "R2 alone", "eight bands"):
        assert row in table


@pytest.mark.slow
def test_the_ideal_reader_is_asked_under_every_sky(toy_bank, tmp_path):
    """Four ways to give it an error."""
    table = table_of(toy_bank, tmp_path, "honest_ideal", "-n", "60", "--templates", "2000")
    for row in ("its own sky", "its scatter fits", "one average sky", "read off the scatter"):
        assert row in table


@pytest.mark.slow
def test_the_tables_of_record_can_be_drawn(tmp_path):
    """What was printed is what the figure reads."""
    tables = ROOT / "benchmarks" / "results" / "honest_noise.md"
    command = [sys.executable, "-m", "benchmarks.honest_plot", tables, tmp_path / "gains.png"]
    subprocess.run(command, cwd=ROOT, check=True)
    assert (tmp_path / "gains.png").stat().st_size > 50_000  # two empty panels: 20 kB
