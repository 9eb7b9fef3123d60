"""Options that the commands of ``speclearn`` share."""

from pathlib import Path

import click

__all__ = ["device_option", "model_argument", "overwrite_option"]

model_argument = click.argument("model", type=click.Path(exists=True, path_type=Path))
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there.")
device_option = click.option("--device", help="torch device.  [default: a GPU if there is one]")
