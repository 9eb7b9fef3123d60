"""What ``specfisher plan`` does between its options and the planned exposures."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from astropy.table import Table

from starsmith.cli.files import write_table
from starsmith.cli.forecasts import describe_plan, plan_report
from starsmith.cli.tables import text_table
from starsmith.data_contract.bank import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.names import UNITS
from starsmith.data_contract.population import read_population
from starsmith.fisher.exposure import Goal, plan_exposures
from starsmith.fisher.star_plan import StarPlan, plan_stars
from starsmith.fisher.stars import stars_at
from starsmith.simulator.generate import check_population
from starsmith.simulator.planning import magnitude_steps
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
    reports = [plan_report(plan_exposures(bank, prior, mag, one, star), one, star) for one in goals]
    names = [one.arm or "all" for one in goals]
    text = describe_plan(reports[0])
    for name, other in zip(names[1:], reports[1:], strict=True):
        text += f"\n\narm {name} alone\n\n{describe_plan(other)}"
    report = reports[0]
    if len(goals) > 1:
        report = {**report, "by_arm": dict(zip(names[1:], reports[1:], strict=True))}
    rows = [
        {"arm": name, **{k: np.nan if v is None else v for k, v in row.items()}}
        for name, one in zip(names, reports, strict=True)
        for row in one["rows"]
    ]
    return report, text, Table(rows)


def by_star(
    bank: Bank, prior: Prior, goal: Goal, path: Path, mag_step: float, by_arm: bool
) -> Result:
    """Plan the exposure of every star of a table by itself; report, text and table."""
    if by_arm:
        raise ConfigError("--by-arm: with --stars plan one --arm after the other")
    table = read_population(path)
    check_population(bank, table)
    known = (name for name in (*bank.label_names, "mag") if name in table.columns)
    values = {name: table.columns[name] for name in known}
    found = plan_stars(bank, prior, stars_at(bank, prior, values), goal)
    out = _star_table(values, found)
    reached = np.isfinite(found.time)
    summary = {
        "goal": asdict(goal),
        "stars": str(path),
        "fitted": list(found.fitted),
        "n": len(table),
        "n_reached": int(reached.sum()),
        "hours": float(found.time[reached].sum() / 3600.0),
        "rows": [dict(zip(out.colnames, map(_plain, row), strict=True)) for row in out],
    }
    return summary, _describe(summary, found, goal), out


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


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
