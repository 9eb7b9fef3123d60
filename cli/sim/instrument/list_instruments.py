"""``specsim instrument list``: the built-in instruments."""

from dataclasses import dataclass

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import takes
from starsmith.data_contract.text_tables import text_table

__all__ = ["ListOptions", "list_instruments"]


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Options of ``specsim instrument list``."""

    as_json: bool = json_option()


@click.command("list", cls=Command, examples=("specsim instrument list",))
@takes(ListOptions)
def list_instruments(options: ListOptions) -> None:
    """List the built-in instruments."""
    from starsmith.simulator import instruments

    names = instruments.list_instruments()
    found = [instruments.instrument_summary(instruments.load_instrument(name)) for name in names]
    if options.as_json:
        echo_json("specsim.instrument.list", {"instruments": found})
    else:
        click.echo(text_table([{k: row[k] for k in ("name", "description")} for row in found]))
