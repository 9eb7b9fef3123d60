"""``speclearn pretrain masked``: a transformer that guesses hidden parts of spectra."""

import click

from starsmith.cli.learn.pretrain.options import PretrainRequest, train_one
from starsmith.cli.shared.command import Command
from starsmith.cli.shared.option_table import takes

__all__ = ["masked"]


@click.command(
    cls=Command,
    examples=(
        "speclearn pretrain masked data.zarr --out masked/",
        "speclearn pretrain masked --bank bank.zarr --online --model masked_small --out small/",
        "speclearn pretrain masked desi.zarr --initial lrs/ --lora 4 --n 164 --out lrs-desi/",
        "speclearn pretrain masked lamost.zarr --model lrs_masked --recipe paper --out lrs/",
    ),
    resume="the last finished epoch is kept; run the same command again to continue",
)
@takes(PretrainRequest)
def masked(options: PretrainRequest) -> None:
    """Train a transformer that guesses hidden parts of spectra; labels are not looked at.

    Networks: lrs_masked (42.7 M parameters at 1462 pixels), xp_masked, masked_small (0.8 M) and
    masked_tiny (0.1 M).
    """
    train_one(options, "masked", "masked_tiny")
