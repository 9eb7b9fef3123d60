"""``specsim grid errors``: how far a grid can be trusted, cell by cell."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import Command, echo_json, echo_notice, json_option
from starsmith.cli.shared.option_table import PATH, argument, option, takes
from starsmith.cli.shared.option_types import Count
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.data_contract.grid.grid_file import GridData
    from starsmith.data_contract.quality_map import QualityMap

__all__ = ["ErrorsOptions", "errors"]


@dataclass(frozen=True, kw_only=True)
class ErrorsOptions:
    """Options of ``specsim grid errors``."""

    grid: str = argument()
    against: str | None = option(
        help="Another grid, such as an imported BOSZ: compare its nodes with GRID instead."
    )
    instrument: str | None = option(
        help="At whose pixels.  [default: pfs_mr where GRID covers it, else its own samples]"
    )
    workers: int | None = option(type=Count(), help="Processes.  [default: all cores]")
    again: bool = option(is_flag=True, help="Measure what is known already.")
    plot: Path | None = option(type=PATH, help="Figure of all maps of GRID.")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specsim grid errors demo",
        "specsim grid errors demo --against bosz.zarr --plot maps.png",
        "specsim grid errors demo-optical --instrument pfs_b",
    ),
    resume="finished models are kept; run the same command again to continue",
)
@takes(ErrorsOptions)
def errors(options: ErrorsOptions) -> None:
    """Measure the error of interpolation in every cell of a GRID; keep the map in its file.

    The middle of every cell is synthesized where the grid is our own synthesis, as many models
    again as the grid has. Of other grids the error is inferred from their nodes. Data sets made
    of the grid carry the map: their card and `Split.grid_errors` tell it star by star.
    """
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.data_contract.grid.map_file import write_quality_maps
    from starsmith.data_contract.quality_map import QualityMap
    from starsmith.simulator.figures.quality_figure import plot_quality
    from starsmith.simulator.grids import StellarGrid, grid_path
    from starsmith.simulator.grids.known_maps import known_maps

    check_suffix(options.plot)
    with progress_bar(f"grid {options.grid}", "models") as report:
        grid = StellarGrid.open(options.grid, progress=report)
    name, made = _measured(options, grid)
    if made is not None:
        write_quality_maps(grid_path(options.grid), {name: made})
    records = known_maps(options.grid, grid.provenance.get("release"))
    found = {key: QualityMap.of_record(record) for key, record in records.items()}
    if options.plot:
        plot_quality(options.plot, found, grid.notice)
    shown = {key: {"about": one.about, **one.summary()} for key, one in found.items()}
    if options.as_json:
        echo_json("specsim.grid.errors", {"name": grid.name, "maps": shown})
        return
    for one in found.values():
        click.echo(one.about)
        click.echo(text_table([_row(k, told) for k, told in one.summary().items()]))
    echo_notice(grid.notice)


def _row(measure: str, told: dict[str, float | None]) -> dict[str, str]:
    """A measure's row, of numbers that may differ by decades."""
    texts = {k: "" if value is None else f"{value:.2g}" for k, value in told.items()}
    return {"measure": measure, **texts}


def _measured(options: ErrorsOptions, grid: "GridData") -> tuple[str, "QualityMap | None"]:
    """Name of the map that is asked for, and the map; None where it is known already."""
    from starsmith.data_contract.quality_map import INTERPOLATION
    from starsmith.simulator.grids import StellarGrid, grid_error_map
    from starsmith.simulator.grids.cell_errors import (
        about_middles,
        inferred_map,
        interpolation_map,
        is_synthetic,
        usual_instrument,
    )
    from starsmith.simulator.grids.grid_differences import difference_map
    from starsmith.simulator.grids.known_maps import known_maps

    if options.against:
        other = StellarGrid.open(options.against)
        with progress_bar("compared", "models") as report:
            return f"against {other.name}", difference_map(grid, other, report)
    instrument = usual_instrument(grid, options.instrument)
    known = known_maps(options.grid, grid.provenance.get("release")).get(INTERPOLATION)
    asked = about_middles(instrument) if options.instrument else (known or {}).get("about")
    if known and not options.again and known["about"] == asked:
        return INTERPOLATION, None
    if not is_synthetic(grid):
        with progress_bar("check", "labels") as report:
            return INTERPOLATION, inferred_map(grid, grid_error_map(grid, report))
    with progress_bar("middles of cells", "models") as report:
        return INTERPOLATION, interpolation_map(grid, instrument, report, options.workers)
