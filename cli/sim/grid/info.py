"""``specsim grid info``: what a grid covers and where it is from."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import PATH, argument, option, takes
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.text_tables import text_tree

__all__ = ["InfoOptions", "info"]


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """Options of ``specsim grid info``."""

    grid: str = argument()
    plot: Path | None = option(type=PATH, help="Figure of its coverage.")
    as_json: bool = json_option()


@click.command(
    cls=Command, examples=("specsim grid info demo", "specsim grid info bosz.zarr --json")
)
@takes(InfoOptions)
def info(options: InfoOptions) -> None:
    """Show the axes, coverage and origin of a GRID (demo, demo-optical, demo-h or a grid file).

    A named grid that is not built yet is described as it will be; --plot builds it.
    """
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.data_contract.grid.error_map import read_error_map
    from starsmith.simulator.figures.grid_figure import plot_grid
    from starsmith.simulator.grids import StellarGrid, grid_info, grid_path
    from starsmith.simulator.grids.cached_demo import planned_grid
    from starsmith.simulator.grids.demo_ranges import DEMO_RANGES
    from starsmith.simulator.grids.known_maps import with_maps

    check_suffix(options.plot)
    path = grid_path(options.grid)
    if options.grid in DEMO_RANGES and not path.exists() and not options.plot:
        opened = with_maps(planned_grid(options.grid), options.grid)
        click.echo(f"{options.grid} is not built yet: it will be on first use", err=True)
    else:
        with progress_bar(f"grid {options.grid}", "models") as report:
            opened = StellarGrid.open(options.grid, progress=report)
    found = grid_info(opened)
    error_map = read_error_map(path)
    found["interpolation_error"] = error_map.summary() if error_map else None
    if options.plot:
        plot_grid(options.plot, opened)
    if options.as_json:
        echo_json("specsim.grid.info", found)
    else:
        found["holes"] = len(found["holes"])
        click.echo(text_tree(found))
