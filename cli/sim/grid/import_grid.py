"""``specsim grid import``: a folder of spectra as a grid file."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    json_option,
    out_option,
    overwrite_option,
)
from starsmith.cli.shared.option_table import argument, option, takes
from starsmith.cli.shared.option_types import Count
from starsmith.cli.shared.progress import progress_bar

__all__ = ["ImportOptions", "import_grid"]


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of ``specsim grid import``."""

    folder: Path = argument(type=click.Path(exists=True, file_okay=False, path_type=Path))
    out: Path = out_option("Grid file to write.")
    wave_min: float | None = option(type=float, help="First vacuum wavelength kept [Angstrom].")
    wave_max: float | None = option(type=float, help="Last vacuum wavelength kept [Angstrom].")
    resolution: int | None = option(type=Count(), help="Take files of this resolution only.")
    workers: int = option(type=click.IntRange(1, 1024), default=1)
    overwrite: bool = overwrite_option("Replace a grid file.")
    as_json: bool = json_option()


@click.command(
    "import",
    cls=Command,
    examples=("specsim grid import bosz2017/ --out bosz.zarr --wave-min 6400 --wave-max 9100",),
)
@takes(ImportOptions)
def import_grid(options: ImportOptions) -> None:
    """Turn a FOLDER of BOSZ spectra into a grid file.

    Files that cannot be used are named, and the others imported.
    """
    from starsmith.simulator.grids import import_bosz

    out = options.out
    with progress_bar("import", "files") as progress:
        report = import_bosz(
            options.folder,
            out,
            options.wave_min,
            options.wave_max,
            options.resolution,
            options.workers,
            options.overwrite,
            progress,
        )
    if options.as_json:
        counts = {"imported": len(report.imported), "holes": len(report.holes)}
        echo_json("specsim.grid.import", {"out": str(out), **counts, "refused": report.refused})
        return
    for file, reason in report.refused:
        click.echo(f"refused {file}: {reason}", err=True)
    click.echo(f"{len(report.imported)} models, {len(report.holes)} holes: {out}")
