"""Results as text: cells of numbers, aligned Markdown tables, and indented trees of entries."""

import math
import textwrap
from collections.abc import Mapping, Sequence

__all__ = ["cell_text", "is_number", "text_table", "text_tree"]

LINE = 100  # characters
NUMBERS = set("0123456789+-.±,[]()/% eE×")


def text_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Lay out rows under the names of the first one's entries; numbers to the right.

    Parameters
    ----------
    rows : sequence of mappings
        All with the same names. None and NaN are shown as ``-``.

    Returns
    -------
    table : str
        Markdown, aligned so that it also reads well in a terminal.
    """
    if not rows:
        return "(none)"
    names = list(rows[0])
    cells = [[cell_text(row[name]) for name in names] for row in rows]
    right = [all(_is_value(row[name]) for row in rows) for name in names]
    widths = [max(3, len(name), *(len(line[k]) for line in cells)) for k, name in enumerate(names)]
    rule = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]
    return "\n".join(_line(line, widths, right) for line in (names, rule, *cells))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if numeric else cell.ljust(width)
        for cell, width, numeric in zip(cells, widths, right, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def _is_value(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def is_number(text: str) -> bool:
    """Whether the text of a cell reads as a number, with its error or interval or without."""
    return text == "-" or (set(text) <= NUMBERS and any(c.isdigit() for c in text))


def cell_text(value: object) -> str:
    """Text of one value: three decimals, or four digits of the very small and large."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if 0.001 <= abs(value) < 1e4 else f"{value:.4g}"
    return str(value)


def text_tree(content: Mapping[str, object], indent: int = 0) -> str:
    """Lay out nested entries one per line, indented; empty ones are left out.

    Lists of entries come one after the other, under their names; long ones of numbers are
    wrapped.
    """
    width = max((len(str(name)) for name in content), default=0)
    lines = []
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{'':{indent}}{name}", text_tree(value, indent + 2)]
        elif _are_entries(value):
            lines.append(f"{'':{indent}}{name}")
            for k, entry in enumerate(value, start=1):
                rest = {key: item for key, item in entry.items() if key != "name"}
                lines += [f"{'':{indent + 2}}{entry.get('name', k)}", text_tree(rest, indent + 4)]
        elif value not in (None, "", {}, []):
            lines.append(_wrapped(f"{'':{indent}}{name:{width}s}  ", _words(value)))
    return "\n".join(lines)


def _are_entries(value: object) -> bool:
    """Whether a value is a list of mappings."""
    is_list = isinstance(value, list | tuple) and len(value) > 0
    return is_list and all(isinstance(item, Mapping) for item in value)


def _wrapped(head: str, text: str) -> str:
    """Text after its name, its further lines below its first; no word is broken."""
    room = max(LINE - len(head), 30)
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return f"\n{'':{len(head)}}".join([head + lines[0], *lines[1:]]) if lines else head


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_words(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
