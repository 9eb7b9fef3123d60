"""``specsim instrument show``: every figure of an instrument."""

from dataclasses import dataclass

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import argument, takes
from starsmith.data_contract.text_tables import text_tree

__all__ = ["ShowOptions", "show"]


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """Options of ``specsim instrument show``."""

    name: str = argument()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=("specsim instrument show pfs_mr", "specsim instrument show mine.toml --json"),
)
@takes(ShowOptions)
def show(options: ShowOptions) -> None:
    """Show every figure of an instrument, built in or an instrument file.

    Lists of the summary are at the blue end, the middle and the red end of the arm.
    """
    from starsmith.simulator.instruments import instrument_summary, load_instrument

    opened = load_instrument(options.name)
    figures = opened.resolved()
    for part in (figures, *figures.get("members", ())):
        part["arms"] = {arm["name"]: arm for arm in part["arms"]}
    if "members" in figures:
        figures["members"] = {member["name"]: member for member in figures["members"]}
    report = {**instrument_summary(opened), "figures": figures}
    if options.as_json:
        echo_json("specsim.instrument.show", report)
    else:
        click.echo(text_tree(report))
