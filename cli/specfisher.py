"""``specfisher``: how good any estimator could be."""

from dataclasses import asdict
from pathlib import Path

import click

from starsmith.cli.fisher.fisher_options import (
    UNUSED_BY_CEILINGS,
    effort_options,
    normalise_option,
    nuisance_option,
    plot_option,
    snr_bins_option,
    star_option,
    target_option,
)
from starsmith.cli.fisher.plans import plan
from starsmith.cli.shared.command import CommandGroup, finish, json_option, version_option
from starsmith.cli.shared.option_types import LABEL_NAMES, Edges, Numbers, Values
from starsmith.cli.shared.options import (
    bank_options,
    config_option,
    flag,
    prior_options,
    typed_on_command_line,
)
from starsmith.cli.shared.survey_options import noise_options, population_options, preset_option
from starsmith.cli.shared.tables import text_table

__all__ = ["main"]


@click.group(cls=CommandGroup, name="specfisher")
@version_option()
def main():
    """Bound what any estimator can learn from a spectrum."""


main.add_command(plan)


@main.command(
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
    from starsmith.cli.fisher import ceilings
    from starsmith.fisher.ceilings.options import CeilingOptions

    out, plot = choices.pop("out"), choices.pop("plot")
    if choices["mags"] and (typed := typed_on_command_line("snr_bins", "data", "mag")):
        raise click.UsageError(f"--mags sets stars and rows; drop {', '.join(map(flag, typed))}")
    ceilings.check_outputs(out, plot, choices.pop("overwrite"))
    choices["nuisances"] = ceilings.parse_nuisances(choices.pop("nuisance"))
    if (chosen := ceilings.parse_statistics(choices.pop("statistics"))) is not None:
        choices["statistics"] = chosen
    if snr_bins is not None:
        choices["snr_edges"] = snr_bins
    by_arm = choices.pop("by_arm")
    stars = ceilings.chosen_stars(data, source, prior, noise, preset or "")
    table = stars.ceiling(target, CeilingOptions(**choices), by_arm, ceilings.tell)
    ceilings.draw_ceiling(table, plot)
    table = table if snr_bins or choices["mags"] else ceilings.pooled(table)
    ceilings.write_ceiling(table, out)
    click.echo(table.to_json() if as_json else table.to_markdown())


@main.command(
    examples=("specfisher compare predictions.ecsv --data data.zarr",),
)
@click.argument("predictions", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="The data set the predictions are for.",
)
@click.option("--target", type=click.Choice(LABEL_NAMES), help="Which label.  [default: first]")
@click.option("--snr-bins", type=Edges(), default="default", help="Bin edges, like 0,5,10,inf.")
@effort_options
@click.option("--plot", type=click.Path(path_type=Path), help="R2 against S/N (png, pdf, svg).")
@json_option()
def compare(predictions, data, target, snr_bins, as_json, plot, **choices):
    """Set PREDICTIONS beside the best possible ones for the same stars.

    A model that does better than the posterior mean knows something it cannot know: exit code 3.
    `efficiency` is the posterior mean's squared error over the model's; `gap` the R2 it lacks.
    """
    from starsmith.cli.fisher import ceilings
    from starsmith.cli.shared.figures import check_suffix
    from starsmith.fisher.ceilings.dataset_stars import compare_predictions
    from starsmith.fisher.ceilings.leak_test import check_leak
    from starsmith.fisher.ceilings.options import CeilingOptions
    from starsmith.simulator.generation.recorded import open_recorded

    check_suffix(plot)
    comparison, table, model = compare_predictions(
        predictions,
        open_recorded(data),
        target,
        CeilingOptions(snr_edges=snr_bins, **choices),
        ceilings.tell,
    )
    ceilings.draw_comparison(comparison, table, model, plot)
    finish(
        "specfisher.compare",
        {"model": model, "rows": [asdict(row) for row in comparison.rows]},
        text_table(ceilings.comparison_rows(comparison, table)),
        as_json,
        table.notice,
    )
    check_leak(comparison, model)


@main.command(
    examples=(
        "specfisher info --star teff=4750,logg=2.5,m_h=-1 --mag 21",
        "specfisher info --star teff=5750,logg=4.5,m_h=0 --target m_h --plot info.png",
        "specfisher info --star logg=2.5 --mag 21 --waterfall waterfall.png",
    ),
)
@star_option
@target_option
@normalise_option
@nuisance_option
@plot_option
@click.option(
    "--waterfall", type=click.Path(path_type=Path), help="Figure of what each unknown costs."
)
@json_option()
@bank_options
@prior_options
@config_option(*UNUSED_BY_CEILINGS)
def info(source, prior, star, target, normalise, nuisance, as_json, **figures):
    """Show where in a star's spectrum the information on a label sits, and what unknowns cost.

    Ranges stand for their middle; labels whose range has a width are fitted beside the target.
    --nuisance chooses what joins the waterfall; all of them, without priors, by default.
    """
    from starsmith.cli.fisher.ceilings import parse_nuisances
    from starsmith.cli.fisher.forecasts import (
        density_report,
        describe_density,
        draw_waterfall,
        refuse_moving,
        write_figure,
    )
    from starsmith.cli.shared.figures import check_suffix
    from starsmith.fisher import density_figure, free_labels, information_of_star, star_at
    from starsmith.fisher import waterfall as waterfall_of

    for figure in figures.values():
        check_suffix(figure)
    refuse_moving(prior)
    chosen = parse_nuisances(nuisance) if nuisance else None
    bank = source.open()
    draws = star_at(bank, prior, star)
    names = free_labels(bank, prior, target)
    found = information_of_star(bank, draws, target, names, normalise)
    report = density_report(found, draws, waterfall_of(bank, draws, target, names, chosen))
    if figures["plot"]:
        write_figure(figures["plot"], density_figure(found, bank.notice))
    draw_waterfall(figures["waterfall"], report, bank.notice)
    finish("specfisher.info", report, describe_density(report), as_json, bank.notice)


@main.command(
    "map",
    examples=(
        "specfisher map --mag 22 --plot map.png",
        "specfisher map --mag 21 --at m_h=-2 --target teff --json",
    ),
)
@click.option(
    "--at", type=Values(), default="", help="Labels to hold, like m_h=-1; else mid-range."
)
@target_option
@normalise_option
@plot_option
@json_option()
@bank_options
@prior_options
@config_option(*UNUSED_BY_CEILINGS)
def sigma_map(source, prior, at, target, normalise, plot, as_json):
    """Map the least error of a label over teff and logg.

    Ranges of teff and logg span the map; other ranges stand for their middle.
    """
    from starsmith.cli.fisher.forecasts import describe_map, refuse_moving, write_figure
    from starsmith.cli.shared.figures import check_suffix
    from starsmith.fisher import map_figure
    from starsmith.fisher import sigma_map as map_of

    check_suffix(plot)
    refuse_moving(prior)
    bank = source.open()
    found = map_of(bank, prior, target, at, normalise)
    if plot:
        write_figure(plot, map_figure(found, bank.notice))
    finish("specfisher.map", asdict(found), describe_map(found), as_json, bank.notice)


@main.command(
    examples=("specfisher check demo", "specfisher check bank.zarr --target m_h --json"),
)
@click.argument("grid_or_bank", metavar="GRID|BANK")
@click.option("--instrument", default="pfs_mr", show_default=True, help="To render a grid for.")
@target_option
@click.option(
    "--snr",
    type=click.FloatRange(min=0.1),
    default=7.1,
    show_default=True,
    help="Median S/N per pixel at which nodes are compared.",
)
@json_option()
@prior_options
@config_option(*UNUSED_BY_CEILINGS)
def check(grid_or_bank, instrument, prior, target, snr, as_json):
    """See whether a grid or bank is fit for ceilings, and hold it beside the published run.

    Nodes inside the ranges count, under the middle of the conditions.
    """
    from starsmith.cli.fisher.forecasts import describe_findings, refuse_moving, source_of
    from starsmith.fisher import check_bank

    refuse_moving(prior)
    bank = source_of(grid_or_bank, instrument).open()
    findings = check_bank(bank, prior, target, snr)
    rows = [asdict(finding) for finding in findings]
    finish("specfisher.check", {"checks": rows}, describe_findings(findings), as_json, bank.notice)


@main.command(examples=("specfisher selftest", "specfisher selftest --json"))
@json_option()
def selftest(as_json):
    """Check the ceilings against closed forms (seconds); exit code 1 if one fails."""
    from starsmith.data_contract.errors import StarsmithError
    from starsmith.fisher import run_selftest

    checks = [asdict(check) for check in run_selftest()]
    finish("specfisher.selftest", {"checks": checks}, text_table(checks), as_json)
    if failed := [check["name"] for check in checks if not check["ok"]]:
        raise StarsmithError(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
