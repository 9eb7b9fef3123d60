"""Options of simulated surveys: whose stars they see, through what dust, with what noise."""

from typing import TYPE_CHECKING, Any

import click

from starsmith.cli.shared.option_table import PATH, OptionGroup, flag, option
from starsmith.cli.shared.option_types import Named, Range
from starsmith.cli.shared.options import (
    RANGES,
    bank_options,
    range_parameters,
    typed_on_command_line,
    with_ab_magnitudes,
)
from starsmith.data_contract.noise import terms
from starsmith.data_contract.quantities import SOMETIMES, named

if TYPE_CHECKING:
    from starsmith.data_contract.noise.model import NoiseModel
    from starsmith.simulator.prior import Prior

__all__ = ["NOISE", "OF_SURVEYS", "noise_options", "preset_option", "survey_prior_options"]

FOR_SKY = "for_sky"
NOISE = (FOR_SKY, *(switch.name for term in terms.TERMS for switch in term.switches))
"""Options of the noise, in the order of the help."""

OF_SURVEYS = tuple(name for name in SOMETIMES if name not in RANGES)
"""Quantities of a star that only simulated surveys draw."""


def _switches() -> list[click.Parameter]:
    for_sky = click.Option(
        ["--for-sky"],
        is_flag=True,
        help="Noise for models meant for real spectra: what is left of sky, tellurics and flux "
        "calibration; terms that are given stay.",
    )
    switches = [
        click.Option(
            [switch.option, switch.name],
            type=Named(switch.choices) if switch.choices else float,
            default=switch.default,
            show_default=True,
            help=switch.meaning,
        )
        for term in terms.TERMS
        for switch in term.switches
    ]
    return [for_sky, *switches]


def _noise(entries: dict[str, Any]) -> "NoiseModel":
    from starsmith.data_contract.noise import model

    terms_given = dict(entries)
    if terms_given.pop(FOR_SKY):
        terms_given |= {name: v for name, v in model.FOR_SKY.items() if not _given(name)}
    return model.NoiseModel(**terms_given)


def _given(name: str) -> bool:
    """Whether an option was typed or stands in the TOML file."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not click.core.ParameterSource.DEFAULT


noise_options = OptionGroup("noise", _switches, _noise)
"""An option per switch of the noise terms: one `NoiseModel`."""


def _survey_parameters() -> list[click.Parameter]:
    table = click.Option(
        ["--population"],
        type=PATH,
        help="Table of stars to draw from (ECSV, CSV, FITS): teff logg m_h mag, and weight, a_m, "
        "c_m, rv, ebv where it has them; units it states are converted.",
    )
    ranges = [
        click.Option(
            [flag(name)],
            type=Range(name),
            default="0",
            show_default=True,
            help=f"{named(name).help}.",
        )
        for name in OF_SURVEYS
    ]
    return [*range_parameters(), table, *ranges]


def _survey_prior(values: dict[str, Any]) -> "Prior":
    """Prior of the ranges, and of a table of stars where one is given."""
    from starsmith.data_contract.tables.population import read_population
    from starsmith.simulator.prior import Prior

    path = values.pop("population")
    prior = Prior(with_ab_magnitudes(values))
    if path is None:
        return prior
    band = bank_options.of(click.get_current_context().params).band
    stars = read_population(path, band)
    if rivals := typed_on_command_line(*stars.columns):
        raise click.UsageError(
            f"--population {path} already says what {', '.join(rivals)} stars have; "
            f"drop {', '.join(map(flag, rivals))}"
        )
    return prior.with_population(stars)


survey_prior_options = OptionGroup("prior", _survey_parameters, _survey_prior)
"""As `prior_options`, with ``--population`` and the ranges only surveys have (dust)."""


def preset_option() -> Any:
    """``--preset``: ranges in place of the defaults; the command receives its name."""

    def replace_defaults(
        context: click.Context, parameter: click.Parameter, name: str | None
    ) -> str | None:
        if name is not None:
            from starsmith.simulator.presets import PRESETS

            ranges = {key: f"{low!r}..{high!r}" for key, (low, high) in PRESETS[name].items()}
            context.default_map = {**ranges, **(context.default_map or {})}
        return name

    return option(
        type=Named(["specvit"]),
        callback=replace_defaults,
        is_eager=True,
        help="specvit: as the data set of the SpecViT paper was made (one label free, seeing 0.8).",
    )
