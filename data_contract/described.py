"""What an object says of itself: one line in a terminal, a small table in a notebook."""

from html import escape
from typing import Protocol, TypeVar

__all__ = ["described", "span"]


class Describes(Protocol):
    """An object that can say what it is."""

    def _facts(self) -> dict[str, object]:
        """Name of each fact and the fact, in the order they are read."""


Kind = TypeVar("Kind", bound=type)


def described(cls: Kind) -> Kind:
    """Give a class ``__repr__`` and Jupyter's ``_repr_html_`` made of its ``_facts``."""
    cls.__repr__ = _line
    cls._repr_html_ = _table
    return cls


def span(values: object) -> str:
    """First and last of an ordered array, e.g. wavelengths [Å]: ``6300.1..9699.8``."""
    return f"{values[0]:.6g}..{values[-1]:.6g}"


def _line(self: Describes) -> str:
    facts = ", ".join(f"{name} {fact}" for name, fact in self._facts().items() if fact != "")
    return f"<{type(self).__name__}: {facts}>"


def _table(self: Describes) -> str:
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(str(name))}</th><td>{escape(str(fact))}</td></tr>"
        for name, fact in self._facts().items()
        if fact != ""
    )
    return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"
