"""``specsim``: grids, banks, data sets and single spectra."""

from pathlib import Path

import click

from starsmith.cli.shared.command import (
    CommandGroup,
    echo_json,
    echo_notice,
    json_option,
    out_option,
    version_option,
)
from starsmith.cli.shared.option_types import SPLIT_NAMES, Count, SplitCounts
from starsmith.cli.shared.options import bank_options, config_option, prior_options
from starsmith.cli.shared.progress import progress_bar
from starsmith.cli.shared.survey_options import noise_options, population_options, preset_option
from starsmith.cli.shared.tables import text_tree
from starsmith.cli.sim.cache import cache
from starsmith.cli.sim.division import CREW_OPTIONS, crew_options
from starsmith.cli.sim.export import export
from starsmith.cli.sim.grid import grid
from starsmith.cli.sim.instrument import instrument
from starsmith.cli.sim.snr import snr

__all__ = ["main"]

UNUSED_BY_ONE_SPECTRUM = (
    *("n", "splits", "store", "format", "shard_rows", "workers", "overwrite", "out"),
    *CREW_OPTIONS,
)


@click.group(cls=CommandGroup, name="specsim")
@version_option()
def main():
    """Simulate Subaru/PFS spectra of stars."""


seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)


@main.command(
    examples=(
        "specsim generate --mag 20.5-22.5 -n 1e6",
        "specsim generate -n 2000 --logg 1-3 --seeing 0.8 --out giants.zarr --seed 7",
        "specsim generate --config run.toml --out data.zarr --dry-run",
        "specsim generate -n 1e9 --out big.zarr --shard-rows 16384 --emit-tasks slurm",
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
@click.option(
    "--shard-rows", type=Count(16), default=2048, show_default=True, help="Spectra in a shard."
)
@click.option("--workers", type=click.IntRange(1, 1024), default=2, show_default=True)
@crew_options
@click.option("--overwrite", is_flag=True, help="Replace a data set of another configuration.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, write nothing.")
@json_option()
@bank_options
@prior_options
@population_options
@preset_option
@noise_options
@config_option()
def generate(source, prior, dry_run, as_json, **request):
    """Write simulated spectra, divided into train, val and test, as a data set.

    The same command gives the same spectra whatever --workers is, and goes on where an
    interrupted one stopped.
    """
    from starsmith.cli.sim.generate import Request, describe

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
        echo_notice(report.get("notice", ""))


@main.command(
    examples=(
        "specsim spectrum --index 1234 --seed 7 --out spec.ecsv",
        "specsim spectrum --config data.zarr.toml --split test --index 0 --plot spec.png",
    ),
)
@click.option("--index", type=Count(minimum=0), required=True, help="Which spectrum of the split.")
@click.option("--split", type=click.Choice(SPLIT_NAMES), default="train", show_default=True)
@seed_option
@click.option("--out", type=click.Path(path_type=Path), help="ECSV table to write.")
@click.option("--exposures", type=click.Path(path_type=Path), help="Table of single exposures.")
@click.option("--plot", type=click.Path(path_type=Path), help="Figure to write (png, pdf, svg).")
@click.option("--plot-noise", type=click.Path(path_type=Path), help="Figure of the noise by term.")
@click.option("--overwrite", is_flag=True, help="Replace a table that is there.")
@json_option()
@bank_options
@prior_options
@population_options
@preset_option
@noise_options
@config_option(*UNUSED_BY_ONE_SPECTRUM)
def spectrum(source, prior, noise, preset, index, split, seed, as_json, **files):
    """Simulate one spectrum of a data set, bit for bit the one `generate` writes.

    The table holds wave, flux, error and mask: what `speclearn predict` reads.
    """
    from starsmith.cli.shared.figures import check_suffix, plot_spectrum
    from starsmith.cli.shared.files import check_table, refuse_existing
    from starsmith.cli.sim.noise_figures import plot_noise
    from starsmith.cli.sim.spectra import (
        single_spectrum,
        spectrum_summary,
        write_exposures,
        write_spectrum,
    )
    from starsmith.simulator.presets import settle

    out, exposures = files["out"], files["exposures"]
    plot, plot_terms = files["plot"], files["plot_noise"]
    for figure in (plot, plot_terms):
        check_suffix(figure)
    for table in (out, exposures):
        check_table(table)
        refuse_existing(table, files["overwrite"])
    bank = source.moving(prior.moving).reddened(prior.reddened).open()
    prior = settle(preset or "", bank, prior)
    batch = single_spectrum(bank, prior, (seed, split, index), noise)
    if out:
        write_spectrum(out, batch, bank)
    if plot_terms:
        plot_noise(plot_terms, batch, bank, noise)
    if exposures:
        write_exposures(exposures, batch, bank, noise)
    if plot:
        plot_spectrum(plot, batch, bank.notice)
    summary = spectrum_summary(batch, bank)
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
    "--reddening",
    is_flag=True,
    default=None,
    help="Also keep what seeing stars through dust takes.",
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
    from starsmith.cli.shared.files import refuse_existing

    refuse_existing(out, overwrite)
    rendered = source.rendering(rendering).open()
    if compress:
        from starsmith.simulator.rendering.compress import compress_bank

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
        echo_notice(rendered.notice)


main.add_command(cache)
main.add_command(export)
main.add_command(grid)
main.add_command(instrument)
main.add_command(snr)


if __name__ == "__main__":
    main()
