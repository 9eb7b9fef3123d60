"""A way to run a benchmark, which is a program."""

import runpy
import sys
from pathlib import Path

import numba
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run ``python -m benchmarks.NAME WORDS`` in this process, which is warm; what it printed."""
    monkeypatch.syspath_prepend(ROOT)
    threads = numba.get_num_threads()

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
        return capsys.readouterr().out

    yield run
    numba.set_num_threads(threads)
