"""``speclearn predict``: labels of the spectra of a file, or of a split of a data set."""

from dataclasses import dataclass
from functools import cache
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.learn.star_cards import write_cards
from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import SPLIT_NAMES, Count, Named
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from astropy.table import Table

    from starsmith.data_contract.bank.bank_file import Bank
    from starsmith.data_contract.observed import Observed
    from starsmith.data_contract.predictions import Predictions
    from starsmith.data_contract.tables.population import Population
    from starsmith.learners import LabelEstimate, Predictor
    from starsmith.learners.prediction.posterior_draws import PosteriorDraws
    from starsmith.learners.prediction.radial_velocity import MeasuredVelocity

__all__ = ["PredictOptions", "predict"]

POSTERIORS = ("quantiles", "samples")


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Options of ``speclearn predict``."""

    model: Path = argument(type=EXISTING)
    source: Path = argument(metavar="FILE|DATA", type=EXISTING)
    split: str = option(type=Named(SPLIT_NAMES), default="test", help="Of a data set.")
    air: bool = option(is_flag=True, help="Wavelengths of FILE are those of air.")
    rv: float | None = option(
        type=float,
        help="Radial velocity of the star [km/s], taken out.  [default: the file's, or measured]",
    )
    resolution: float | None = option(
        type=click.FloatRange(10, 1e6),
        help="Wavelength over FWHM of lines of FILE, where it does not say.",
    )
    strict: bool = option(is_flag=True, help="Exit with 3 where a prediction has a quality flag.")
    velocity: bool = option(
        is_flag=True, help="Radial velocity too, measured whatever the file says [km/s]."
    )
    posterior: str | None = option(
        type=Named(POSTERIORS),
        help="Quantiles of the posterior beside each value; or its draws, weighted, as --out.",
    )
    n_draw: int = option(type=Count(10), default=1000, help="Draws of each posterior.")
    exact: bool = option(
        is_flag=True, help="Weigh draws by all pixels of the bank, not by their coefficients."
    )
    bank: Path | None = option(
        type=EXISTING, help="The model's bank, for --exact.  [default: the demonstration's]"
    )
    population: Path | None = option(
        type=EXISTING,
        help="Table of stars (teff logg m_h mag) that takes the place of the uniform prior.",
    )
    corner: Path | None = option(type=PATH, help="Corner plot of the posterior of the first.")
    card: Path | None = option(
        type=PATH, help="A page on each star of FILE: spectrum, posterior, neighbours, quality."
    )
    among: Path | None = option(
        type=EXISTING, help="Data set whose test split --card finds similar stars in."
    )
    out: Path | None = option(type=PATH, help="Table of the predictions.")
    device: str | None = device_option()
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "speclearn predict vit/ my_star.ecsv",
        "speclearn predict vit/ my_star.fits --rv -32.5 --strict",
        "speclearn predict vit/ my_star.fits --velocity",
        "speclearn predict vit/ data.zarr --split test --out predictions.ecsv",
        "speclearn predict models/compressed my_star.ecsv --posterior quantiles --corner star.png",
        "speclearn predict models/any my_star.ecsv --card star.png --among data.zarr",
    ),
)
@takes(PredictOptions)
def predict(options: PredictOptions) -> None:
    """Predict labels of the spectra of a file, or of a split of a data set.

    FILE is a survey's (`specdata info` says which are known), or a table: ECSV, CSV or FITS. A
    table has columns wave [vacuum Angstrom] and flux. It may have error or ivar, and mask (0 =
    good). Other names and units are understood. Spectra are brought to the model: at rest, on
    its pixels, and with lines as wide as its own; stderr says what was done. The column quality
    holds named bits; 0 is an answer without a reservation.
    """
    import numpy as np

    from starsmith.data_contract.errors import ContractError
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.quality import describe_quality
    from starsmith.learners import load_checkpoint

    is_spectrum = options.source.is_file()
    if not is_spectrum and (options.air or options.rv is not None or options.resolution):
        raise click.UsageError("--air, --rv, --resolution are of a file; a data set knows them")
    if options.posterior == "samples" and not (is_spectrum and options.out):
        raise click.UsageError("--posterior samples are of a file, and go to a table: add --out")
    if options.velocity and not is_spectrum and options.out:
        raise click.UsageError(
            "--velocity of a data set goes to no table; drop --out, or --velocity"
        )
    if (options.exact or options.population) and not (options.posterior or options.corner):
        raise click.UsageError("--exact and --population weigh draws: add --posterior quantiles")
    if options.bank and not options.exact:
        raise click.UsageError("--bank is for --exact; add it, or drop --bank")
    if options.card and not is_spectrum:
        raise click.UsageError("--card is of the stars of a file; give a file, or drop --card")
    if options.among and not options.card:
        raise click.UsageError("--among is for --card; add it, or drop --among")
    check_suffix(options.corner)
    check_suffix(options.card)
    refuse_existing(options.out, options.overwrite)
    predictor = load_checkpoint(options.model, options.device)
    rows = _of_file(predictor, options) if is_spectrum else _of_split(predictor, options)
    step = len(predictor.labels) + options.velocity if is_spectrum else 1
    quality = np.array([row["quality"] for row in rows[::step]])
    if options.as_json:
        echo_json("speclearn.predict", {"source": str(options.source), "predictions": rows})
    else:
        click.echo(text_table(rows))
    for sentence in describe_quality(quality):
        click.echo(f"quality: {sentence}", err=True)
    if options.strict and quality.any():
        raise ContractError(
            f"--strict: {np.count_nonzero(quality)} of {quality.size} predictions have a quality "
            "flag; drop --strict to accept them"
        )


def _of_file(predictor: "Predictor", options: PredictOptions) -> list[dict]:
    """Predict every spectrum of a file, and write a table where asked; a row per label."""
    from starsmith.data_contract.errors import DataError
    from starsmith.data_contract.surveys.any_file import read_any
    from starsmith.learners.prediction.matching import SpectrumMatcher

    matcher = SpectrumMatcher(predictor)
    rows, refused, draws, cards = [], [], [], []
    for number, spectrum in enumerate(read_any(options.source, options.air)):
        name = spectrum.source_id or f"spectrum {number}"
        try:
            spectrum = spectrum.seen_at(options.resolution)
            estimates, matched = matcher.predict(spectrum, options.rv)
        except DataError as problem:
            refused.append(f"{name}: {problem}")
            continue
        if matched.done:
            click.echo(f"{name}: {'; '.join(matched.done)}", err=True)
        found = [{"spectrum": name} | _label_row(estimate) for estimate in estimates]
        if options.posterior or options.corner:
            drawn = _drawn(matched.predictor, matched.seen[None], options)
            _add_quantiles(found, drawn)
            draws.append((name, drawn))
        if options.card:
            cards.append((name, matched, estimates, draws[-1][1] if options.posterior else None))
        if options.velocity:
            measured = matcher.velocity(spectrum)
            found.append(_velocity_row(measured, found[0]))
            _tell_modes(name, measured)
        rows += found
    if not rows:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise DataError(f"{options.source}: {refused[0].partition(': ')[2]}{more}")
    for line in refused:
        click.echo(f"left out: {line}", err=True)
    if len(rows) == len(predictor.labels) + options.velocity and not refused:
        rows = [{k: v for k, v in row.items() if k != "spectrum"} for row in rows]
    _write_files(predictor, rows, draws, options)
    if options.card:
        write_cards(predictor, cards, options.card, options.among)
    return rows


def _write_files(
    predictor: "Predictor",
    rows: list[dict],
    draws: "list[tuple[str, PosteriorDraws]]",
    options: PredictOptions,
) -> None:
    """What --corner and --out ask for."""
    from astropy.table import Table

    from starsmith.data_contract.quality import QUALITY_BITS
    from starsmith.data_contract.rest_frame import RV_METHOD
    from starsmith.data_contract.tables.table_files import write_table

    if options.corner:
        from starsmith.learners.evaluation.corner_figure import plot_corner

        plot_corner(draws[0][1], options.corner)
    if options.out:
        table = Table(rows=[_no_none(row) for row in rows])
        if options.posterior == "samples":
            table = _sample_table(draws)
        table.meta = {"model": predictor.card["model"], "quality_bits": dict(QUALITY_BITS)}
        if options.rv is not None:
            table.meta |= {"rv": options.rv, "rv_shift": RV_METHOD}
        write_table(options.out, table)


def _drawn(predictor: "Predictor", seen: "Observed", options: PredictOptions) -> "PosteriorDraws":
    """Posterior of spectra, weighed where that can be done."""
    import numpy as np

    from starsmith.learners.prediction.posterior_draws import draw_posterior, weighs
    from starsmith.learners.quality import knows_velocities

    weighted = weighs(predictor) or options.exact
    bank, population = _weighed_by(options, knows_velocities(predictor.card))
    drawn = draw_posterior(
        predictor, seen, options.n_draw, weighted=weighted, bank=bank, population=population
    )
    if weighted:
        share = drawn.efficiency
        least = f" (least {share.min():.0%})" if share.size > 1 else ""
        click.echo(
            f"posterior: {float(np.median(share)):.0%} of the draws effective{least}", err=True
        )
    else:
        click.echo("posterior: the model's own, not weighed by the likelihood", err=True)
    return drawn


@cache
def _weighed_by(options: PredictOptions, moving: bool) -> tuple["Bank | None", "Population | None"]:
    """Bank, of stars that move or at rest, and population that draws are weighed by, read once."""
    from starsmith.cli.shared.options import BankSource
    from starsmith.data_contract.tables.population import read_population

    bank = BankSource(bank=options.bank).moving(moving).open() if options.exact else None
    return bank, read_population(options.population) if options.population else None


def _add_quantiles(rows: list[dict], drawn: "PosteriorDraws") -> None:
    """Add quantiles, and what the weights say of the quality, to the rows of one spectrum."""
    from starsmith.data_contract.quality import flag_names
    from starsmith.learners.prediction.posterior_draws import quantile_columns

    for row, columns in zip(rows, quantile_columns(drawn, 0), strict=True):
        quality = row["quality"] | int(drawn.quality[0])
        row |= columns | {"quality": quality, "flags": " ".join(flag_names(quality))}


def _sample_table(draws: list[tuple[str, "PosteriorDraws"]]) -> "Table":
    """Every draw of every spectrum, with its weight."""
    import numpy as np
    from astropy.table import Table, vstack

    parts = []
    for name, drawn in draws:
        columns = dict(zip(drawn.labels, drawn.value[0].T, strict=True))
        weight = np.exp(drawn.log_weight[0])
        parts.append(Table({"spectrum": [name] * len(weight)} | columns | {"weight": weight}))
    return vstack(parts)


def _label_row(estimate: "LabelEstimate") -> dict:
    names = ("label", "value", "uncertainty", "unit", "quality")
    row = {name: getattr(estimate, name) for name in names}
    return row | {"flags": " ".join(estimate.flags)}


def _velocity_row(found: "MeasuredVelocity", other: dict) -> dict:
    """A velocity as one more label, with the columns of the others of its spectrum."""
    from math import isfinite

    from scipy.special import ndtri

    from starsmith.data_contract.quality import flag_names, quality_value
    from starsmith.data_contract.quantities import UNITS

    error = found.error if isfinite(found.error) else nan
    quality = 0 if found.known else quality_value("unknown_velocity")
    row = dict(other) | {
        "label": "rv",
        "value": found.rv,
        "uncertainty": error,
        "unit": UNITS["rv"],
        "quality": quality,
        "flags": " ".join(flag_names(quality)),
    }
    levels = {
        name: float(name[1:]) / 100 for name in row if name.startswith("q") and name[1:2].isdigit()
    }
    return row | {name: found.rv + error * float(ndtri(level)) for name, level in levels.items()}


def _tell_modes(name: str, found: "MeasuredVelocity") -> None:
    """Say on stderr where else the star's velocity may lie."""
    if found.others:
        others = ", ".join(f"{rv:+.0f} km/s ({share:.0%})" for rv, share in found.others)
        click.echo(f"{name}: {found.share:.0%} at {found.rv:+.1f} km/s; or {others}", err=True)


