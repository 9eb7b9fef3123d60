"""``specsim grid check``: how well a grid can be interpolated."""

from dataclasses import dataclass

import click

from starsmith.cli.shared.command import Command, echo_json, echo_notice, json_option
from starsmith.cli.shared.option_table import argument, takes
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.text_tables import text_table

__all__ = ["CheckOptions", "check"]


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Options of ``specsim grid check``."""

    grid: str = argument()
    as_json: bool = json_option()


@click.command(
    cls=Command, examples=("specsim grid check demo", "specsim grid check bosz.zarr --json")
)
@takes(CheckOptions)
def check(options: CheckOptions) -> None:
    """Predict every node of a GRID from its neighbours; keep the error map in its file.

    Errors are rms of predicted / true - 1 at twice the node spacing; those at the grid's own
    spacing are inferred from the order with which they fall.
    """
    from starsmith.data_contract.grid.error_map import write_error_map
    from starsmith.simulator.grids import StellarGrid, grid_error_map, grid_path

    with progress_bar(f"grid {options.grid}", "models") as report:
        opened = StellarGrid.open(options.grid, progress=report)
    with progress_bar("check", "labels") as report:
        error_map = grid_error_map(opened, report)
    write_error_map(grid_path(options.grid), error_map)
    summary = error_map.summary()
    if options.as_json:
        echo_json("specsim.grid.check", {"name": opened.name, "interpolation_error": summary})
    else:
        click.echo(text_table([{"label": label, **row} for label, row in summary.items()]))
        echo_notice(opened.notice)
