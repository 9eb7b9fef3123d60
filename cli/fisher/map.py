"""``specfisher map``: the least error of a label over temperature and gravity."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.fisher.options import (
    UNUSED_BY_CEILINGS,
    normalise_option,
    plot_option,
    refuse_moving,
    target_option,
)
from starsmith.cli.shared.command import Command, finish, json_option
from starsmith.cli.shared.option_table import grouped, option, takes
from starsmith.cli.shared.option_types import Values
from starsmith.cli.shared.options import BankSource, bank_options, config_option, prior_options
from starsmith.data_contract.quantities import UNITS
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.fisher import SigmaMap
    from starsmith.simulator.prior import Prior

__all__ = ["MapOptions", "sigma_map"]


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """Options of ``specfisher map``."""

    at: dict[str, float] = option(
        type=Values(), default="", help="Labels to hold, like m_h=-1; else mid-range."
    )
    target: str = target_option()
    normalise: str = normalise_option()
    plot: Path | None = plot_option()
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)
    prior: "Prior" = grouped(prior_options)


@click.command(
    "map",
    cls=Command,
    examples=(
        "specfisher map --mag 22 --plot map.png",
        "specfisher map --mag 21 --at m_h=-2 --target teff --json",
    ),
)
@takes(MapOptions)
@config_option(*UNUSED_BY_CEILINGS)
def sigma_map(options: MapOptions) -> None:
    """Map the least error of a label over teff and logg.

    Ranges of teff and logg span the map; other ranges stand for their middle.
    """
    from starsmith.data_contract.figure_kit import check_suffix, save_figure
    from starsmith.fisher import map_figure
    from starsmith.fisher import sigma_map as map_of

    check_suffix(options.plot)
    refuse_moving(options.prior)
    bank = options.source.open()
    found = map_of(bank, options.prior, options.target, options.at, options.normalise)
    if options.plot:
        save_figure(map_figure(found, bank.notice), options.plot)
    finish("specfisher.map", asdict(found), _describe(found), options.as_json, bank.notice)


def _describe(found: "SigmaMap") -> str:
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
