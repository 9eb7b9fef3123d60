"""``speclearn merge``: an adapter and its base as one checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    json_option,
    out_option,
    overwrite_option,
)
from starsmith.cli.shared.option_table import EXISTING, argument, option, takes

__all__ = ["MergeOptions", "merge"]


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """Options of ``speclearn merge``."""

    adapter: Path = argument(type=EXISTING)
    out: Path = out_option("Checkpoint folder to write.")
    base: Path | None = option(type=EXISTING, help="[default: where the adapter says]")
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "speclearn merge vit-lora/ --out vit-stars/",
        "speclearn merge vit-lora/ --base moved/vit/ --out vit-stars/",
    ),
)
@takes(MergeOptions)
def merge(options: MergeOptions) -> None:
    """Write the model that ADAPTER and its base make together as a checkpoint of its own."""
    from starsmith.learners.transfer.merge import merge as write

    card = write(options.adapter, options.out, options.base, options.overwrite)
    if options.as_json:
        echo_json("speclearn.merge", {"out": str(options.out), "card": card})
    else:
        click.echo(f"{card['model']}: {', '.join(card['labels'])}; {options.out}")
