"""``specsim snr``: what to expect before any star is simulated."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import grouped, option, takes
from starsmith.cli.shared.option_types import Range
from starsmith.cli.shared.options import ab_magnitudes
from starsmith.cli.sim.options import (
    condition_options,
    instrument_option,
    offset_option,
    plot_option,
    reff_option,
)
from starsmith.data_contract.text_tables import text_table

__all__ = ["SnrOptions", "snr"]


@dataclass(frozen=True, kw_only=True)
class SnrOptions:
    """Options of ``specsim snr``."""

    mag: tuple[float, float] = option(
        type=Range("mag"),
        default="20.5..22.5",
        help="AB magnitude in --mag-band (or 21Vega, 21ST); of a flat source, at all wavelengths.",
    )
    mag_step: float = option(
        type=click.FloatRange(0.01, 10), default=0.5, help="At most so far apart."
    )
    sed: str = option(
        default="flat",
        help="Source: flat (constant AB), blackbody:KELVIN, or a table of wave and flux [vacuum "
        "Angstrom, per Angstrom, or the units that it states].",
    )
    air: bool = option(is_flag=True, help="Wavelengths of the --sed table are those of air.")
    mag_band: str = option(
        default="hsc2017-i",
        help="Of --mag, where the source is not flat: a speclite filter, or as ab8000.",
    )
    conditions: dict[str, float] = grouped(condition_options())
    reff: float | None = reff_option()
    offset: float | None = offset_option()
    instrument: str = instrument_option()
    plot: Path | None = plot_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specsim snr --mag 20.5-22.5 --exp-time 900 --exp-count 12",
        "specsim snr --mag 21.5 --seeing 1.0 --zenith-angle 45 --plot snr.png",
        "specsim snr --instrument pfs_lr --sed blackbody:4500 --mag 20-22 --plot lr.png",
        "specsim snr --instrument b+m+n --sed galaxy.ecsv --mag-band ab8000 --reff 0.3",
    ),
)
@takes(SnrOptions)
def snr(options: SnrOptions) -> None:
    """Forecast S/N against magnitude in every arm, and what the noise consists of.

    S/N is that of the coadd: median over an arm's pixels, per pixel, Angstrom and resolution
    element. Then medians of each cause's fraction of the variance.
    """
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.simulator.figures.forecast_figure import plot_forecast
    from starsmith.simulator.instruments import load_instrument, with_source
    from starsmith.simulator.planning.forecast import (
        forecast_snr,
        magnitude_steps,
        observing_conditions,
    )
    from starsmith.simulator.planning.sed import named_sed

    check_suffix(options.plot)
    name, conditions = options.instrument, options.conditions
    observed = observing_conditions(**conditions)
    instrument = with_source(load_instrument(name), options.reff, options.offset)
    is_flat = options.sed == "flat" and not options.air
    source = None if is_flat else named_sed(options.sed, options.mag_band, options.air)
    mag = magnitude_steps(*ab_magnitudes(options.mag, options.mag_band), options.mag_step)
    forecast = forecast_snr(instrument, mag, observed, source)
    if options.plot:
        plot_forecast(options.plot, forecast, name, options.sed, conditions)
    if options.as_json:
        report = {"instrument": name, "sed": options.sed, "conditions": conditions}
        echo_json("specsim.snr", {**report, "rows": forecast.rows()})
    else:
        click.echo(text_table(forecast.rows()))
