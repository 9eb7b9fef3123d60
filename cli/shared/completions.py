"""What can be typed next: names of instruments, grids and models, or files."""

from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

__all__ = ["complete_grids", "complete_instruments", "complete_models"]


def _named_or_file(names: Sequence[str], begun: str) -> list[CompletionItem]:
    """Names that go on from what is typed, with their last part of ``b+m``; else files."""
    before, plus, last = begun.rpartition("+")
    fitting = [CompletionItem(before + plus + name) for name in names if name.startswith(last)]
    return fitting or [CompletionItem(begun, type="file")]


def complete_instruments(context: click.Context, parameter: Any, begun: str) -> list:
    """Built-in instruments, or instrument files."""
    from starsmith.simulator.instruments.config import list_instruments

    return _named_or_file(list_instruments(), begun)


def complete_grids(context: click.Context, parameter: Any, begun: str) -> list:
    """Demonstration grids, or grid files."""
    return _named_or_file(("demo", "demo-optical", "demo-h"), begun)


def complete_models(context: click.Context, parameter: Any, begun: str) -> list:
    """Networks and other estimators."""
    from starsmith.learners.estimators.registry import list_models

    return _named_or_file(list_models(), begun)
