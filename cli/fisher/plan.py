"""``specfisher plan``: how long to expose."""

from pathlib import Path

import click

from starsmith.cli.fisher.options import UNUSED_BY_CEILINGS, normalise_option, refuse_moving
from starsmith.cli.shared.command import Command, finish, json_option
from starsmith.cli.shared.option_types import Count, Duration, Values
from starsmith.cli.shared.options import (
    bank_options,
    config_option,
    flag,
    prior_options,
    typed_on_command_line,
)

__all__ = ["plan"]


@click.command(
    cls=Command,
    examples=(
        "specfisher plan --target-sigma logg=0.3 --mag 20..22.5 --max-time 12h",
        "specfisher plan --target-sigma logg=0.3,m_h=0.15 --fraction 0.8 --mag 19..21",
        "specfisher plan --target-sigma logg=0.2 --star teff=4750,logg=2.5,m_h=-1 --mag 20",
        "specfisher plan --target-sigma logg=0.3 --stars targets.ecsv --out plan.ecsv",
    ),
)
@click.option(
    "--target-sigma",
    "sigma",
    type=Values(),
    required=True,
    help="Largest error allowed, of one label or several.",
)
@click.option(
    "--fraction",
    type=float,
    default=0.5,
    show_default=True,
    help="Of the stars that must be told so well.",
)
@click.option("--max-time", type=Duration(), default="12h", show_default=True, help="At most.")
@click.option(
    "--mag-step", type=click.FloatRange(min=0.01), default=0.5, show_default=True, help="Of --mag."
)
@click.option(
    "--vary",
    type=click.Choice(["exp_count", "exp_time"]),
    default="exp_count",
    show_default=True,
    help="More exposures of --exp-time, or --exp-count longer ones.",
)
@click.option("--star", type=Values(), default="", help="All stars are this one.")
@click.option(
    "--stars",
    type=click.Path(path_type=Path),
    help="Table of stars (teff logg m_h mag): the exposure of each by itself.",
)
@click.option("--arm", default="", help="Use this arm alone, by name or first letter.")
@click.option("--by-arm", is_flag=True, help="Every arm by itself, beside all of them.")
@click.option("--out", type=click.Path(path_type=Path), help="Table: .ecsv, .csv or .fits.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--n-star", type=Count(1), default=200, show_default=True, help="Stars drawn.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)
@normalise_option
@json_option()
@bank_options
@prior_options
@config_option(*(set(UNUSED_BY_CEILINGS) - {"seed"}))
def plan(source, prior, mag_step, star, stars, by_arm, as_json, **choices):
    """Find the exposure that tells a label well enough, and the faintest magnitude for it.

    Stars and conditions are drawn from the ranges; labels whose range has a width are fitted.
    With --stars each star of a table is planned by itself, under the middle of the conditions.
    """
    from starsmith.cli.fisher import plan_work
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.tables.table_files import check_table
    from starsmith.fisher import Goal

    if typed_on_command_line(choices["vary"]):
        raise click.UsageError(
            f"{flag(choices['vary'])} is what is looked for; drop it, or --vary the other"
        )
    if stars and (typed := typed_on_command_line("star", "mag", "mag_step", "fraction", "n_star")):
        raise click.UsageError(f"--stars has them already; drop {', '.join(map(flag, typed))}")
    if by_arm and choices["arm"]:
        raise click.UsageError("--by-arm takes every arm; drop --arm")
    out = choices.pop("out")
    check_table(out)
    refuse_existing(out, choices.pop("overwrite"))
    refuse_moving(prior)
    goal = Goal(**choices)
    bank = source.open()
    work = plan_work.by_star if stars else plan_work.by_magnitude
    report, text, table = work(bank, prior, goal, stars or star, mag_step, by_arm)
    plan_work.write_plan(out, table)
    finish("specfisher.plan", report, text, as_json, bank.notice)
