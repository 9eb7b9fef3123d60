"""Help is instant and says how to use the command before what it does."""

import re
import subprocess
import sys
from importlib import import_module

import click
import pytest

from starsmith.cli.shared.option_types import Range
from starsmith.cli.shared.options import RANGES, flag
from starsmith.simulator.prior import Prior
from tests.cli.conftest import TOOLS, call

HEAVY = {"torch", "numba", "astropy", "zarr", "scipy", "matplotlib", "numpy", "rich", "h5py"}


def leaves(group, words=()):
    """Every command below a group, as its words."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS = [
    pytest.param(f"{tool} {words}", command, id=f"{tool} {words}")
    for tool in TOOLS
    for words, command in leaves(import_module(f"starsmith.cli.{tool}").main)
]


@pytest.mark.parametrize("tool", TOOLS)
def test_help_imports_nothing_heavy(tool):
    """Help answers in a fraction of a second because the physics is imported inside commands."""
    script = (
        "import sys\n"
        f"from starsmith.cli.{tool} import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"heavy = {sorted(HEAVY)!r}\n"
        "print('LOADED', sorted(set(heavy) & set(sys.modules)))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "LOADED []" in done.stdout
    assert f"Usage: {tool}" in done.stdout


@pytest.mark.parametrize(("line", "command"), COMMANDS)
def test_help_shows_an_example_of_the_command_first(line, command):
    done = call(f"{line} --help")

    assert done.exit_code == 0
    assert done.stdout.index(f"Examples:\n  {line}") < done.stdout.index("Options:")


@pytest.mark.parametrize(("line", "command"), COMMANDS)
def test_examples_parse(line, command):
    """Every option an example uses exists and takes the value shown."""
    for example in command.examples:
        words = example.split()[len(line.split()) :]
        known = {
            name for option in command.params for name in (*option.opts, *option.secondary_opts)
        }

        assert {word for word in words if re.match("--?[a-z]", word)} <= known


@pytest.mark.parametrize("tool", TOOLS)
def test_version_is_that_of_the_distribution(tool):
    done = call(f"{tool} --version")

    assert done.exit_code == 0
    assert done.stdout.startswith(f"{tool} (starsmith) ")


def test_documented_ranges_are_those_of_the_default_prior():
    """The help states the defaults without importing the simulator; they must not drift."""
    stated = {name: Range().convert(text, None, None) for name, (_, text) in RANGES.items()}

    no_dust = {"ebv": (0.0, 0.0)}  # an option of its own, of commands whose bank can know dust
    assert stated | no_dust == Prior.default().ranges
    assert flag("moon_zenith_angle") == "--moon-zenith-angle"
