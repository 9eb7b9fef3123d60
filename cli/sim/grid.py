"""``specsim grid``: build, import and look at stellar grids."""

from pathlib import Path

import click

from starsmith.cli.shared.command import (
    CommandGroup,
    echo_json,
    echo_notice,
    json_option,
    out_option,
)
from starsmith.cli.shared.option_types import Count, Range
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.text_tables import text_table, text_tree

__all__ = ["grid"]


@click.group(cls=CommandGroup)
def grid():
    """Build, import and look at stellar grids."""


@grid.command(
    "build",
    examples=("specsim grid build", "specsim grid build --box 5d --out demo5d.zarr"),
    resume="finished models are kept; run the same command again to continue",
)
@click.option(
    "--box", type=click.Choice(["3d", "5d", "small"]), default="3d", show_default=True,
    help="3d is `--grid demo`; 5d adds [alpha/M] and [C/M]; small is for trials.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Also write the grid as a file.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
def grid_build(box, out, overwrite):
    """Build a demonstration grid, or find it in the cache (3d: 3 minutes on two cores)."""
    from starsmith.cli.sim.grids import build_box

    built = build_box(box, out, overwrite)
    click.echo(f"{built.valid.sum()} models of grid {built.name} ready")
    echo_notice(built.notice)


@grid.command(
    "plot",
    examples=(
        "specsim grid plot demo --out figures/",
        "specsim grid plot grid.zarr --out figures/ --reference sun.ecsv:5777,4.44,0",
    ),
)
@click.argument("name", default="demo")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for figures.")
@click.option(
    "--reference", "references", multiple=True,
    help="TABLE:TEFF,LOGG,M_H: a spectrum (columns wave, flux) to show differences from.",
)  # fmt: skip
def grid_plot(name, out, references):
    """Draw grid NAME: the Ca II triplet against labels, five stars, differences from references."""
    from starsmith.cli.sim.grids import draw_grid

    for path in draw_grid(name, out, references):
        click.echo(path)


@grid.command(
    "fetch",
    examples=(
        "specsim grid fetch bosz2017 --teff 3500..6500 --logg 0..5 --m-h -2.5..0.75 --out bosz/",
        "specsim grid fetch bosz2024 --teff 5000 --logg 4..5 --m-h -1..0.5 --out bosz/ --dry-run",
    ),
    resume="whole files are kept and parts continued; run the same command again",
)
@click.argument("archive", type=click.Choice(["bosz2017", "bosz2024"]))
@click.option("--teff", type=Range(), required=True, help="Effective temperature [K].")
@click.option("--logg", type=Range(), required=True, help="Surface gravity log g [dex(cgs)].")
@click.option("--m-h", type=Range(), required=True, help="Metallicity [M/H] [dex].")
@click.option("--a-m", type=Range(), default="0", show_default=True, help="[alpha/M] [dex].")
@click.option("--c-m", type=Range(), default="0", show_default=True, help="[C/M] [dex].")
@click.option("--resolution", type=Count(), default=50000, show_default=True, help="wave / FWHM.")
@click.option(
    "--format",
    type=click.Choice(["fits", "ascii", "text"]),
    help="bosz2017: fits (default), ascii.",
)
@click.option(
    "--microturbulence", type=Count(minimum=0), default=2, show_default=True, help="[km/s]"
)
@out_option("Folder for the files; goes on with what is there.")
@click.option("--base-url", help="A mirror of the archive.  [default: the archive at MAST]")
@click.option(
    "--connections",
    type=click.IntRange(1, 16),
    default=4,
    show_default=True,
    help="Files on the way at a time.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be fetched; open no connection.")
@json_option()
def grid_fetch(dry_run, as_json, **request):
    """Download a box of BOSZ spectra, ready for `specsim grid import`.

    Models the archive lacks are recorded as holes.
    """
    from starsmith.cli.sim.fetch import FetchRequest, describe

    run = FetchRequest.from_options(**request)
    report = run.estimate() if dry_run else run.fetch()
    if as_json:
        echo_json("specsim.grid.fetch", report)
    else:
        click.echo(describe(report))


@grid.command(
    "import",
    examples=("specsim grid import bosz2017/ --out bosz.zarr --wave-min 6900 --wave-max 9100",),
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@out_option("Grid file to write.")
@click.option("--wave-min", type=float, help="First vacuum wavelength kept [Angstrom].")
@click.option("--wave-max", type=float, help="Last vacuum wavelength kept [Angstrom].")
@click.option("--resolution", type=Count(), help="Take files of this resolution only.")
@click.option("--workers", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace a grid file.")
@json_option()
def grid_import(folder, out, as_json, **choices):
    """Turn a FOLDER of BOSZ spectra into a grid file.

    Files that cannot be used are named, and the others imported.
    """
    from starsmith.simulator.grids import import_bosz

    with progress_bar("import", "files") as progress:
        report = import_bosz(folder, out, progress=progress, **choices)
    if as_json:
        counts = {"imported": len(report.imported), "holes": len(report.holes)}
        echo_json("specsim.grid.import", {"out": str(out), **counts, "refused": report.refused})
        return
    for file, reason in report.refused:
        click.echo(f"refused {file}: {reason}", err=True)
    click.echo(f"{len(report.imported)} models, {len(report.holes)} holes: {out}")


@grid.command("info", examples=("specsim grid info demo", "specsim grid info bosz.zarr --json"))
@click.argument("grid_name", metavar="GRID")
@click.option("--plot", type=click.Path(path_type=Path), help="Figure of its coverage.")
@json_option()
def info(grid_name, plot, as_json):
    """Show the axes, coverage and origin of a GRID (demo or a grid file)."""
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.data_contract.grid.error_map import read_error_map
    from starsmith.simulator.figures.grid_figure import plot_grid
    from starsmith.simulator.grids import StellarGrid, grid_info, grid_path

    check_suffix(plot)
    with progress_bar(f"grid {grid_name}", "models") as report:
        opened = StellarGrid.open(grid_name, progress=report)
    info = grid_info(opened)
    error_map = read_error_map(grid_path(grid_name))
    info["interpolation_error"] = error_map.summary() if error_map else None
    if plot:
        plot_grid(plot, opened)
    if as_json:
        echo_json("specsim.grid.info", info)
    else:
        info["holes"] = len(info["holes"])
        click.echo(text_tree(info))


@grid.command("check", examples=("specsim grid check demo", "specsim grid check bosz.zarr --json"))
@click.argument("grid_name", metavar="GRID")
@json_option()
def check(grid_name, as_json):
    """Predict every node of a GRID from its neighbours; keep the error map in its file.

    Errors are rms of predicted / true - 1 at twice the node spacing; those at the grid's own
    spacing are inferred from the order with which they fall.
    """
    from starsmith.data_contract.grid.error_map import write_error_map
    from starsmith.simulator.grids import StellarGrid, grid_error_map, grid_path

    with progress_bar(f"grid {grid_name}", "models") as report:
        opened = StellarGrid.open(grid_name, progress=report)
    with progress_bar("check", "labels") as report:
        error_map = grid_error_map(opened, report)
    write_error_map(grid_path(grid_name), error_map)
    summary = error_map.summary()
    if as_json:
        echo_json("specsim.grid.check", {"name": opened.name, "interpolation_error": summary})
    else:
        click.echo(text_table([{"label": label, **row} for label, row in summary.items()]))
        echo_notice(opened.notice)
