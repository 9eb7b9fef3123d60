"""What ``speclearn`` does between its options and the learners."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from starsmith.data_contract import Predictions, write_ecsv
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.spectrum_file import read_spectrum
from starsmith.data_contract.files.atomic import refuse_existing, staged_file
from starsmith.data_contract.tables.table_files import write_table
from starsmith.learners import load_checkpoint, predict, predict_spectrum
from starsmith.simulator.generation.recorded import open_recorded

__all__ = [
    "prediction_rows",
    "read_spectrum",
    "write_predictions",
]


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as ECSV, complete or not at all."""
    if path.suffix != ".ecsv":
        raise DataError(f"{path}: predictions are written as ECSV; call it {path.stem}.ecsv")
    with staged_file(path) as partial:
        write_ecsv(partial, predictions)


def prediction_rows(
    model: tuple[Path, str | None], source: Path, split: str, out: Path | None, overwrite: bool
) -> list[dict]:
    """Predict a spectrum file or a split of a data set; also write a table where asked.

    Returns
    -------
    rows : list of dict
        One per label of a spectrum, or one per spectrum of a split.
    """
    refuse_existing(out, overwrite)
    predictor = load_checkpoint(*model)
    if source.is_file():
        seen = read_spectrum(source)
        estimates = predict_spectrum(predictor, seen.wave, seen.flux, seen.error, seen.mask)
        rows = [
            {"label": e.label, "value": e.value, "uncertainty": e.uncertainty, "unit": e.unit}
            for e in estimates
        ]
        if out:
            write_table(out, Table(rows=[_no_none(row) for row in rows]))
        return rows
    predictions = predict(predictor, open_recorded(source).split(split))
    if out:
        write_predictions(out, predictions)
    return [_split_row(predictions, k) for k in range(len(predictions))]


def _no_none(row: dict) -> dict:
    return {name: np.nan if value is None else value for name, value in row.items()}


def _split_row(predictions: Predictions, k: int) -> dict:
    row = {"index": int(predictions.index[k]), "snr": float(predictions.snr[k])}
    for column, label in enumerate(predictions.labels):
        row[label] = float(predictions.value[k, column])
        if predictions.uncertainty is not None:
            row[f"{label}_uncertainty"] = float(predictions.uncertainty[k, column])
        row[f"{label}_true"] = float(predictions.truth[k, column])
    return row
