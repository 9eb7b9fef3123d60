"""Ctrl-C at bad moments: one line, exit code 130, and what was begun is finished or gone."""

import ctypes
import signal
import time

import click
import pytest
from click.testing import CliRunner

from starsmith.cli.shared.command import CommandGroup
from starsmith.data_contract.dataset.shards import create_dataset, create_skeleton, finished_shards
from starsmith.data_contract.files.interrupts import uninterrupted
from tests.data_contract.example import make_header


def run(function):
    """Exit code and stderr of a command that does ``function``."""

    @click.group(cls=CommandGroup, name="tool")
    def main():
        pass

    @main.command(resume="finished shards are kept; run the same command again")
    def work():
        """Work."""
        function()

    return CliRunner().invoke(main, ["work"])


def require_one_line(done):
    assert done.exit_code == 130, done.stderr
    assert done.stderr == (
        "tool: interrupted; finished shards are kept; run the same command again\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_does_not_disturb_what_the_first_one_ends(number):
    """Twice in a row, as people press it: what is tidied up after the first is tidied up."""
    tidy = []

    def work():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)
            tidy.append(True)

    require_one_line(run(work))
    assert tidy == [True]


def test_what_ctrl_c_breaks_in_a_library_is_still_ctrl_c():
    """A compiler that was interrupted says what it is missing, not why."""

    def work():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("no compiled object yet") from None

    require_one_line(run(work))


def test_ctrl_c_that_falls_into_a_callback_is_not_lost(capfd):
    """C code cannot pass the exception on: it comes again, and nothing is printed of it."""

    def work():
        ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))()
        time.sleep(20)

    start = time.monotonic()
    require_one_line(run(work))
    assert time.monotonic() - start < 15
    assert "Traceback" not in capfd.readouterr().err


def test_the_handlers_of_others_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run(lambda: None)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_uninterrupted_block_ends_before_ctrl_c_does_its_work():
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 the block is what is looked at
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append(True)
        done.append(False)
    assert done == [True]


def test_ctrl_c_while_a_data_set_is_created_leaves_no_half_of_one(toy_bank, tmp_path, monkeypatch):
    """The library that writes has threads of its own, which go on: it is let finish."""

    def interrupted_skeleton(path, header):
        signal.raise_signal(signal.SIGINT)
        create_skeleton(path, header)

    monkeypatch.setattr(
        "starsmith.data_contract.dataset.shards.create_skeleton", interrupted_skeleton
    )
    with pytest.raises(KeyboardInterrupt):
        create_dataset(tmp_path / "data.zarr", make_header(toy_bank.noise))
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.zarr"]
    assert not finished_shards(tmp_path / "data.zarr")
