"""``specsim instrument validate``: an instrument beside the exposure-time calculator."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import grouped, option, takes
from starsmith.cli.sim.options import (
    condition_options,
    instrument_option,
    offset_option,
    plot_option,
    reff_option,
)
from starsmith.data_contract.text_tables import text_tree

__all__ = ["ValidateOptions", "validate"]


@dataclass(frozen=True, kw_only=True)
class ValidateOptions:
    """Options of ``specsim instrument validate``."""

    against: Path = option(
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        required=True,
        help="CSV table of the exposure-time calculator's output.",
    )
    instrument: str = instrument_option()
    mag: float | None = option(type=float, help="AB magnitude of the flat source.")
    conditions: dict[str, float | None] = grouped(condition_options(defaults=False))
    reff: float | None = reff_option()
    offset: float | None = offset_option()
    ebv: float | None = option(type=click.FloatRange(min=0), help="Reddening E(B-V) [mag].")
    plot: Path | None = plot_option()
    as_json: bool = json_option()

    @property
    def given(self) -> dict[str, float]:
        """Settings that stand before those of the calculator's file."""
        settings = {
            "mag": self.mag,
            **self.conditions,
            "reff": self.reff,
            "offset": self.offset,
            "ebv": self.ebv,
        }
        return {name: value for name, value in settings.items() if value is not None}


@click.command(
    cls=Command,
    examples=(
        "specsim instrument validate --against etc.csv --plot etc.png",
        "specsim instrument validate --instrument mine.toml --against etc.csv --seeing 1.2",
    ),
)
@takes(ValidateOptions)
def validate(options: ValidateOptions) -> None:
    """Compare S/N, signal and noise with those of the exposure-time calculator.

    All are ours over the calculator's, for the star and the conditions its file states; an
    option stands before the file. `signal_worst` and `noise_worst` are the greatest relative
    deviations of a pixel's electrons and of its variance without the star.
    """
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.simulator.figures.instrument_figure import plot_comparison
    from starsmith.simulator.instruments import compare_with_etc, load_instrument

    check_suffix(options.plot)
    instrument = load_instrument(options.instrument)
    comparison = compare_with_etc(instrument, options.against, options.given)
    if options.plot:
        plot_comparison(options.plot, comparison)
    report = {
        "instrument": options.instrument,
        "arm": comparison.arm,
        "settings": comparison.settings,
        **comparison.summary(),
        "agreement": comparison.agreement,
    }
    if options.as_json:
        echo_json("specsim.instrument.validate", report)
    else:
        click.echo(text_tree(report))
