"""``specsim targets``: the exposure of each of your targets, its S/N and its sigmas."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import Command, finish, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, flag, grouped, option, takes
from starsmith.cli.shared.option_types import LABEL_NAMES, Duration, Named, Values
from starsmith.cli.shared.options import (
    BankSource,
    bank_options,
    config_option,
    prior_options,
    typed_on_command_line,
)
from starsmith.data_contract.quantities import CONDITIONS, DUST
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from astropy.table import Table

    from starsmith.fisher import Goal
    from starsmith.fisher.survey.targets import Targets
    from starsmith.simulator.prior import Prior

__all__ = ["TargetOptions", "targets"]

SHOWN_ROWS = 40
LEFT_OUT = ("shortfall", "exp_total")  # of the terminal, which is narrow; the table has them
UNUSED = ("n", "splits", "store", "format", "shard_rows", "workers", "seed")


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """Options of ``specsim targets``."""

    table: Path = argument(type=EXISTING)
    snr: str | None = option(
        "--target-snr",
        help="S/N to reach: 'median>=10 in 840-870nm and min>=3 per angstrom in arm r'. Statistic: "
        "median, mean, min, max, p10; per pixel, angstrom, element; left out: median, per pixel, "
        "all wavelengths, all arms.",
    )
    sigma: dict[str, float] = option(
        "--target-sigma",
        type=Values((*LABEL_NAMES, "rv")),
        default="",
        help="Largest error allowed, of one label or several: logg=0.3,rv=5km/s.",
    )
    max_time: float = option(type=Duration(), default="12h", help="At most.")
    vary: str = option(
        type=Named(["exp_count", "exp_time"]),
        default="exp_count",
        help="More exposures of --exp-time, or --exp-count longer ones.",
    )
    sed: tuple[str, ...] = option(
        multiple=True,
        help="Spectrum of every target: grid (a star by its labels), flat, blackbody:KELVIN, or a "
        "table of wave and flux; may be repeated.  [default: the column sed, else grid]",
    )
    normalise: str = option(
        type=Named(["free", "known", "absolute"]),
        default="free",
        help="Of --target-sigma: amplitude unknown; its noise-free median known; magnitude known.",
    )
    out: Path | None = option(type=PATH, help="Table: .ecsv, .csv or .fits.")
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)
    prior: "Prior" = grouped(prior_options)

    def goal(self) -> "Goal | None":
        """What has to be reached; None if nothing is asked for."""
        from starsmith.fisher import Goal
        from starsmith.simulator.planning.snr_rule import parse_rules

        if self.snr is None and not self.sigma:
            return None
        if typed_on_command_line(self.vary):
            raise click.UsageError(
                f"{flag(self.vary)} is what is looked for; drop it, or --vary the other"
            )
        return Goal(
            sigma=self.sigma,
            snr=parse_rules(self.snr) if self.snr is not None else (),
            max_time=self.max_time,
            vary=self.vary,
            normalise=self.normalise,
        )


@click.command(
    cls=Command,
    examples=(
        "specsim targets targets.ecsv --target-snr 'median>=10 in 840-870nm' --out plan.ecsv",
        "specsim targets targets.ecsv --target-sigma logg=0.3,rv=5km/s --max-time 6h",
        "specsim targets targets.ecsv --target-snr 5/angstrom --sed flat --sed blackbody:4500",
        "specsim targets targets.ecsv --exp-time 15min --exp-count 8",
    ),
)
@takes(TargetOptions)
@config_option(*UNUSED)
def targets(options: TargetOptions) -> None:
    """Find the exposure, the S/N and the sigma of labels of every row of TABLE.

    TABLE has mag, and teff, logg and m_h of stars; it may have ebv, sed and observing conditions;
    what it lacks is the middle of its range. Without a goal the exposures are taken as given.
    A target that misses the goal is shown with the longest exposure. Write a sample with
    `specsim example targets`.
    """
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.tables.table_files import check_table, write_table
    from starsmith.fisher.survey.targets import plan_targets, read_targets
    from starsmith.simulator.instruments import load_instrument
    from starsmith.simulator.instruments.instrument import with_extinction

    check_table(options.out)
    refuse_existing(options.out, options.overwrite)
    goal, source = options.goal(), options.source
    found = read_targets(options.table, source.band, options.sed)
    star = found.is_star
    dusty = DUST in found.columns and bool(found.columns[DUST].max() > 0.0)
    if source.bank is not None and not star.all():
        raise click.UsageError("--bank holds stars; give --instrument for other sources")
    bank = source.reddened(dusty).open() if star.any() else None
    seen_by = load_instrument(source.instrument) if not star.all() else None
    seen_by = seen_by and with_extinction(seen_by, source.extinction)
    table = plan_targets(found, options.prior, goal, bank, seen_by)
    report = _report(options, found, goal, table)
    table.meta.update({name: value for name, value in report.items() if name != "rows"})
    if bank is not None and bank.notice:
        table.meta["notice"] = bank.notice
    if options.out:
        write_table(options.out, table)
    text = _describe(report, table, options.out)
    finish("specsim.targets", report, text, options.as_json, bank.notice if bank else "")


def _report(options: TargetOptions, found: "Targets", goal: "Goal | None", table: "Table") -> dict:
    """What was asked, under which conditions, and a row for every target."""
    middle = options.prior.with_population(None).middle().ranges
    sought = (goal.vary,) if goal else ()
    asked = [str(rule) for rule in goal.snr] if goal else []
    if goal:
        asked += [f"sigma({name}) <= {value:g}" for name, value in goal.sigma.items()]
    return {
        "goal": asked,
        "max_time": options.max_time,
        "fitted": [name.removeprefix("sigma_") for name in table.colnames if "sigma_" in name],
        "instrument": str(options.source.bank or options.source.instrument),
        "conditions": {n: middle[n][0] for n in CONDITIONS if n not in (*found.columns, *sought)},
        "n": len(table),
        "n_met": int(table["met"].sum()) if goal else None,
        "rows": [dict(zip(table.colnames, map(_plain, row), strict=True)) for row in table],
    }


def _plain(value: object) -> object:
    return value.item() if hasattr(value, "item") else str(value) if value is not None else None


def _describe(report: dict, table: "Table", out: Path | None) -> str:
    """Lay the plan out for a terminal."""
    if report["goal"]:
        hours = report["max_time"] / 3600.0
        head = f"{report['n_met']} of {report['n']} targets reach " + " and ".join(report["goal"])
        head += f" in {hours:g} h or less"
    else:
        head = f"{report['n']} targets with the exposures given"
    lines = [head]
    if report["fitted"]:
        lines.append(f"sigma: Cramér-Rao bound, fitting {', '.join(report['fitted'])}")
    sky = ", ".join(f"{name} {value:g}" for name, value in report["conditions"].items())
    lines.append(f"seen by {report['instrument']}; {sky}")
    names = [name for name in table.colnames if name not in LEFT_OUT]
    shown = [{name: row[name] for name in names} for row in report["rows"][:SHOWN_ROWS]]
    lines += ["", text_table(shown)]
    if len(table) > SHOWN_ROWS:
        lines.append(f"... and {len(table) - SHOWN_ROWS} more{f' in {out}' if out else ': --out'}")
    return "\n".join(lines)
