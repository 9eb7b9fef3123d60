"""Rows of results as aligned text, which is also a Markdown table."""

import math
from collections.abc import Mapping, Sequence

__all__ = ["text_table"]


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
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(3, len(name), *(len(line[k]) for line in cells)) for k, name in enumerate(names)]
    right = [all(_is_number(row[name]) for row in rows) for name in names]
    rule = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]
    return "\n".join(_line(line, widths, right) for line in (names, rule, *cells))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if numeric else cell.ljust(width)
        for cell, width, numeric in zip(cells, widths, right, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if 0.001 <= abs(value) < 1e4 else f"{value:.4g}"
    return str(value)
