"""docs/paper.md has a row for every exhibit of the paper, and its commands exist."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest

from starsmith.learners.benchmark.suite import list_suites, load_suite

PAGE = Path(__file__).resolve().parents[1] / "docs" / "paper.md"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| exhibit")
]
COMMANDS = sorted({row[1].strip("`") for row in ROWS if row[1] != "–"})


def numbers(kind, text):
    """Exhibits that a cell names, such as ``Tables 16, 17`` or ``Figs. 3``."""
    found = re.findall(rf"{kind}s?\.? (\d+(?:, \d+)*)", text)
    return {int(number) for group in found for number in group.split(", ")}


def test_every_table_and_figure_has_a_row():
    tables = set().union(*(numbers("Table", row[0]) for row in ROWS))
    figures = set().union(*(numbers("Fig", row[0]) for row in ROWS))
    assert tables == set(range(1, 19))
    assert figures == set(range(1, 14))
    assert {"App. D", "App. H"} <= {row[0] for row in ROWS}
    assert all(len(row) == 5 and all(row) for row in ROWS)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_and_options_exist(line):
    tool, *words = shlex.split(line)
    command = import_module(f"starsmith.cli.{tool}").main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        context = click.Context(command)
        command = command.get_command(context, words.pop(0))
        assert command is not None
    known = {name for option in command.params for name in option.opts}
    assert {word for word in words if word.startswith("--")} <= known
    if "--suite" in words:
        suite = words[words.index("--suite") + 1]
        assert suite in list_suites()
        tags = {run.tag for run in load_suite(suite).runs}
        assert {words[k + 1] for k, word in enumerate(words) if word == "--only"} <= tags


def test_the_report_at_cpu_size_is_of_its_suite():
    """Every row of the committed report is a run of the suite beside it."""
    benchmarks = PAGE.parents[1] / "benchmarks"
    runs = {(run.model, run.variant) for run in load_suite(benchmarks / "as_published.toml").runs}
    lines = (benchmarks / "results" / "as_published.md").read_text().splitlines()
    rows = [tuple(line.split(" | ")[:2]) for line in lines if re.match(r"\| \w+_tiny \|", line)]
    found = {(model.lstrip("| "), variant) for model, variant in rows}
    assert found <= runs
    assert {(m, v) for m in ("bilstm_tiny", "specvit_tiny") for v in ("default", "all")} <= found
