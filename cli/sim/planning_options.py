"""Options of commands about instruments: which one, in front of what, under which conditions."""

from pathlib import Path

import click

from starsmith.cli.shared.option_types import Count

__all__ = ["condition_options", "instrument_option", "plot_option", "source_options"]

instrument_option = click.option(
    "--instrument",
    "name",
    default="pfs_mr",
    show_default=True,
    help="A built-in instrument, an instrument file, or several joined by +, as b+m+n.",
)
plot_option = click.option(
    "--plot", type=click.Path(path_type=Path), help="Figure to write (png, pdf, svg)."
)

CONDITION_OPTIONS = {
    "exp_time": (float, 900.0, "[s]"),
    "exp_count": (Count(), 12, "Exposures."),
    "seeing": (float, 0.8, "FWHM at 800 nm [arcsec]."),
    "zenith_angle": (float, 35.0, "[deg]"),
    "field_angle": (float, 0.45, "From the centre [deg]."),
    "moon_phase": (float, 0.0, "0 new, 0.5 full, 1 new."),
    "moon_zenith_angle": (float, 45.0, "[deg]"),
    "moon_target_angle": (float, 60.0, "[deg]"),
}
SOURCE_OPTIONS = {
    "reff": "Half-light radius of an exponential disc [arcsec].  [default: the instrument's, 0]",
    "offset": "Of the source from the fibre's centre [arcsec].  [default: the instrument's]",
}


def condition_options(defaults: bool = True):
    """Add one option per observing condition; without defaults they are None unless given."""

    def add(function):
        for name, (kind, default, meaning) in reversed(CONDITION_OPTIONS.items()):
            chosen = {"default": default, "show_default": True} if defaults else {}
            flag = f"--{name.replace('_', '-')}"
            function = click.option(flag, name, type=kind, help=meaning, **chosen)(function)
        return function

    return add


def source_options(function):
    """Add ``--reff`` and ``--offset`` of the source in front of the fibre."""
    for name, meaning in reversed(SOURCE_OPTIONS.items()):
        kind = click.FloatRange(min=0)
        function = click.option(f"--{name}", name, type=kind, help=meaning)(function)
    return function
