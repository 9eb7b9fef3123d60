"""Fixtures: the example dataset, whole and in copies to damage."""

import shutil

import pytest

from tests.data_contract.example import make_header, write_example


@pytest.fixture(scope="session")
def noise(toy_bank):
    """Noise tables of the toy bank, 300 pixels."""
    return toy_bank.noise


@pytest.fixture(scope="session")
def pristine(noise, tmp_path_factory):
    """Path of a finished noiseless store; never written to."""
    path = tmp_path_factory.mktemp("pristine") / "data.zarr"
    write_example(path, make_header(noise))
    return path


@pytest.fixture
def copy(pristine, tmp_path):
    """A copy of the finished store, to be damaged."""
    return shutil.copytree(pristine, tmp_path / "data.zarr")
