"""Training beside other processes: threads that sleep, and as many as cores are free."""

import json
import os
import subprocess
import sys

import pytest
import torch

from starsmith.learners import fit
from starsmith.learners.training import threads
from starsmith.learners.training.resume import threads_before
from starsmith.learners.training.threads import busy_cores, train_threads
from tests.learners.worlds import lines, make_data, uniform_logg

CPU = torch.device("cpu")


@pytest.fixture
def four_cores(monkeypatch):
    """Nobody has chosen a number of threads on a machine of four cores."""
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(4)


@pytest.mark.parametrize(("busy", "expected"), [(0.1, 4), (1.2, 3), (2.9, 1), (4.0, 1)])
def test_training_takes_the_cores_that_are_free(four_cores, monkeypatch, caplog, busy, expected):
    """At least one; torch's number is given back, and the choice is told."""
    monkeypatch.setattr(threads, "busy_cores", lambda: busy)
    with train_threads(CPU) as chosen:
        assert chosen == torch.get_num_threads() == expected
    assert torch.get_num_threads() == 4
    assert ("cores are busy" in caplog.text) == (expected < 4)


def test_a_number_that_somebody_chose_is_kept(four_cores, monkeypatch):
    """By torch or by the environment; a continued run keeps its own; a GPU needs none."""
    monkeypatch.setattr(threads, "busy_cores", lambda: 4.0)
    with train_threads(CPU, before=3) as chosen:
        assert chosen == 3
    with train_threads(torch.device("cuda")) as chosen:
        assert chosen == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    with train_threads(CPU) as chosen:
        assert chosen == 4
    monkeypatch.delenv("OMP_NUM_THREADS")
    torch.set_num_threads(2)
    with train_threads(CPU) as chosen:
        assert chosen == 2


def test_what_others_use_is_read_from_the_system(tmp_path, monkeypatch):
    """Ticks of the cores; a system that does not tell is taken as idle."""
    stat = tmp_path / "stat"
    monkeypatch.setattr(threads, "STAT", stat)
    assert busy_cores() == 0.0
    stat.write_text("cpu 100 0 0 300 0 0 0 0\nrest\n")
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(
        threads.time, "sleep", lambda _: stat.write_text("cpu 150 0 0 340 10 0 0 0\n")
    )
    assert busy_cores() == pytest.approx(2.0)


def test_a_run_remembers_its_threads(tmp_path, tiny_recipe):
    """In the state that it resumes from; earlier states know none."""
    data = make_data(lines, uniform_logg, 0.2, (100, 50, 50))
    fit("specvit_tiny", data.training(), "logg", tiny_recipe, tmp_path)
    assert threads_before(tmp_path / "state.safetensors") == 1
    assert threads_before(tmp_path / "none") == 0


STARTED = """
import starsmith
import json, os, torch
from starsmith.data_contract.random import DrawKey, normals
before = torch.get_num_threads()
normals(DrawKey(0, "train", __import__("numpy").arange(4)), "noise", 8)
print(json.dumps([before, torch.get_num_threads(), os.environ["OMP_WAIT_POLICY"]]))
"""


@pytest.mark.slow
def test_numba_leaves_the_users_number_of_threads():
    """It starts its own, and OpenMP has one number for all: OMP_NUM_THREADS stays what it was."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for name in ("NUMBA_NUM_THREADS", "OMP_WAIT_POLICY"):
        environment.pop(name, None)
    command = [sys.executable, "-c", STARTED]
    run = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert json.loads(run.stdout) == [1, 1, "PASSIVE"]
