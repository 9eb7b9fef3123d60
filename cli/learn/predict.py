"""``speclearn predict``: labels of a spectrum, or of a split of a data set."""

from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import SPLIT_NAMES
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.data_contract.predictions import Predictions

__all__ = ["PredictOptions", "predict"]


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Options of ``speclearn predict``."""

    model: Path = argument(type=EXISTING)
    source: Path = argument(metavar="SPECTRUM|DATA", type=EXISTING)
    split: str = option(type=click.Choice(SPLIT_NAMES), default="test", help="Of a data set.")
    out: Path | None = option(type=PATH, help="Table of the predictions.")
    device: str | None = device_option()
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "speclearn predict vit/ my_star.ecsv",
        "speclearn predict vit/ data.zarr --split test --out predictions.ecsv",
    ),
)
@takes(PredictOptions)
def predict(options: PredictOptions) -> None:
    """Predict labels of one spectrum, or of a split of a data set.

    SPECTRUM is an ECSV, CSV or FITS table with columns wave [vacuum Angstrom], flux and, where
    you have them, error and mask (0 = good), on the model's own wavelengths.
    """
    rows = _predicted(options)
    if options.as_json:
        echo_json("speclearn.predict", {"source": str(options.source), "predictions": rows})
        return
    click.echo(text_table(rows))


def _predicted(options: PredictOptions) -> list[dict]:
    """Predict, and write a table where asked; a row per label, or per spectrum of a split."""
    from astropy.table import Table

    from starsmith.data_contract.exchange.spectrum_file import read_spectrum
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.predictions import write_predictions
    from starsmith.data_contract.tables.table_files import write_table
    from starsmith.learners import load_checkpoint, predict, predict_spectrum
    from starsmith.simulator.generation.recorded import open_recorded

    refuse_existing(options.out, options.overwrite)
    predictor = load_checkpoint(options.model, options.device)
    if options.source.is_file():
        seen = read_spectrum(options.source)
        estimates = predict_spectrum(predictor, seen.wave, seen.flux, seen.error, seen.mask)
        rows = [
            {"label": e.label, "value": e.value, "uncertainty": e.uncertainty, "unit": e.unit}
            for e in estimates
        ]
        if options.out:
            write_table(options.out, Table(rows=[_no_none(row) for row in rows]))
        return rows
    predictions = predict(predictor, open_recorded(options.source).split(options.split))
    if options.out:
        write_predictions(options.out, predictions)
    return [_split_row(predictions, k) for k in range(len(predictions))]


def _no_none(row: dict) -> dict:
    return {name: nan if value is None else value for name, value in row.items()}


def _split_row(predictions: "Predictions", k: int) -> dict:
    row = {"index": int(predictions.index[k]), "snr": float(predictions.snr[k])}
    for column, label in enumerate(predictions.labels):
        row[label] = float(predictions.value[k, column])
        if predictions.uncertainty is not None:
            row[f"{label}_uncertainty"] = float(predictions.uncertainty[k, column])
        row[f"{label}_true"] = float(predictions.truth[k, column])
    return row
