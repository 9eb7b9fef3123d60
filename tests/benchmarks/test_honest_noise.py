"""The tables of honest noise can be made again; their numbers are no test."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def table_of(run, toy_bank, tmp_path):
    """What a benchmark prints of the toy bank."""
    pytest.importorskip("lightgbm")
    toy_bank.save(tmp_path / "bank.zarr")
    return lambda module, *options: run(module, "--bank", tmp_path / "bank.zarr", *options)


TINY = ("--sets", "2", "--seeds", "1", "--train", "100", "--test", "60")


def test_gains_cover_what_decides(table_of):
    """The few inputs: both learners, both errors, and what is never served."""
    table = table_of("honest_noise", *TINY, "--table", "few")
    for row in ("R2 of flux alone", "observed error", "smooth error", "never served", "beyond"):
        assert row in table
    assert "nan" not in table


@pytest.mark.slow
def test_gains_cover_every_input(table_of):
    """All inputs, what the ideal reading leaves, and each error alone."""
    table = table_of("honest_noise", *TINY)
    for row in ("noise level", "second exposure", "ideal reading", "R2 alone", "eight bands"):
        assert row in table


@pytest.mark.slow
def test_the_ideal_reader_is_asked_under_every_sky(table_of):
    """Four ways to give it an error."""
    table = table_of("honest_ideal", "-n", "60", "--templates", "2000")
    for row in ("its own sky", "its scatter fits", "one average sky", "read off the scatter"):
        assert row in table


@pytest.mark.slow
def test_the_tables_of_record_can_be_drawn(tmp_path):
    """What was printed is what the figure reads."""
    tables = ROOT / "benchmarks" / "results" / "honest_noise.md"
    command = [sys.executable, "-m", "benchmarks.honest_plot", tables, tmp_path / "gains.png"]
    subprocess.run(command, cwd=ROOT, check=True)
    assert (tmp_path / "gains.png").stat().st_size > 50_000  # two empty panels: 20 kB
