"""``speclearn import specclip``: public weights as a run folder of ours."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, out_option
from starsmith.cli.shared.option_table import EXISTING, argument, takes

__all__ = ["ImportOptions", "specclip"]


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of ``speclearn import specclip``."""

    file: Path = argument(type=EXISTING)
    out: Path = out_option("Run folder to write.")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "speclearn import specclip lrs.safetensors --out lrs/",
        "speclearn embed lrs/ lamost.zarr --out emb.zarr",
    ),
)
@takes(ImportOptions)
def specclip(options: ImportOptions) -> None:
    """Write a SpecCLIP model of FILE (safetensors) as a folder that `speclearn embed` reads.

    FILE is recognised by its tensors: an LRS transformer, an XP autoencoder, or an aligned pair.
    Pickles (.ckpt) are refused; the message has the lines that convert one.
    """
    from starsmith.learners.pretrain.public_weights import import_specclip

    card = import_specclip(options.file, options.out)
    if options.as_json:
        echo_json("speclearn.import.specclip", {"out": str(options.out), "card": card})
    else:
        click.echo(f"{card['model']}, {card['wave']['n_wave']} pixels: {options.out}")
