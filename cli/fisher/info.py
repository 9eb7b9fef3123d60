"""``specfisher info``: where the information on a label sits in a star's spectrum."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.fisher.options import (
    UNUSED_BY_CEILINGS,
    normalise_option,
    nuisance_option,
    parse_nuisances,
    plot_option,
    refuse_moving,
    star_option,
    target_option,
)
from starsmith.cli.shared.command import Command, finish, json_option
from starsmith.cli.shared.option_table import PATH, grouped, option, takes
from starsmith.cli.shared.options import BankSource, bank_options, config_option, prior_options
from starsmith.data_contract.quantities import UNITS
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.data_contract.draws import Draws
    from starsmith.fisher.information.density import StarDensity
    from starsmith.fisher.information.waterfall import WaterfallStep
    from starsmith.simulator.prior import Prior

__all__ = ["InfoOptions", "info"]

COLUMNS = {"features": "feature", "windows": "window [A]"}


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """Options of ``specfisher info``."""

    star: dict[str, float] = star_option()
    target: str = target_option()
    normalise: str = normalise_option()
    nuisance: str = nuisance_option()
    plot: Path | None = plot_option()
    waterfall: Path | None = option(type=PATH, help="Figure of what each unknown costs.")
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)
    prior: "Prior" = grouped(prior_options)


@click.command(
    cls=Command,
    examples=(
        "specfisher info --star teff=4750,logg=2.5,m_h=-1 --mag 21",
        "specfisher info --star teff=5750,logg=4.5,m_h=0 --target m_h --plot info.png",
        "specfisher info --star logg=2.5 --mag 21 --waterfall waterfall.png",
    ),
)
@takes(InfoOptions)
@config_option(*UNUSED_BY_CEILINGS)
def info(options: InfoOptions) -> None:
    """Show where in a star's spectrum the information on a label sits, and what unknowns cost.

    Ranges stand for their middle; labels whose range has a width are fitted beside the target.
    --nuisance chooses what joins the waterfall; all of them, without priors, by default.
    """
    from starsmith.data_contract.figure_kit import check_suffix, save_figure
    from starsmith.fisher import (
        density_figure,
        free_labels,
        information_of_star,
        star_at,
        waterfall,
        waterfall_figure,
    )

    prior, target = options.prior, options.target
    for figure in (options.plot, options.waterfall):
        check_suffix(figure)
    refuse_moving(prior)
    nuisances = parse_nuisances(options.nuisance) if options.nuisance else None
    bank = options.source.open()
    draws = star_at(bank, prior, options.star)
    names = free_labels(bank, prior, target)
    found = information_of_star(bank, draws, target, names, options.normalise)
    steps = waterfall(bank, draws, target, names, nuisances)
    report = _report(found, draws, steps)
    if options.plot:
        save_figure(density_figure(found, bank.notice), options.plot)
    if options.waterfall:
        title = f"{_star_words(report)}; S/N {report['snr']:.1f} per pixel"
        save_figure(waterfall_figure(steps, target, title, bank.notice), options.waterfall)
    finish("specfisher.info", report, _describe(report), options.as_json, bank.notice)


def _report(found: "StarDensity", star: "Draws", steps: Sequence["WaterfallStep"]) -> dict:
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


def _describe(report: dict) -> str:
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
