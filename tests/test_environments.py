"""Bits depend on neither threads, BLAS, nor what vector instructions NumPy may use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment_probe import few

ENVIRONMENTS = {
    "one thread": {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    "kernels of another processor": {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    },
    "kernels of an old processor": {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"},
}
CEILING = 1e-5  # products with templates are those of BLAS, in float32 in part: seen are 2e-7


def digests(changes: dict[str, str], *words: str) -> dict[str, str | list]:
    """What the probe prints in a process of its own."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OMP_", "OPENBLAS_", "NUMBA_NUM", "NPY_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.environment_probe", *words],
        env=plain | changes,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_functions_and_a_star_have_the_same_bits_elsewhere():
    everything = {name: value for one in ENVIRONMENTS.values() for name, value in one.items()}
    assert digests(everything) == few()


@pytest.mark.slow
def test_grid_bank_and_data_set_have_the_same_bits_in_four_environments():
    first, *others = [digests(changes, "whole") for changes in ENVIRONMENTS.values()]
    numbers = first.pop("ceiling")
    for found in others:
        assert found.pop("ceiling") == pytest.approx(numbers, CEILING, CEILING, nan_ok=True)
        assert found == first
