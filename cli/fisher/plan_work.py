"""What ``specfisher plan`` does between its options and the planned exposures."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.quantities import UNITS
from starsmith.data_contract.tables.population import read_population
from starsmith.data_contract.tables.table_files import write_table
from starsmith.data_contract.text_tables import text_table
from starsmith.fisher.stars import stars_at
from starsmith.fisher.survey.exposure_plan import ExposurePlan, Goal, plan_exposures
from starsmith.fisher.survey.star_plan import StarPlan, plan_stars
from starsmith.simulator.generation.generate import check_population
from starsmith.simulator.planning.forecast import magnitude_steps
from starsmith.simulator.prior import Prior

__all__ = ["by_magnitude", "by_star", "write_plan"]

Result = tuple[dict, str, Table]
PERCENTILES = (10.0, 50.0, 90.0)


def _goals(bank: Bank, goal: Goal, by_arm: bool) -> list[Goal]:
    """The goal with all arms together, then with each by itself if asked for."""
    arms = [arm.name for arm in bank.noise.arms] if by_arm and len(bank.noise.arms) > 1 else []
    return [goal, *(replace(goal, arm=name) for name in arms)]


def by_magnitude(
    bank: Bank, prior: Prior, goal: Goal, star: dict[str, float], mag_step: float, by_arm: bool
) -> Result:
    """Plan exposures at each magnitude of the prior; report, text and table."""
    mag = magnitude_steps(*prior.ranges["mag"], mag_step)
    goals = _goals(bank, goal, by_arm)
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
        {"arm": name, **{k: np.nan if v is None else v for k, v in row.items()}}
        for name, one in zip(names, reports, strict=True)
        for row in one["rows"]
    ]
    return report, text, Table(rows)


def _magnitude_report(plan: ExposurePlan, goal: Goal, star: dict[str, float]) -> dict:
    """Return the goal, the exposures by magnitude and the magnitude limit."""
    rows = [
        {
            "mag": float(plan.mag[k]),
            "exp_count": int(count) if np.isfinite(count) else None,
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


def by_star(
    bank: Bank, prior: Prior, goal: Goal, path: Path, mag_step: float, by_arm: bool
) -> Result:
    """Plan the exposure of every star of a table by itself; report, text and table."""
    table = read_population(path, bank.mag_band)
    check_population(bank, table)
    known = (name for name in (*bank.label_names, "mag") if name in table.columns)
    values = {name: table.columns[name] for name in known}
    stars = stars_at(bank, prior, values)
    goals = _goals(bank, goal, by_arm)
    plans = [plan_stars(bank, prior, stars, one) for one in goals]
    tables = [_star_table(values, found) for found in plans]
    summaries = [
        _star_summary(path, one, found, out)
        for one, found, out in zip(goals, plans, tables, strict=True)
    ]
    text = _describe(summaries[0], plans[0], goal)
    if len(goals) == 1:
        return summaries[0], text, tables[0]
    alone = {one.arm: summary for one, summary in zip(goals[1:], summaries[1:], strict=True)}
    for one, summary, found in zip(goals[1:], summaries[1:], plans[1:], strict=True):
        text += f"\n\narm {one.arm} alone\n\n{_describe(summary, found, one)}"
    for one, out in zip(goals, tables, strict=True):
        out.add_column(np.full(len(out), one.arm or "all"), index=0, name="arm")
    return {**summaries[0], "by_arm": alone}, text, vstack(tables)


def _star_summary(path: Path, goal: Goal, found: StarPlan, out: Table) -> dict:
    """Goal, stars that reach it and the time they take, and a row for every star."""
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


def _star_table(values: dict[str, np.ndarray], found: StarPlan) -> Table:
    table = Table({name: np.asarray(column) for name, column in values.items()})
    for name in values:
        table[name].description = f"[{UNITS[name]}]"
    for name in ("exp_count", "exp_time", "snr", "shortfall"):
        table[name] = getattr(found, name)
    table["exp_time"].unit = "s"
    return table


def _describe(summary: dict, found: StarPlan, goal: Goal) -> str:
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


def write_plan(out: Path | None, table: Table) -> None:
    """Write the planned exposures where a table was asked for."""
    if out is not None:
        write_table(out, table)
