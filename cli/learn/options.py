"""Options that the commands of ``speclearn`` share."""

from typing import Any

from starsmith.cli.shared.option_table import option

__all__ = ["device_option"]


def device_option() -> Any:
    """``--device``: what networks run on."""
    return option(help="torch device.  [default: a GPU if there is one]")
