"""Options that the commands of ``specdata`` share."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.options import BANK_OPTIONS, typed_on_command_line

if TYPE_CHECKING:
    from starsmith.cli.shared.options import BankSource

__all__ = ["named_bank", "path_argument", "remake_option"]

path_argument = click.argument("path", type=click.Path(exists=True, path_type=Path))
remake_option = click.option(
    "--remake", is_flag=True, help="Also make every row again from its key and compare."
)


def named_bank(source: "BankSource") -> "BankSource | None":
    """The bank named on the command line; None where the recorded one is meant."""
    return source if typed_on_command_line(*BANK_OPTIONS) else None
