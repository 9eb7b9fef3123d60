"""Progress on stderr: a bar on a terminal, otherwise a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import loudness

if TYPE_CHECKING:
    from starsmith.data_contract.bank.bank_file import Bank

__all__ = ["progress_bar", "say", "tell_ceiling", "told_bank"]

SECONDS_BETWEEN_LINES = 30.0


def say(text: str) -> None:
    """Tell on stderr what is being done, unless -q is given."""
    if loudness() >= 0:
        click.echo(text, err=True)


def tell_ceiling(text: str) -> None:
    """Say on stderr which step of a ceiling begins, unless -q is given."""
    say(f"ceiling: {text}")


def told_bank(path: Path) -> "Bank":
    """Bank of a data set, as `recorded_bank`; building the demo grid shows its progress."""
    from starsmith.simulator.generation.recorded import recorded_bank

    with progress_bar("grid", "models") as report:
        return recorded_bank(path, report)


@contextmanager
def progress_bar(label: str, unit: str = "") -> Iterator[Callable[..., None]]:
    """Yield ``report(n_done, n_total, note="")``; silent with -q.

    Parameters
    ----------
    label : str
        What is being done, e.g. ``spectra``.
    unit : str
        Noun after the numbers.
    """
    if loudness() < 0:
        yield lambda n_done, n_total, note="": None
    elif sys.stderr.isatty():
        with _terminal_bar(label, unit) as report:
            yield report
    else:
        yield _lines(label, unit)


@contextmanager
def _terminal_bar(label: str, unit: str):
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(label, total=None, note="")

        def report(n_done: int, n_total: int, note: str = "") -> None:
            bar.update(task, completed=n_done, total=n_total, note=note)

        yield report


def _lines(label: str, unit: str) -> Callable[..., None]:
    start = last = time.monotonic()

    def report(n_done: int, n_total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            noun = f" {unit}" if unit else ""
            text = f"{label}: {n_done}/{n_total}{noun}, {now - start:.0f} s  {note}"
            click.echo(text.rstrip(), err=True)

    return report
