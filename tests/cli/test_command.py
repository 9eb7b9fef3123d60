"""Every failure ends in one line on stderr and the exit code of its kind."""

import errno
import json
import logging
import warnings

import click
import numpy as np
import pytest
from click.testing import CliRunner

from starsmith.cli.shared.command import CommandGroup, echo_json, loudness
from starsmith.cli.shared.option_types import Range
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.errors import ContractError, DataError, LeakError, StarsmithError


def tool_raising(problem):
    """Command group ``tool`` whose only command ``work`` raises an exception."""

    @click.group(cls=CommandGroup, name="tool")
    def main():
        pass

    @main.command(resume="finished shards are kept")
    @click.option("--mag", type=Range())
    def work(mag):
        """Work."""
        if problem is not None:
            raise problem

    return main


def run(problem, *args):
    return CliRunner().invoke(tool_raising(problem), args or ["work"])


@pytest.mark.parametrize(
    ("problem", "code", "says"),
    [
        (DataError("spec.ecsv: column 'flux' is missing"), 2, "spec.ecsv: column 'flux'"),
        (ContractError("data.zarr: hash differs"), 3, "hash differs"),
        (LeakError("test stars were trained on"), 3, "test stars"),
        (StarsmithError("no convergence"), 1, "no convergence"),
        (OSError(errno.ENOSPC, "No space left on device", "/full/x"), 1, "/full/x: No space left"),
        (PermissionError(errno.EACCES, "Permission denied", "/root"), 1, "/root: Permission"),
        (KeyboardInterrupt(), 130, "finished shards are kept"),
        (MemoryError("Unable to allocate 3 TiB"), 1, "out of memory (Unable to allocate 3 TiB)"),
        (ModuleNotFoundError("x", name="torch"), 1, "pip install 'starsmith[learn]'"),
        (ZeroDivisionError("two\nlines"), 1, "unexpected ZeroDivisionError: two lines"),
    ],
)
def test_every_exception_is_one_line_and_an_exit_code(problem, code, says):
    done = run(problem)

    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr.strip().count("\n") == 0
    assert done.stderr.strip().startswith("tool: ")
    assert says in done.stderr


def test_a_message_that_quotes_a_long_text_keeps_its_two_ends():
    """A hostile file's own words do not fill the terminal."""
    done = run(DataError(f"spec.ecsv: column {'x' * 100_000} is unknown; call it flux"))
    assert len(done.stderr) < 1300
    assert done.stderr.startswith("tool: spec.ecsv: column xxx")
    assert done.stderr.rstrip().endswith("is unknown; call it flux")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["work", "--mag", "23-20"], "did you mean 20-23? (see tool work --help)"),
        (["work", "--magg", "20"], "--mag"),
        (["work", "extra"], "extra"),
        (["wrk"], "work"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(args, says):
    done = run(None, *args)

    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tool: ")
    assert says in done.stderr


def test_debug_adds_the_traceback():
    done = run(ZeroDivisionError("here"), "work", "--debug")

    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("tool: unexpected ZeroDivisionError")


def test_no_command_shows_the_help_and_fails():
    done = CliRunner().invoke(tool_raising(None), [])

    assert done.exit_code == 2
    assert "Usage: tool" in done.stderr


def chatty():
    """Command that logs, warns and reports progress."""

    @click.group(cls=CommandGroup, name="tool")
    def main():
        pass

    @main.command()
    def work():
        log = logging.getLogger("starsmith.somewhere")
        log.warning("node 3 was filled")
        log.info("rendered 5 nodes")
        warnings.warn("library chatter", stacklevel=1)
        click.echo(loudness())

    return main


@pytest.mark.parametrize(
    ("flags", "seen", "unseen"),
    [
        ([], ["filled"], ["rendered", "chatter"]),
        (["-q"], [], ["filled", "rendered", "chatter"]),
        (["-v"], ["filled", "rendered", "chatter"], []),
    ],
)
def test_log_goes_to_stderr_as_loud_as_asked(flags, seen, unseen):
    done = CliRunner().invoke(chatty(), ["work", *flags])

    assert all(word in done.stderr for word in seen)
    assert not any(word in done.stderr for word in unseen)
    assert done.stdout.strip() in {"-1", "0", "1"}


def test_loudness_may_stand_before_the_command():
    assert CliRunner().invoke(chatty(), ["-v", "work"]).stdout == "1\n"


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    """Log files of a batch job get lines, not bars; and not one per shard."""
    clock = iter([0.0, 1.0, 29.0, 31.0, 32.0, 62.0])
    monkeypatch.setattr("starsmith.cli.shared.progress.time.monotonic", lambda: next(clock))

    with progress_bar("spectra") as report:
        for n_done in range(5):
            report(n_done, 5)

    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["spectra: 2/5, 31 s", "spectra: 4/5, 62 s"]
    assert captured.out == ""


def test_json_is_strict_and_names_its_schema(capsys):
    """NaN and infinity are no JSON: they become null."""
    echo_json("specsim.example", {"edge": float("inf"), "r2": np.array([0.5, np.nan]), 3: True})

    assert json.loads(capsys.readouterr().out) == {
        "schema": "specsim.example",
        "schema_version": 1,
        "edge": None,
        "r2": [0.5, None],
        "3": True,
    }
