"""Options of simulated surveys: whose stars they see, through what dust, with what noise."""

import functools
from pathlib import Path

import click

from starsmith.cli.shared.option_types import Range
from starsmith.cli.shared.options import RANGES, flag, typed_on_command_line
from starsmith.data_contract.noise import terms
from starsmith.data_contract.quantities import SOMETIMES, named

__all__ = ["NOISE", "OF_SURVEYS", "noise_options", "population_options", "preset_option"]

NOISE = tuple(switch.name for term in terms.TERMS for switch in term.switches)
"""Entries of `NoiseModel`, in the order of the help."""

OF_SURVEYS = tuple(name for name in SOMETIMES if name not in RANGES)
"""Quantities of a star that only simulated surveys draw."""


def noise_options(function):
    """Add an option per switch of the noise terms; the command receives one ``noise``."""
    switches = [switch for term in terms.TERMS for switch in term.switches]

    @functools.wraps(function)
    def with_noise(*args, **kwargs):
        from starsmith.data_contract.noise import model

        entries = {switch.name: kwargs.pop(switch.name) for switch in switches}
        return function(*args, noise=model.NoiseModel(**entries), **kwargs)

    for switch in reversed(switches):
        option = click.option(
            switch.option,
            switch.name,
            type=click.Choice(switch.choices) if switch.choices else float,
            default=switch.default,
            show_default=True,
            help=switch.meaning,
        )
        with_noise = option(with_noise)
    return with_noise


def population_options(function):
    """Add ``--population`` and the ranges only surveys have (dust) below `prior_options`."""

    @functools.wraps(function)
    def with_population(*args, prior, population, **kwargs):
        from starsmith.data_contract.tables.population import read_population

        prior = prior.with_ranges(**{name: kwargs.pop(name) for name in OF_SURVEYS})
        if population is not None:
            stars = read_population(population, kwargs["source"].band if "source" in kwargs else "")
            if rivals := typed_on_command_line(*stars.columns):
                raise click.UsageError(
                    f"--population {population} already says what {', '.join(rivals)} stars have; "
                    f"drop {', '.join(map(flag, rivals))}"
                )
            prior = prior.with_population(stars)
        return function(*args, prior=prior, **kwargs)

    for name in reversed(OF_SURVEYS):
        option = click.option(
            flag(name), type=Range(), default="0", show_default=True, help=f"{named(name).help}."
        )
        with_population = option(with_population)
    return click.option(
        "--population",
        type=click.Path(path_type=Path),
        help="Table of stars to draw from (ECSV, CSV, FITS): teff logg m_h mag, and weight, a_m, "
        "c_m, rv, ebv where it has them; units it states are converted.",
    )(with_population)


def preset_option(function):
    """Add ``--preset``: ranges in place of the defaults; the command receives its name."""

    def replace_defaults(context: click.Context, parameter: click.Parameter, name: str | None):
        if name is not None:
            from starsmith.simulator.presets import PRESETS

            ranges = {key: f"{low!r}..{high!r}" for key, (low, high) in PRESETS[name].items()}
            context.default_map = {**ranges, **(context.default_map or {})}
        return name

    return click.option(
        "--preset",
        type=click.Choice(["specvit"]),
        callback=replace_defaults,
        is_eager=True,
        help="specvit: as the data set of the SpecViT paper was made (one label free, seeing 0.8).",
    )(function)