def _of_split(predictor: "Predictor", options: PredictOptions) -> list[dict]:
    """Predict a split of a data set, and write a table where asked; a row per spectrum."""
    from starsmith.data_contract.predictions import write_predictions
    from starsmith.learners.prediction.matching import predict_any, predictor_of
    from starsmith.simulator.generation.recorded import open_recorded

    split = open_recorded(options.source).split(options.split)
    predictor = predictor_of(predictor, split)
    predictions = predict_any(predictor, split)
    if options.out:
        write_predictions(options.out, predictions)
    rows = [_split_row(predictions, k) for k in range(len(predictions))]
    if options.posterior:
        _add_split_quantiles(rows, _drawn(predictor, split.observe(), options))
    if options.velocity:
        for k, row in enumerate(rows):
            found = predictor.meter.measure(split.observe(slice(k, k + 1))[0])
            row |= {"rv": found.rv, "rv_uncertainty": found.error, "rv_share": found.share}
            row["rv_true"] = float(split.draws.rv[k])
    return rows


def _add_split_quantiles(rows: list[dict], drawn: "PosteriorDraws") -> None:
    """Add quantiles of every label, under its name, to the rows of a split."""
    from starsmith.data_contract.quality import flag_names
    from starsmith.learners.prediction.posterior_draws import quantile_columns

    for k, row in enumerate(rows):
        for label, columns in zip(drawn.labels, quantile_columns(drawn, k), strict=True):
            row |= {f"{label}_{name}": value for name, value in columns.items()}
        quality = row["quality"] | int(drawn.quality[k])
        row |= {"quality": quality, "flags": " ".join(flag_names(quality))}


def _no_none(row: dict) -> dict:
    return {name: nan if value is None else value for name, value in row.items()}


def _split_row(predictions: "Predictions", k: int) -> dict:
    from starsmith.data_contract.quality import flag_names

    row = {"index": int(predictions.index[k]), "snr": float(predictions.snr[k])}
    for column, label in enumerate(predictions.labels):
        row[label] = float(predictions.value[k, column])
        if predictions.uncertainty is not None:
            row[f"{label}_uncertainty"] = float(predictions.uncertainty[k, column])
        row[f"{label}_true"] = float(predictions.truth[k, column])
    quality = int(predictions.quality[k])
    return row | {"quality": quality, "flags": " ".join(flag_names(quality))}
