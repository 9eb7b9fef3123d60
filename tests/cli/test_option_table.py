"""Options of a command as fields of a dataclass: the object it receives, its help, its words."""

from dataclasses import dataclass

import click
import pytest
from click.testing import CliRunner

from starsmith.cli.shared.command import Command
from starsmith.cli.shared.option_table import (
    OptionGroup,
    argument,
    grouped,
    option,
    parse,
    takes,
)

SPAN = OptionGroup(
    "span",
    lambda: [click.Option(["--low"], type=float), click.Option(["--high"], type=float)],
    lambda given: (given["low"], given["high"]),
)


@dataclass(frozen=True, kw_only=True)
class ToyOptions:
    """Options of a command that does not exist."""

    star: str = argument()
    n_star: int = option(type=int, default=3, help="How many.")
    rate: float | None = option("--lr", type=float)
    span: tuple = grouped(SPAN)


@click.command(cls=Command)
@takes(ToyOptions)
def toy(options):
    """Show what arrives."""
    click.echo(options)


def test_a_command_receives_all_options_as_one_object():
    """Names are those of the fields unless words are given; a group is one value."""
    done = CliRunner().invoke(toy, ["sun", "--n-star", "5", "--lr", "0.1", "--low", "1"])

    assert done.output == "ToyOptions(star='sun', n_star=5, rate=0.1, span=(1.0, None))\n"


def test_options_are_listed_in_the_order_of_the_fields_with_their_defaults():
    done = CliRunner().invoke(toy, ["--help"])

    places = [
        done.output.index(name) for name in ("--n-star", "--lr", "--low", "--high", "--quiet")
    ]
    assert places == sorted(places)
    assert "How many.  [default: 3]" in done.output


def test_words_are_parsed_without_running_the_command():
    """What another part of a program asks for is refused as on the command line."""
    assert parse(toy, ToyOptions, ["sun"]).n_star == 3
    with pytest.raises(click.UsageError, match="no-such"):
        parse(toy, ToyOptions, ["sun", "--no-such"])
