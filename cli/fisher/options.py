"""Options that the commands of ``specfisher`` share."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.option_types import LABEL_NAMES, Count, Edges, Values
from starsmith.data_contract.errors import ConfigError

if TYPE_CHECKING:
    from starsmith.simulator.prior import Prior

__all__ = [
    "UNUSED_BY_CEILINGS",
    "effort_options",
    "normalise_option",
    "nuisance_option",
    "plot_option",
    "refuse_moving",
    "snr_bins_option",
    "star_option",
    "target_option",
]

UNUSED_BY_CEILINGS = ("n", "splits", "store", "format", "workers", "overwrite", "out", "seed")

normalise_option = click.option(
    "--normalise",
    type=click.Choice(["free", "known", "absolute"]),
    default="free",
    show_default=True,
    help="Amplitude unknown; its noise-free median known; the magnitude known.",
)


def effort_options(function):
    """Add ``--normalise --n-star --n-template --seed``."""
    options = (
        normalise_option,
        click.option(
            "--n-star", type=Count(30), default=2000, show_default=True, help="Test stars scored."
        ),
        click.option(
            "--n-template",
            type=Count(1000),
            default=40_000,
            show_default=True,
            help="Prior draws behind the posterior mean.",
        ),
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


snr_bins_option = click.option(
    "--snr-bins",
    type=Edges(),
    is_flag=False,
    flag_value="default",
    help="Also in bins of S/N: bare for 0,2,3,4,5,7,10,15,25,inf, `specvit` for the paper's "
    "2.5..28, or your own edges.",
)
nuisance_option = click.option(
    "--nuisance",
    default="",
    help="Fitted as well in Cramér-Rao bounds: rv, continuum:3, lsf, sky; with a prior, rv=5.",
)
target_option = click.option(
    "--target", type=click.Choice(LABEL_NAMES), default="logg", show_default=True
)
star_option = click.option(
    "--star", type=Values(), required=True, help="The star; labels left out are mid-range."
)
plot_option = click.option(
    "--plot", type=click.Path(path_type=Path), help="Figure (png, pdf, svg)."
)


def refuse_moving(prior: "Prior") -> None:
    """Raise ConfigError where stars have velocities, which these bounds would ignore."""
    if prior.moving:
        raise ConfigError("--rv: these are bounds of stars at rest; drop --rv")
