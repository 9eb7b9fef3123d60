"""``specsim instrument`` and ``specsim snr``: what to expect before any star is simulated."""

from pathlib import Path

import click

from starsmith.cli.common import Command, CommandGroup, echo_json, json_option
from starsmith.cli.tables import text_table, text_tree
from starsmith.cli.types import Count, Range

__all__ = ["instrument", "snr"]


@click.group(cls=CommandGroup)
def instrument():
    """Look at instruments, and check them against the exposure-time calculator."""


instrument_option = click.option(
    "--instrument",
    "name",
    default="pfs_mr",
    show_default=True,
    help="A built-in instrument, or an instrument file.",
)
plot_option = click.option(
    "--plot", type=click.Path(path_type=Path), help="Figure to write (png, pdf, svg)."
)


@instrument.command("list", examples=("specsim instrument list",))
@json_option()
def list_command(as_json):
    """List the built-in instruments."""
    from starsmith.simulator.instruments import (
        instrument_summary,
        list_instruments,
        load_instrument,
    )

    found = [instrument_summary(load_instrument(name)) for name in list_instruments()]
    if as_json:
        echo_json("specsim.instrument.list", {"instruments": found})
    else:
        click.echo(text_table([{k: row[k] for k in ("name", "description")} for row in found]))


@instrument.command(
    "show",
    examples=("specsim instrument show pfs_mr", "specsim instrument show mine.toml --json"),
)
@click.argument("name")
@json_option()
def show(name, as_json):
    """Show every figure of an instrument, built in or an instrument file.

    Lists of the summary are at the blue end, the middle and the red end of the arm.
    """
    from starsmith.simulator.instruments import instrument_summary, load_instrument

    opened = load_instrument(name)
    figures = opened.resolved()
    figures["arms"] = {arm["name"]: arm for arm in figures["arms"]}
    report = {**instrument_summary(opened), "figures": figures}
    if as_json:
        echo_json("specsim.instrument.show", report)
    else:
        click.echo(text_tree(report))


@instrument.command(
    "validate",
    examples=("specsim instrument validate --against etc.csv --plot etc.png",),
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV table of the exposure-time calculator's output.",
)
@instrument_option
@plot_option
@json_option()
def validate(against, name, plot, as_json):
    """Compare S/N, signal and noise with those of the exposure-time calculator.

    All are ours over the calculator's, for the star and the conditions its file states.
    """
    from starsmith.cli.figures import check_suffix, plot_comparison
    from starsmith.simulator.instruments import compare_with_etc, load_instrument

    check_suffix(plot)
    comparison = compare_with_etc(load_instrument(name), against)
    if plot:
        plot_comparison(plot, comparison)
    report = {"instrument": name, "settings": comparison.settings, **comparison.summary()}
    if as_json:
        echo_json("specsim.instrument.validate", report)
    else:
        click.echo(text_tree(report))


@click.command(
    cls=Command,
    examples=(
        "specsim snr --mag 20.5-22.5 --exp-time 900 --exp-count 12",
        "specsim snr --mag 21.5 --seeing 1.0 --zenith-angle 45 --plot snr.png",
    ),
)
@click.option(
    "--mag", type=Range(), default="20.5..22.5", show_default=True,
    help="AB magnitude, the same at all wavelengths.",
)  # fmt: skip
@click.option(
    "--mag-step", type=click.FloatRange(0.01, 10), default=0.5, show_default=True,
    help="At most so far apart.",
)  # fmt: skip
@click.option("--exp-time", type=float, default=900.0, show_default=True, help="[s]")
@click.option("--exp-count", type=Count(), default=12, show_default=True, help="Exposures.")
@click.option(
    "--seeing", type=float, default=0.8, show_default=True, help="FWHM at 800 nm [arcsec]."
)
@click.option("--zenith-angle", type=float, default=35.0, show_default=True, help="[deg]")
@click.option(
    "--field-angle", type=float, default=0.45, show_default=True, help="From the centre [deg]."
)
@click.option(
    "--moon-phase", type=float, default=0.0, show_default=True, help="0 new, 0.5 full, 1 new."
)
@click.option("--moon-zenith-angle", type=float, default=45.0, show_default=True, help="[deg]")
@click.option("--moon-target-angle", type=float, default=60.0, show_default=True, help="[deg]")
@instrument_option
@plot_option
@json_option()
def snr(mag, mag_step, name, plot, as_json, **conditions):
    """Forecast S/N against magnitude, and what the noise consists of.

    S/N is that of the coadd: median over pixels, per pixel, Angstrom and resolution element.
    Then medians of each cause's fraction of the variance.
    """
    from starsmith.cli.figures import check_suffix
    from starsmith.cli.planning_figures import plot_forecast
    from starsmith.data_contract.names import CONDITIONS
    from starsmith.simulator.instruments import load_instrument
    from starsmith.simulator.planning import forecast_snr, magnitude_steps, observing_conditions

    check_suffix(plot)
    conditions = {name: conditions[name] for name in CONDITIONS}
    observed = observing_conditions(**conditions)
    forecast = forecast_snr(load_instrument(name), magnitude_steps(*mag, mag_step), observed)
    if plot:
        plot_forecast(plot, forecast, name, conditions)
    if as_json:
        report = {"instrument": name, "conditions": conditions, "rows": forecast.rows()}
        echo_json("specsim.snr", report)
    else:
        click.echo(text_table(forecast.rows()))
