"""``specfisher plan``: how long to expose."""

from dataclasses import asdict, dataclass, fields, replace
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.fisher.options import (
    UNUSED_BY_CEILINGS,
    normalise_option,
    refuse_moving,
)
from starsmith.cli.shared.command import Command, finish, json_option, overwrite_option
from starsmith.cli.shared.option_table import PATH, flag, grouped, option, takes
from starsmith.cli.shared.option_types import LABEL_NAMES, Count, Duration, Named, Values
from starsmith.cli.shared.options import (
    BankSource,
    bank_options,
    config_option,
    prior_options,
    seed_option,
    typed_on_command_line,
)
from starsmith.data_contract.quantities import UNITS
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    import numpy as np
    from astropy.table import Table

    from starsmith.data_contract.bank.bank_file import Bank
    from starsmith.fisher import ExposurePlan, Goal
    from starsmith.fisher.survey.star_plan import StarPlan
    from starsmith.simulator.prior import Prior

__all__ = ["PlanOptions", "plan"]

PERCENTILES = (10.0, 50.0, 90.0)
RIVALS = ("star", "mag", "mag_step", "fraction", "n_star")  # of --stars


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Options of ``specfisher plan``."""

    sigma: dict[str, float] = option(
        "--target-sigma",
        type=Values((*LABEL_NAMES, "rv")),
        required=True,
        help="Largest error allowed, of one label or several, or of the radial velocity.",
    )
    fraction: float = option(
        type=float, default=0.5, help="Of the stars that must be told so well."
    )
    max_time: float = option(type=Duration(), default="12h", help="At most.")
    mag_step: float = option(type=click.FloatRange(min=0.01), default=0.5, help="Of --mag.")
    vary: str = option(
        type=Named(["exp_count", "exp_time"]),
        default="exp_count",
        help="More exposures of --exp-time, or --exp-count longer ones.",
    )
    star: dict[str, float] = option(type=Values(), default="", help="All stars are this one.")
    stars: Path | None = option(
        type=PATH, help="Table of stars (teff logg m_h mag): the exposure of each by itself."
    )
    arm: str = option(default="", help="Use this arm alone, by name or first letter.")
    by_arm: bool = option(is_flag=True, help="Every arm by itself, beside all of them.")
    out: Path | None = option(type=PATH, help="Table: .ecsv, .csv or .fits.")
    overwrite: bool = overwrite_option()
    n_star: int = option(type=Count(1), default=200, help="Stars drawn.")
    seed: int = seed_option()
    normalise: str = normalise_option()
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)
    prior: "Prior" = grouped(prior_options)

    def check(self) -> None:
        """Refuse options that contradict each other, and impossible outputs."""
        from starsmith.data_contract.files.atomic import refuse_existing
        from starsmith.data_contract.tables.table_files import check_table

        if typed_on_command_line(self.vary):
            raise click.UsageError(
                f"{flag(self.vary)} is what is looked for; drop it, or --vary the other"
            )
        if self.stars and (typed := typed_on_command_line(*RIVALS)):
            raise click.UsageError(f"--stars has them already; drop {', '.join(map(flag, typed))}")
        if self.by_arm and self.arm:
            raise click.UsageError("--by-arm takes every arm; drop --arm")
        check_table(self.out)
        refuse_existing(self.out, self.overwrite)
        refuse_moving(self.prior)

    def goals(self, bank: "Bank") -> list["Goal"]:
        """The goal with all arms together, then with each by itself if asked for."""
        from starsmith.fisher import Goal

        named = [entry.name for entry in fields(Goal) if hasattr(self, entry.name)]
        goal = Goal(**{name: getattr(self, name) for name in named})
        arms = [arm.name for arm in bank.noise.arms]
        alone = arms if self.by_arm and len(arms) > 1 else []
        return [goal, *(replace(goal, arm=name) for name in alone)]


@click.command(
    cls=Command,
    examples=(
        "specfisher plan --target-sigma logg=0.3 --mag 20..22.5 --max-time 12h",
        "specfisher plan --target-sigma logg=0.3,m_h=0.15 --fraction 0.8 --mag 19..21",
        "specfisher plan --target-sigma logg=0.2 --star teff=4750,logg=2.5,m_h=-1 --mag 20",
        "specfisher plan --target-sigma rv=3 --mag 20..22.5",
        "specfisher plan --target-sigma logg=0.3 --stars targets.ecsv --out plan.ecsv",
    ),
)
@takes(PlanOptions)
@config_option(*(set(UNUSED_BY_CEILINGS) - {"seed"}))
def plan(options: PlanOptions) -> None:
    """Find the exposure that tells a label well enough, and the faintest magnitude for it.

    Stars and conditions are drawn from the ranges; labels whose range has a width are fitted.
    With --stars each star of a table is planned by itself, under the middle of the conditions.
    """
    from starsmith.data_contract.tables.table_files import write_table

    options.check()
    bank = options.source.open()
    report, text, table = (_by_star if options.stars else _by_magnitude)(bank, options)
    if options.out:
        write_table(options.out, table)
    finish("specfisher.plan", report, text, options.as_json, bank.notice)


def _by_magnitude(bank: "Bank", options: PlanOptions) -> tuple[dict, str, "Table"]:
    """Plan exposures at each magnitude of the prior; report, text and table."""
    from astropy.table import Table

    from starsmith.fisher.survey.exposure_plan import plan_exposures
    from starsmith.simulator.planning.forecast import magnitude_steps

    prior, star, goals = options.prior, options.star, options.goals(bank)
    mag = magnitude_steps(*prior.ranges["mag"], options.mag_step)
    reports = [
        _magnitude_report(plan_exposures(bank, prior, mag, one, star), one, star) for one in goals
    ]
    names = [one.arm or "all" for one in goals]
    text = _describe_magnitudes(reports[0])
    for name, other in zip(names[1:], reports[1:], strict=True):
        text += f"\n\narm {name} alone\n\n{_describe_magnitudes(other)}"
    report = reports[0]
    if len(goals) > 1:
        report = {**report, "by_arm": dict(zip(names[1:], reports[1:], strict=True))}
    rows = [
        {"arm": name, **{k: nan if v is None else v for k, v in row.items()}}
        for name, one in zip(names, reports, strict=True)
        for row in one["rows"]
    ]
    return report, text, Table(rows)


def _magnitude_report(plan: "ExposurePlan", goal: "Goal", star: dict[str, float]) -> dict:
    """Return the goal, the exposures by magnitude and the magnitude limit."""
    rows = [
        {
            "mag": float(plan.mag[k]),
            "exp_count": int(count) if isfinite(count) else None,
            "exp_time": float(plan.exp_time[k]),
            "hours": float(plan.time[k]) / 3600.0,
            "snr": float(plan.snr[k]),
            "shortfall": float(plan.shortfall[k]),
        }
        for k, count in enumerate(plan.exp_count)
    ]
    return {
        "goal": asdict(goal),
        "star": star,
        "fitted": list(plan.fitted),
        "rows": rows,
        "mag_limit": plan.mag_limit,
    }


def _describe_magnitudes(report: dict) -> str:
    """Lay the plan out for a terminal."""
    goal = report["goal"]
    wanted = ", ".join(f"sigma({name}) <= {value:g}" for name, value in goal["sigma"].items())
    who = f"{goal['fraction']:.0%} of {goal['n_star']} stars"
    if report["star"]:
        labels = ", ".join(f"{name} {value:g}" for name, value in report["star"].items())
        who = f"a star of {labels} in {goal['fraction']:.0%} of {goal['n_star']} conditions"
    hours = goal["max_time"] / 3600.0
    head = f"{wanted} for {who}, fitting {', '.join(report['fitted'])}"
    limit = f"magnitude limit in {hours:g} h: {report['mag_limit']:.2f}"
    limit += f" (shortfall: sigma after {hours:g} h over the goal)"
    return f"{head}\n\n{text_table(report['rows'])}\n\n{limit}"


def _by_star(bank: "Bank", options: PlanOptions) -> tuple[dict, str, "Table"]:
    """Plan the exposure of every star of a table by itself; report, text and table."""
    from astropy.table import vstack

    from starsmith.data_contract.tables.population import read_population
    from starsmith.fisher.stars import stars_at
    from starsmith.fisher.survey.star_plan import plan_stars
    from starsmith.simulator.generation.generate import check_population

    prior, goals = options.prior, options.goals(bank)
    table = read_population(options.stars, bank.mag_band)
    check_population(bank, table)
    known = (name for name in (*bank.label_names, "mag") if name in table.columns)
    values = {name: table.columns[name] for name in known}
    stars = stars_at(bank, prior, values)
    plans = [plan_stars(bank, prior, stars, one) for one in goals]
    tables = [_star_table(values, found) for found in plans]
    summaries = [
        _star_summary(options.stars, one, found, out)
        for one, found, out in zip(goals, plans, tables, strict=True)
    ]
    text = _describe(summaries[0], plans[0], goals[0])
    if len(goals) == 1:
        return summaries[0], text, tables[0]
    alone = {one.arm: summary for one, summary in zip(goals[1:], summaries[1:], strict=True)}
    for one, summary, found in zip(goals[1:], summaries[1:], plans[1:], strict=True):
        text += f"\n\narm {one.arm} alone\n\n{_describe(summary, found, one)}"
    for one, out in zip(goals, tables, strict=True):
        out.add_column([one.arm or "all"] * len(out), index=0, name="arm")
    return {**summaries[0], "by_arm": alone}, text, vstack(tables)


def _star_summary(path: Path, goal: "Goal", found: "StarPlan", out: "Table") -> dict:
    """Goal, stars that reach it and the time they take, and a row for every star."""
    import numpy as np

    reached = np.isfinite(found.time)
    return {
        "goal": asdict(goal),
        "stars": str(path),
        "fitted": list(found.fitted),
        "n": len(out),
        "n_reached": int(reached.sum()),
        "hours": float(found.time[reached].sum() / 3600.0),
        "rows": [dict(zip(out.colnames, map(float, row), strict=True)) for row in out],
    }


def _star_table(values: dict[str, "np.ndarray"], found: "StarPlan") -> "Table":
    from astropy.table import Table

    table = Table({name: column for name, column in values.items()})
    for name in values:
        table[name].description = f"[{UNITS[name]}]"
    for name in ("exp_count", "exp_time", "snr", "shortfall"):
        table[name] = getattr(found, name)
    table["exp_time"].unit = "s"
    return table


def _describe(summary: dict, found: "StarPlan", goal: "Goal") -> str:
    import numpy as np

    wanted = ", ".join(f"sigma({name}) <= {value:g}" for name, value in goal.sigma.items())
    hours = goal.max_time / 3600.0
    head = (
        f"{wanted}, fitting {', '.join(summary['fitted'])}: {summary['n_reached']} of "
        f"{summary['n']} stars reach it in {hours:g} h or less"
    )
    reached = np.isfinite(found.time)
    if not reached.any():
        return head
    rows = [
        {
            "percentile": f"{p:g}",
            "exp_count": float(np.percentile(found.exp_count[reached], p)),
            "hours": float(np.percentile(found.time[reached], p) / 3600.0),
            "snr": float(np.percentile(found.snr[reached], p)),
        }
        for p in PERCENTILES
    ]
    return f"{head}\n\n{text_table(rows)}"
