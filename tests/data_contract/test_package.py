"""The package's public names, and what importing them costs."""

import subprocess
import sys

import pytest

import starsmith.data_contract as contract


def test_every_public_name_is_there():
    """Each name of ``__all__`` is importable and is what its module says."""
    for name in contract.__all__:
        assert getattr(contract, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = contract.no_such_name


def test_errors_and_names_cost_nothing():
    """A command that fails early imports neither numpy nor zarr nor numba."""
    code = (
        "import sys, starsmith.data_contract.errors, starsmith.data_contract.quantities;"
        "print([m for m in ('numpy', 'zarr', 'numba', 'h5py') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
