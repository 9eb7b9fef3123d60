"""``specsim snr``: what to expect before any star is simulated."""

from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_types import Range
from starsmith.cli.sim.planning_options import (
    condition_options,
    instrument_option,
    plot_option,
    source_options,
)
from starsmith.data_contract.text_tables import text_table

__all__ = ["snr"]


@click.command(
    cls=Command,
    examples=(
        "specsim snr --mag 20.5-22.5 --exp-time 900 --exp-count 12",
        "specsim snr --mag 21.5 --seeing 1.0 --zenith-angle 45 --plot snr.png",
        "specsim snr --instrument pfs_lr --sed blackbody:4500 --mag 20-22 --plot lr.png",
        "specsim snr --instrument b+m+n --sed galaxy.ecsv --mag-band ab8000 --reff 0.3",
    ),
)
@click.option(
    "--mag", type=Range(), default="20.5..22.5", show_default=True,
    help="AB magnitude in --mag-band; of a flat source, at all wavelengths.",
)  # fmt: skip
@click.option(
    "--mag-step", type=click.FloatRange(0.01, 10), default=0.5, show_default=True,
    help="At most so far apart.",
)  # fmt: skip
@click.option(
    "--sed", default="flat", show_default=True,
    help="Source: flat (constant AB), blackbody:KELVIN, or a table of wave [Angstrom] and flux.",
)  # fmt: skip
@click.option(
    "--mag-band", default="hsc2017-i", show_default=True,
    help="Of --mag, where the source is not flat: a speclite filter, or as ab8000.",
)  # fmt: skip
@condition_options()
@source_options
@instrument_option
@plot_option
@json_option()
def snr(mag, mag_step, sed, mag_band, name, plot, as_json, **options):
    """Forecast S/N against magnitude in every arm, and what the noise consists of.

    S/N is that of the coadd: median over an arm's pixels, per pixel, Angstrom and resolution
    element. Then medians of each cause's fraction of the variance.
    """
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.data_contract.quantities import CONDITIONS
    from starsmith.simulator.figures.forecast_figure import plot_forecast
    from starsmith.simulator.instruments import load_instrument, with_source
    from starsmith.simulator.planning.forecast import (
        forecast_snr,
        magnitude_steps,
        observing_conditions,
    )

    check_suffix(plot)
    conditions = {name: options[name] for name in CONDITIONS}
    observed = observing_conditions(**conditions)
    instrument = with_source(load_instrument(name), options["reff"], options["offset"])
    source = _source(sed, mag_band)
    forecast = forecast_snr(instrument, magnitude_steps(*mag, mag_step), observed, source)
    if plot:
        plot_forecast(plot, forecast, name, sed, conditions)
    if as_json:
        report = {"instrument": name, "sed": sed, "conditions": conditions}
        echo_json("specsim.snr", {**report, "rows": forecast.rows()})
    else:
        click.echo(text_table(forecast.rows()))


def _source(sed: str, mag_band: str):
    """Spectrum named by ``--sed``; None for a flat one."""
    from starsmith.data_contract.errors import ConfigError
    from starsmith.simulator.planning.sed import blackbody, read_sed

    kind, _, kelvin = sed.partition(":")
    if sed == "flat":
        return None
    if kind == "blackbody":
        try:
            return blackbody(float(kelvin), mag_band)
        except ValueError:
            raise ConfigError(
                f"--sed {sed}: expected blackbody:KELVIN, e.g. blackbody:5000"
            ) from None
    return read_sed(Path(sed), mag_band)
