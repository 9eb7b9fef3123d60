"""Exhibits as one page of tables and figures beside it."""

import json
from pathlib import Path

from starsmith.data_contract.figure_kit import save_figure
from starsmith.data_contract.files.atomic import json_safe, write_text
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.text_tables import text_table
from starsmith.learners.benchmark.exhibits.cells import CellSet
from starsmith.learners.benchmark.exhibits.figures import figures
from starsmith.learners.benchmark.exhibits.tables import Exhibit, tables
from starsmith.learners.benchmark.lab import LabSuite

__all__ = ["write_exhibits"]

OTHER_STARS = (
    "Published numbers are of different stars: other surveys, other labels, another network. They "
    "stand beside ours for their pattern, and no difference between them means anything."
)


def write_exhibits(suite: LabSuite, folder: Path) -> Path:
    """Write ``exhibits.md``, ``exhibits.json`` and figures of a suite's finished cells.

    Parameters
    ----------
    suite : LabSuite
    folder : Path
        Of the suite.

    Returns
    -------
    page : Path

    Raises
    ------
    DataError
        If no cell is finished.
    """
    cells = CellSet.open(suite, folder)
    found = tables(cells)
    if (place := folder / "flags.json").is_file():
        rows = read_json(place)["rows"]
        found.append(Exhibit("The flag: flux unlike the training set", rows))
    drawn = []
    for name, draw in figures(cells).items():
        figure = draw()
        if figure is not None:
            save_figure(figure, folder / "figures" / f"{name}.png", cells.notice)
            drawn.append(name)
    write_text(folder / "exhibits.md", _page(cells, found, drawn))
    plain = {"g": cells.g, "tables": {each.title: each.rows for each in found}, "figures": drawn}
    write_text(folder / "exhibits.json", json.dumps(json_safe(plain), indent=2) + "\n")
    return folder / "exhibits.md"


def _page(cells: CellSet, found: list[Exhibit], drawn: list[str]) -> str:
    suite = cells.suite
    seeds = len({cell.seed for cell in cells.cells})
    parts = [
        f"# Exhibits: {suite.source} to {suite.target}",
        f"g = {cells.g:g}, {len(cells.cells)} of {len(suite.cells)} trainings finished, {seeds} "
        f"seed(s), {len(cells.cells[0].snr)} test stars. {OTHER_STARS}",
    ]
    if cells.notice:
        parts.append(f"**{cells.notice}**")
    for each in found:
        parts.append(f"## {each.title}")
        if each.note:
            parts.append(each.note)
        if each.rows:
            parts.append(text_table(each.rows))
    parts += ["## Figures", *(f"![{name}](figures/{name}.png)" for name in drawn)]
    return "\n\n".join(parts) + "\n"
