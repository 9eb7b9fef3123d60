"""Options that the commands of ``specsim`` share."""

from functools import partial
from typing import Any

import click

from starsmith.cli.shared.completions import complete_instruments
from starsmith.cli.shared.option_table import PATH, OptionGroup, flag, option
from starsmith.cli.shared.option_types import Count, Measure

__all__ = [
    "condition_options",
    "instrument_option",
    "offset_option",
    "plot_option",
    "reff_option",
]

CONDITION_OPTIONS = {
    "exp_time": (Measure("exp_time"), 900.0, "[s], or 15min."),
    "exp_count": (Count(), 12, "Exposures."),
    "seeing": (Measure("seeing"), 0.8, "FWHM at 800 nm [arcsec]."),
    "zenith_angle": (Measure("zenith_angle"), 35.0, "[deg]"),
    "field_angle": (Measure("field_angle"), 0.45, "From the centre [deg]."),
    "moon_phase": (Measure("moon_phase"), 0.0, "0 new, 0.5 full, 1 new."),
    "moon_zenith_angle": (Measure("moon_zenith_angle"), 45.0, "[deg]"),
    "moon_target_angle": (Measure("moon_target_angle"), 60.0, "[deg]"),
}


def _conditions(defaults: bool) -> list[click.Parameter]:
    return [
        click.Option(
            [flag(name)],
            type=kind,
            help=meaning,
            **({"default": default, "show_default": True} if defaults else {}),
        )
        for name, (kind, default, meaning) in CONDITION_OPTIONS.items()
    ]


def condition_options(defaults: bool = True) -> OptionGroup:
    """One option per observing condition; without defaults they are None unless given."""
    return OptionGroup("conditions", partial(_conditions, defaults), dict)


def instrument_option() -> Any:
    """``--instrument``: the one that is looked at."""
    return option(
        default="pfs_mr",
        shell_complete=complete_instruments,
        help="A built-in instrument, an instrument file, or several joined by +, as b+m+n.",
    )


def plot_option() -> Any:
    """``--plot``: a figure to write."""
    return option(type=PATH, help="Figure to write (png, pdf, svg).")


def reff_option() -> Any:
    """``--reff``: how large the source in front of the fibre is."""
    return option(
        type=click.FloatRange(min=0),
        help="Half-light radius of an exponential disc [arcsec].  [default: the instrument's, 0]",
    )


def offset_option() -> Any:
    """``--offset``: where the source in front of the fibre is."""
    return option(
        type=click.FloatRange(min=0),
        help="Of the source from the fibre's centre [arcsec].  [default: the instrument's]",
    )
