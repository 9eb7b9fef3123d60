"""``specfisher ceiling``: the best R² any estimator can reach."""

from pathlib import Path

import click

from starsmith.cli.fisher.options import (
    UNUSED_BY_CEILINGS,
    effort_options,
    nuisance_option,
    snr_bins_option,
    target_option,
)
from starsmith.cli.shared.command import Command, json_option
from starsmith.cli.shared.option_types import Numbers
from starsmith.cli.shared.options import (
    bank_options,
    config_option,
    flag,
    prior_options,
    typed_on_command_line,
)
from starsmith.cli.shared.progress import tell_ceiling
from starsmith.cli.shared.survey_options import noise_options, population_options, preset_option

__all__ = ["ceiling"]


@click.command(
    cls=Command,
    examples=(
        "specfisher ceiling --snr-bins",
        "specfisher ceiling --data data.zarr --snr-bins 0,5,10,inf --plot ceiling.png",
        "specfisher ceiling --mag 22-22.5 --target teff --out ceiling.ecsv",
        "specfisher ceiling --mags 20.5,21,22",
        "specfisher ceiling --preset specvit --mag 19..22.5 --snr-bins specvit",
        "specfisher ceiling --population stars.ecsv --sky-floor correlated --snr-bins",
        "specfisher ceiling --instrument pfs_b+pfs_r+pfs_n --population stars.ecsv --by-arm",
    ),
)
@snr_bins_option
@click.option(
    "--mags", type=Numbers(), default=(), help="A row per magnitude, instead of S/N bins and --mag."
)
@target_option
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="Score the test stars of this data set, with its bank and prior.",
)
@effort_options
@nuisance_option
@click.option(
    "--statistic",
    "statistics",
    help="Statistics to compute, with commas; `paper` is paper_median.  [default: all six]",
)
@click.option(
    "--derivative",
    type=click.Choice(["grid", "spline"]),
    default="grid",
    show_default=True,
    help="At nodes, for paper_median: three-point differences, or the spline's slope.",
)
@click.option("--by-arm", is_flag=True, help="Every arm by itself, beside all of them.")
@click.option("--noise-term", is_flag=True, help="Count what the variance itself tells.")
@click.option("--out", type=click.Path(path_type=Path), help="Table: .ecsv, .json or .md.")
@click.option("--plot", type=click.Path(path_type=Path), help="R2 against S/N (png, pdf, svg).")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@json_option()
@bank_options
@prior_options
@population_options
@preset_option
@noise_options
@config_option(*UNUSED_BY_CEILINGS)
def ceiling(source, prior, noise, preset, data, target, snr_bins, as_json, **choices):
    """Compute the best R2 any estimator can reach.

    `posterior_mean` is the one true ceiling; the other statistics are there to compare with
    what papers quote.
    """
    from starsmith.cli.fisher import ceiling_work as work
    from starsmith.fisher.ceilings.options import CeilingOptions

    out, plot = choices.pop("out"), choices.pop("plot")
    if choices["mags"] and (typed := typed_on_command_line("snr_bins", "data", "mag")):
        raise click.UsageError(f"--mags sets stars and rows; drop {', '.join(map(flag, typed))}")
    work.check_outputs(out, plot, choices.pop("overwrite"))
    choices["nuisances"] = work.parse_nuisances(choices.pop("nuisance"))
    if (chosen := work.parse_statistics(choices.pop("statistics"))) is not None:
        choices["statistics"] = chosen
    if snr_bins is not None:
        choices["snr_edges"] = snr_bins
    by_arm = choices.pop("by_arm")
    stars = work.chosen_stars(data, source, prior, noise, preset or "")
    table = stars.ceiling(target, CeilingOptions(**choices), by_arm, tell_ceiling)
    work.draw_ceiling(table, plot)
    table = table if snr_bins or choices["mags"] else work.pooled(table)
    work.write_ceiling(table, out)
    click.echo(table.to_json() if as_json else table.to_markdown())
