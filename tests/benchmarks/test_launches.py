"""Launches and bytes of what is compiled for a GPU, told by the compiler without one."""

import importlib
from pathlib import Path

import pytest
import torch

from tests.conftest import make_toy_bank
from tests.learners.on_device import N_STAR, feed_on

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
N_WAVE = 300


@pytest.fixture
def launches(monkeypatch):
    """The counting module; what the compiler remembers is forgotten after the test."""
    monkeypatch.syspath_prepend(str(ROOT))
    yield importlib.import_module("benchmarks.launches")
    torch._dynamo.reset()


def test_a_compiled_block_of_stars_is_few_launches(launches):
    """Words, normals, error and standardisation are fused: of 896 launches two dozen are left."""
    feed = feed_on(make_toy_bank(N_WAVE), torch.device("meta"))
    found = launches.of_block(feed, N_STAR, compiled=True)
    assert found.kernels <= 19
    assert found.calls <= 6
    assert found.n_bytes <= 68 * N_STAR * N_WAVE  # 943 a pixel uncompiled


def test_a_compiled_step_reads_and_writes_less(launches):
    """What is fused is not written in between."""
    plain, fused = (launches.of_step("mlp", 4096, 256, compiled) for compiled in (False, True))
    assert fused.n <= 48 < plain.n <= 60
    assert fused.n_bytes < 0.82 * plain.n_bytes
