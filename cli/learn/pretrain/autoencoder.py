"""``speclearn pretrain autoencoder``: a network that squeezes and restores spectra."""

import click

from starsmith.cli.learn.pretrain.options import PretrainRequest, train_one
from starsmith.cli.shared.command import Command
from starsmith.cli.shared.option_table import takes

__all__ = ["autoencoder"]


@click.command(
    cls=Command,
    examples=(
        "speclearn pretrain autoencoder xp.zarr --out xp/",
        "speclearn pretrain autoencoder xp.zarr --model xp_autoencoder --recipe paper --out xp/",
    ),
    resume="the last finished epoch is kept; run the same command again to continue",
)
@takes(PretrainRequest)
def autoencoder(options: PretrainRequest) -> None:
    """Train a network that squeezes spectra into a few numbers and restores them.

    Networks: xp_autoencoder (42.8 M parameters at 343 pixels), autoencoder_small (0.7 M) and
    autoencoder_tiny (0.1 M). Labels are not looked at.
    """
    train_one(options, "autoencoder", "autoencoder_tiny")
