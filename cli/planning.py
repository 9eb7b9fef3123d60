"""``specsim snr``: what to expect before any star is simulated."""

import click

from starsmith.cli.common import Command, echo_json, json_option
from starsmith.cli.planning_options import (
    condition_options,
    instrument_option,
    plot_option,
    source_options,
)
from starsmith.cli.tables import text_table
from starsmith.cli.types import Range

__all__ = ["snr"]


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
@condition_options()
@source_options
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
