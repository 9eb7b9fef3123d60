"""``speclearn info``: the page of a trained model."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, argument, takes

__all__ = ["InfoOptions", "info"]


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """Options of ``speclearn info``."""

    model: Path = argument(type=EXISTING)
    as_json: bool = json_option()


@click.command(cls=Command, examples=("speclearn info vit/", "speclearn info ridge/ --json"))
@takes(InfoOptions)
def info(options: InfoOptions) -> None:
    """Say what MODEL is: what it was trained on, predicts and knows, and how it is used."""
    from starsmith.data_contract.files.digests import hash_file
    from starsmith.learners.adapter import ADAPTER, is_adapter, read_adapter
    from starsmith.learners.checkpoint import CARD, read_checkpoint
    from starsmith.learners.model_page import model_page

    adapted = is_adapter(options.model)
    card, _ = read_adapter(options.model) if adapted else read_checkpoint(options.model)
    name = ADAPTER if adapted else CARD
    digest = hash_file(options.model / name)["sha256"]
    if options.as_json:
        echo_json("speclearn.info", {"digest": digest, "card": card})
    else:
        click.echo(model_page(card, digest, options.model), nl=False)
