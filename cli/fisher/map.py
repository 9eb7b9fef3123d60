"""``specfisher map``: the least error of a label over temperature and gravity."""

from dataclasses import asdict
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
from starsmith.cli.shared.option_types import Values
from starsmith.cli.shared.options import bank_options, config_option, prior_options
from starsmith.data_contract.figure_kit import save_figure
from starsmith.data_contract.quantities import UNITS
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.fisher import SigmaMap

__all__ = ["sigma_map"]


@click.command(
    "map",
    cls=Command,
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
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.fisher import map_figure
    from starsmith.fisher import sigma_map as map_of

    check_suffix(plot)
    refuse_moving(prior)
    bank = source.open()
    found = map_of(bank, prior, target, at, normalise)
    if plot:
        save_figure(map_figure(found, bank.notice), plot)
    finish("specfisher.map", asdict(found), _describe(found), as_json, bank.notice)


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
