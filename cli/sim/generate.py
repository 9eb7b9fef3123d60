"""``specsim generate``: data sets."""

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    echo_notice,
    json_option,
    out_option,
)
from starsmith.cli.shared.option_types import Count, SplitCounts
from starsmith.cli.shared.options import bank_options, config_option, prior_options
from starsmith.cli.shared.progress import progress_bar
from starsmith.cli.shared.survey_options import noise_options, population_options, preset_option
from starsmith.cli.sim.division import crew_options

__all__ = ["generate"]

seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)


@click.command(
    cls=Command,
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
    from starsmith.cli.sim.request import Request, describe

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
