"""``specsim``: grids, banks, data sets and single spectra."""

from pathlib import Path

import click

from starsmith.cli.common import CommandGroup, echo_json, json_option, version_option
from starsmith.cli.options import bank_options, config_option, prior_options
from starsmith.cli.planning import instrument, snr
from starsmith.cli.progress import progress_bar
from starsmith.cli.tables import text_table, text_tree
from starsmith.cli.types import SPLIT_NAMES, Count, Range, SplitCounts

__all__ = ["main"]

UNUSED_BY_ONE_SPECTRUM = ("n", "splits", "store", "format", "workers", "overwrite", "out")


@click.group(cls=CommandGroup, name="specsim")
@version_option()
def main():
    """Simulate Subaru/PFS spectra of stars."""


def out_option(help_text: str, default: str | None = None):
    """``--out``, required unless there is a default."""
    kind = click.Path(path_type=Path)
    if default is None:
        return click.option("--out", type=kind, required=True, help=help_text)
    return click.option("--out", type=kind, default=default, show_default=True, help=help_text)


seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)


@main.command(
    examples=(
        "specsim generate --mag 20.5-22.5 -n 1e6",
        "specsim generate -n 2000 --logg 1-3 --seeing 0.8 --out giants.zarr --seed 7",
        "specsim generate --config run.toml --out data.zarr --dry-run",
    ),
    resume="finished shards are kept; run the same command again to continue",
)
@click.option("-n", type=Count(), help="Spectra in all: 80 % train, val and test at most 1e4 each.")
@click.option("--splits", type=SplitCounts(), help="Spectra of each split, instead of -n.")
@out_option("Where to write the data set.", default="data.zarr")
@seed_option
@click.option(
    "--format",
    type=click.Choice(["zarr", "hdf5"]),
    default="zarr",
    show_default=True,
    help="hdf5 also exports the published layout: OUT/train.h5, ..., beside OUT/dataset.zarr.",
)
@click.option(
    "--store",
    type=click.Choice(["noiseless", "frozen", "keys"]),
    default="noiseless",
    show_default=True,
    help="What is stored: noiseless flux; one noisy flux and its error; or only the keys.",
)
@click.option("--workers", type=click.IntRange(1, 1024), default=2, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace a data set of another configuration.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, write nothing.")
@json_option()
@bank_options
@prior_options
@config_option()
def generate(source, prior, dry_run, as_json, **request):
    """Write simulated spectra, divided into train, val and test, as a data set.

    The same command gives the same spectra whatever --workers is, and goes on where an
    interrupted one stopped.
    """
    from starsmith.cli.generate import Request, describe

    run = Request.from_options(source=source, prior=prior, **request)
    if dry_run:
        report = run.estimate()
    else:
        with progress_bar("spectra") as progress:
            report = run.write(progress)
    if as_json:
        echo_json("specsim.generate", report)
    else:
        click.echo(describe(report))
        _echo_notice(report.get("notice", ""))


@main.command(
    examples=(
        "specsim spectrum --index 1234 --seed 7 --out spec.ecsv",
        "specsim spectrum --config data.zarr/config.toml --split test --index 0 --plot spec.png",
    ),
)
@click.option("--index", type=Count(minimum=0), required=True, help="Which spectrum of the split.")
@click.option("--split", type=click.Choice(SPLIT_NAMES), default="train", show_default=True)
@seed_option
@click.option("--out", type=click.Path(path_type=Path), help="ECSV table to write.")
@click.option("--plot", type=click.Path(path_type=Path), help="Figure to write (png, pdf, svg).")
@click.option("--overwrite", is_flag=True, help="Replace a table that is there.")
@json_option()
@bank_options
@prior_options
@config_option(*UNUSED_BY_ONE_SPECTRUM)
def spectrum(source, prior, index, split, seed, as_json, **files):
    """Simulate one spectrum of a data set, bit for bit the one `generate` writes.

    The table holds wave, flux, error and mask: what `speclearn predict` reads.
    """
    from starsmith.cli.figures import check_suffix, plot_spectrum
    from starsmith.cli.files import check_table, refuse_existing
    from starsmith.cli.spectra import single_spectrum, spectrum_summary, write_spectrum

    out, plot, overwrite = files["out"], files["plot"], files["overwrite"]
    check_suffix(plot)
    check_table(out)
    refuse_existing(out, overwrite)
    bank = source.moving(prior.moving).open()
    batch = single_spectrum(bank, prior, seed, split, index)
    if out:
        write_spectrum(out, batch, bank.notice)
    if plot:
        plot_spectrum(plot, batch, bank.notice)
    summary = spectrum_summary(batch)
    if as_json:
        echo_json("specsim.spectrum", summary)
    else:
        click.echo("  ".join(f"{name} {value:g}" for name, value in summary.items()))


@main.command(
    examples=(
        "specsim bank --grid demo --instrument pfs_mr --out bank.zarr",
        "specsim bank --grid bosz.zarr --velocity-step 10 --out moving.zarr",
        "specsim bank --bank bank.zarr --compress 1e-4 --out small.zarr",
    ),
)
@bank_options
@click.option(
    "--velocity-step",
    type=click.FloatRange(0.1, 100.0),
    help="Also keep what shifting in radial velocity takes, on steps of so many km/s (10).",
)
@click.option(
    "--interpolation", type=click.Choice(["cubic", "linear"]), help="Splines.  [default: cubic]"
)
@click.option(
    "--compress",
    type=click.FloatRange(1e-5, 0.1),
    help="Keep principal components only, to within this relative error (1e-4).",
)
@out_option("Where to write the bank.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@json_option()
def bank(source, out, overwrite, as_json, compress, **rendering):
    """Render a stellar grid to an instrument's pixels, once and for all."""
    from starsmith.cli.files import refuse_existing

    refuse_existing(out, overwrite)
    rendered = source.rendering(rendering).open()
    if compress:
        from starsmith.simulator.compress import compress_bank

        rendered = compress_bank(rendered, compress)
    rendered.save(out)
    report = {
        "out": str(out),
        "digest": rendered.digest,
        "n_node": len(rendered.coef),
        "n_wave": rendered.wave.size,
        "info": rendered.info,
        "notice": rendered.notice,
    }
    if as_json:
        echo_json("specsim.bank", report)
    else:
        click.echo(f"{report['n_node']} models at {report['n_wave']} pixels in {out}")
        if rendered.info:
            click.echo(text_tree(rendered.info))
        _echo_notice(rendered.notice)


@main.group()
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
    from starsmith.cli.grids import build_box

    built = build_box(box, out, overwrite)
    click.echo(f"{built.valid.sum()} models of grid {built.name} ready")
    _echo_notice(built.notice)


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
    from starsmith.cli.grids import draw_grid

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
    from starsmith.cli.fetch import FetchRequest, describe

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
    from starsmith.cli.figures import check_suffix, plot_grid
    from starsmith.data_contract.error_map import read_error_map
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
    from starsmith.data_contract.error_map import write_error_map
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
        _echo_notice(opened.notice)


main.add_command(instrument)
main.add_command(snr)


def _echo_notice(notice: str) -> None:
    if notice:
        click.echo(notice, err=True)


if __name__ == "__main__":
    main()
