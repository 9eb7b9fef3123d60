"""Tests of the GPU are collected where torch, numba and h5py are, and nothing else of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BARE = """
import sys

ABSENT = {names!r}

class Without:
    # a finder that does not find what a bare machine has not

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name == "starsmith" or name.split(".")[0] in ABSENT
        return None if hidden else self.finder.find_spec(name, path, target)

    def find_distributions(self, *context):
        return getattr(self.finder, "find_distributions", lambda *_: ())(*context)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
sys.path.insert(0, {root!r})
import pytest
sys.exit(pytest.main(["-m", "gpu", "-q", "--collect-only", "-p", "no:cacheprovider"]))
"""
ABSENT = (
    "zarr", "numcodecs", "astropy", "scipy", "lightgbm", "safetensors", "click",
    "rich", "matplotlib", "speclite", "platformdirs", "httpx", "sklearn", "lazy_loader", "tomli_w",
    "dust_extinction", "google_crc32c", "pandas", "tables", "hypothesis", "xdist", "onnx", "dask",
)  # fmt: skip


@pytest.mark.slow
def test_gpu_tests_are_collected_on_a_bare_machine(tmp_path):
    """All of them, without an error; `starsmith` is the checkout, not installed."""
    script = tmp_path / "collect.py"
    script.write_text(BARE.format(names=ABSENT, root=str(ROOT)))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"

    run = subprocess.run(
        [sys.executable, script], cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert run.stdout.count("test_gpu.py::") > 20
