"""``speclearn bench``: a whole comparison of models, from data to report."""

from pathlib import Path

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.data_contract.text_tables import text_table

__all__ = ["bench"]


@click.command(
    cls=Command,
    examples=(
        "speclearn bench --suite tiny --out bench/",
        "speclearn bench --suite specvit --plan",
        "speclearn bench --suite my_suite.toml --out bench/ --only scaling --bank bank.zarr",
    ),
    resume="finished runs are kept; run the same command again to continue",
)
@click.option("--suite", required=True, help="tiny, specvit, ... or a TOML file; see --plan.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="[default: bench/SUITE]"
)
@click.option("--plan", is_flag=True, help="List every run with its cost, and do nothing.")
@click.option("--only", multiple=True, metavar="TAG", help="Only runs of this comparison.")
@click.option("--report-only", is_flag=True, help="Write the report of what is there.")
@click.option(
    "--bank", type=click.Path(exists=True, path_type=Path),
    help="Bank of every data set.  [default: the suite's, or the demonstration grid's]",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 1024), default=2, show_default=True)
@device_option
@json_option()
def bench(suite, out, plan, only, report_only, bank, workers, device, as_json):
    """Generate data, train every model of a suite, judge them, write one report.

    OUT/report.html needs nothing but a browser; OUT/report.md has its figures beside it.
    Models that do better than is possible end the command with exit code 3, after the report.
    """
    from starsmith.cli.learn.bench_work import Bench, plan_rows

    if plan:
        rows = plan_rows(suite, only)
        if as_json:
            echo_json("speclearn.bench.plan", {"suite": suite, "runs": rows})
        else:
            click.echo(text_table(rows))
        return
    work = Bench.open(suite, out or Path("bench") / Path(suite).stem, bank, workers, device, only)
    if not report_only:
        work.run()
    summary = work.report()
    if as_json:
        echo_json("speclearn.bench", summary)
    else:
        click.echo(f"{text_table(summary['models'])}\n\n{summary['report']}")
    work.refuse_leaks()
