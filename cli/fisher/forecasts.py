"""What single stars and surveys could tell, as text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from starsmith.cli.shared.files import staged_file
from starsmith.cli.shared.options import BankSource
from starsmith.cli.shared.tables import text_table
from starsmith.data_contract.bank.bank_file import BANK_SCHEMA
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.zarr_groups import schema_of
from starsmith.data_contract.quantities import UNITS
from starsmith.fisher.checks.bank_quality import Finding
from starsmith.fisher.figures import waterfall_figure
from starsmith.fisher.information.density import StarDensity
from starsmith.fisher.information.sigma_map import SigmaMap
from starsmith.fisher.information.waterfall import WaterfallStep
from starsmith.fisher.survey.exposure_plan import ExposurePlan, Goal
from starsmith.simulator.prior import Prior

__all__ = [
    "density_report",
    "describe_density",
    "describe_findings",
    "describe_map",
    "describe_plan",
    "draw_waterfall",
    "plan_report",
    "refuse_moving",
    "source_of",
    "write_figure",
]


def density_report(found: StarDensity, star: Draws, steps: Sequence[WaterfallStep]) -> dict:
    """Return the star, its bound, what its features and richest windows hold, and the waterfall."""
    labels = dict(zip(star.label_names, star.labels[0].tolist(), strict=True))
    return {
        "star": {**labels, "mag": float(star.mag[0])},
        "target": found.target,
        "fitted": list(found.names),
        "snr": found.snr,
        "sigma": found.sigma,
        "rho": found.rho,
        "features": [asdict(window) for window in found.features()],
        "windows": [asdict(window) for window in found.top()],
        "waterfall": [asdict(step) for step in steps],
    }


def describe_density(report: dict) -> str:
    """Lay the report out for a terminal."""
    head = (
        f"{_star_words(report)}: S/N {report['snr']:.1f}, sigma({report['target']}) >= "
        f"{report['sigma']:.3g} {UNITS[report['target']]}, fitting {', '.join(report['fitted'])} "
        f"(these leave {report['rho']:.0%} of the information)"
    )
    tables = [_shares(report[part], column) for part, column in COLUMNS.items()]
    steps = [
        {"unknown, one more per line": s["name"], "sigma": s["sigma"], "factor": s["factor"]}
        for s in report["waterfall"]
    ]
    return "\n\n".join((head, *tables, text_table(steps)))


def _star_words(report: dict) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in report["star"].items())


def draw_waterfall(path: Path | None, report: dict, notice: str) -> None:
    """Draw what each unknown costs where a figure was asked for."""
    if path is not None:
        steps = [WaterfallStep(**step) for step in report["waterfall"]]
        title = f"{_star_words(report)}; S/N {report['snr']:.1f} per pixel"
        write_figure(path, waterfall_figure(steps, report["target"], title, notice))


COLUMNS = {"features": "feature", "windows": "window [A]"}


def _shares(windows: list[dict], column: str) -> str:
    rows = [
        {
            column: window["name"],
            "width [A]": window["width"],
            "share": window["share"],
            "share if nuisances known": window["share_fixed"],
        }
        for window in windows
    ]
    return text_table(rows)


def describe_map(found: SigmaMap) -> str:
    """Lay every other point of the map out as a table: temperatures down, gravities across."""
    held = ", ".join(f"{name} {value:g}" for name, value in found.held.items())
    head = f"least sigma({found.target}) [{UNITS[found.target]}] at {held}, fitting "
    rows = [
        {"teff": f"{teff:.0f}"}
        | {f"logg {logg:g}": float(found.sigma[i, j]) for j, logg in gravities}
        for gravities in [list(enumerate(found.second))[::2]]
        for i, teff in list(enumerate(found.first))[::2]
    ]
    return f"{head}{', '.join(found.fitted)}\n\n{text_table(rows)}"


def plan_report(plan: ExposurePlan, goal: Goal, star: dict[str, float]) -> dict:
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


def describe_plan(report: dict) -> str:
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


def refuse_moving(prior: Prior) -> None:
    """Raise ConfigError where stars have velocities, which these bounds would ignore."""
    if prior.moving:
        raise ConfigError("--rv: these are bounds of stars at rest; drop --rv")


def source_of(name: str, instrument: str) -> BankSource:
    """Return the bank file of that name, or the bank to render from the grid of that name."""
    if schema_of(name) == BANK_SCHEMA:
        return BankSource(bank=Path(name))
    return BankSource(grid=name, instrument=instrument)


def describe_findings(findings: Sequence[Finding]) -> str:
    """Lay the findings out as a table; what deserves a look says so."""
    rows = [
        {
            "check": finding.name,
            "value": finding.value,
            "expected": finding.expected,
            "": "ok" if finding.ok else "LOOK",
            "remark": finding.remark,
        }
        for finding in findings
    ]
    return text_table(rows)


def write_figure(path: Path, figure) -> None:
    """Write a matplotlib figure; the suffix chooses the format."""
    with staged_file(path) as partial:
        figure.savefig(partial, dpi=150)
