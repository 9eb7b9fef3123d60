"""What is compiled for a GPU, told by the compiler without one: launches, bytes, random words."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from starsmith.data_contract.random import stream_key
from starsmith.learners.online.keyed import keyed_attempts, philox_words
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


def words(index):
    return philox_words((7, stream_key("noise")), index, 1, 75)


def attempts(index):
    return keyed_attempts(7, "labels", "train", index, 8, 27)


def test_no_random_word_is_taken_for_an_index(launches):
    """Indices have 32 bits: a multiplier times one is refused by Triton, and would be wrong."""
    for draw in (words, attempts):
        kernels = launches.triton_code(draw, torch.empty(64, dtype=torch.int64, device="meta"))
        assert kernels
        # a product with a number of ten digits whose other side is an index
        assert not [found for code in kernels for found in re.findall(r"\d{9,}\*x\d", code)]


INTERPRETED = """
import sys
import torch, triton
from kernel import {name} as kernel
from starsmith.learners.online.keyed import philox_words
index = torch.arange(0, 2**32, 2**26)
out = [torch.zeros(64 * 75, dtype=torch.int64) for _ in range(4)]
kernel[(triton.cdiv(64 * 75, 256),)](index, *out, 64 * 75, XBLOCK=256)
words = philox_words((7, {stream}), index, 1, 75)
found = {{own.numpy().tobytes() for own in out}}
sys.exit(found != {{word.contiguous().numpy().tobytes() for word in words}})
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_compiled_words_are_the_twins_bits(launches, tmp_path):
    """The kernel that the compiler writes, run by Triton's interpreter, which needs no GPU."""
    (code,) = launches.triton_code(words, torch.empty(64, dtype=torch.int64, device="meta"))
    head = "import triton\nimport triton.language as tl\n\n"
    (tmp_path / "kernel.py").write_text(head + code)
    name = re.search(r"def (\w+)\(", code).group(1)
    script = INTERPRETED.format(name=name, stream=stream_key("noise"))
    path = os.pathsep.join([str(tmp_path), *sys.path])
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
