"""A bank and a data set of toy stars as files, and a way to call the commands."""

import signal
from importlib import import_module

import pytest
from click.testing import CliRunner

TOOLS = ("specsim", "speclearn", "specfisher", "specdata")


def call(line, *more):
    """Run a command line such as ``specsim generate -n 10``; more words follow as they are."""
    tool, *words = line.split()
    main = import_module(f"starsmith.cli.{tool}").main
    return CliRunner().invoke(main, [*words, *map(str, more)])


@pytest.fixture(autouse=True)
def ctrl_c():
    """Ctrl-C interrupts, also in the background of a shell, where it would be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def bank_file(toy_bank, tmp_path_factory):
    """The toy bank as a file."""
    path = tmp_path_factory.mktemp("bank") / "toy.zarr"
    toy_bank.save(path)
    return path


@pytest.fixture(scope="session")
def dataset(bank_file, tmp_path_factory):
    """400 training, 50 validation and 50 test spectra made by the command itself."""
    path = tmp_path_factory.mktemp("data") / "data.zarr"
    done = call("specsim generate -n 500 --seed 7 --workers 1", "--bank", bank_file, "--out", path)
    assert done.exit_code == 0, done.stderr
    return path
