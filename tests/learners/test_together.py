"""Several processes train as one, and fail as one: told once, in one line, without waiting."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from starsmith.data_contract.errors import ConfigError, DataError, DivergedError
from starsmith.learners.training import distributed
from starsmith.learners.training.distributed import agree_on, agreed, check_gpus, process_group

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30.0  # a process that waits for a message that never comes waits for half an hour
EXPECTED = {
    "step": ("OutOfMemory", "process 1: batch_size = 50 needs more memory than cpu"),
    "step of the leader": ("OutOfMemory", "batch_size = 50 needs more memory than cpu"),
    "feed": ("DataError", "process 1: row 7: torn"),
    "feed is full": ("OutOfMemory", "process 1: reading spectra needs more memory"),
    "validation": ("OutOfMemory", "process 1: one spectrum of 128 pixels needs more memory"),
    "no number": ("DivergedError", "epoch 1, batch 5 of 6"),
    "another run": ("ConfigError", "holds a different run"),
}


@pytest.mark.slow
def test_what_fails_in_one_process_fails_in_all(tmp_path):
    """Whatever it is: the leader says it in one line, the other ends with the same exit code."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", "0", "--standalone"]
    command += [str(Path(__file__).with_name("together.py")), str(tmp_path)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}

    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )

    assert run.returncode == 0, run.stderr[-2000:]
    leader, other = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert leader["plain"][:3] == other["plain"][:3] == ["done", "", 0]
    for name, (kind, words) in EXPECTED.items():
        found, text, code, seconds = leader[name]
        assert (found, code) == (kind, 2), name
        assert text.startswith(words) or words in text
        assert "\n" not in text
        assert other[name][:3] == ["Elsewhere", "", 2]
        assert max(seconds, other[name][3]) < SECONDS


def test_alone_an_error_is_its_own():
    """No process group: nothing is sent."""
    agree_on(None)
    assert agreed(lambda: 3) == 3
    with pytest.raises(DataError, match="torn"):
        agree_on(DataError("torn"))


def test_errors_travel_between_processes():
    """With their options, class and exit code."""
    import pickle

    sent = pickle.loads(pickle.dumps(DivergedError("lost", ("--lr", "1e-4"))))
    assert (str(sent), sent.options, sent.exit_code) == ("lost", ("--lr", "1e-4"), 2)


@pytest.mark.parametrize(
    ("device", "n_gpu", "words"),
    [
        ("cuda:0", 8, r"--device cuda:0: under torchrun every process would take that GPU"),
        ("cuda", 2, r"4 processes .* 2 GPU\(s\); give --nproc-per-node 2$"),
        ("cuda", 0, r"0 GPU\(s\); give --nproc-per-node 1 --device cpu"),
    ],
)
def test_torchrun_with_too_few_gpus_is_refused(monkeypatch, device, n_gpu, words):
    """Before processes join, with what would do."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpu)
    with pytest.raises(ConfigError, match=words), process_group(device):
        pass


def test_every_process_takes_the_gpu_of_its_number(monkeypatch):
    """Set before joining, and told to NCCL, which would guess."""
    told = {}
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda k: told.update(device=k))
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda *a, **k: told.update(k, backend=a[0])
    )
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    with process_group("cuda"):
        pass
    assert told == {
        "device": 3,
        "device_id": torch.device("cuda", 3),
        "backend": "cpu:gloo,cuda:nccl",
    }
    assert check_gpus(None) == 3
    assert distributed.is_leader()
