"""What ``speclearn`` does between its options and the learners."""

from pathlib import Path

import numpy as np
from astropy import units
from astropy.table import Table

from starsmith.data_contract import Predictions, write_ecsv
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import refuse_existing, staged_file
from starsmith.data_contract.tables.table_files import TABLE_FORMATS, write_table
from starsmith.learners import load_checkpoint, predict, predict_spectrum
from starsmith.simulator.generation.recorded import open_recorded

__all__ = [
    "prediction_rows",
    "read_spectrum",
    "write_predictions",
]

BAD_TABLE = (OSError, ValueError, TypeError, LookupError, UnicodeError)


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
        estimates = predict_spectrum(predictor, **read_spectrum(source))
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


def read_spectrum(path: Path) -> dict[str, np.ndarray]:
    """Read wave, flux and, where present, error and mask of one spectrum from a table.

    Parameters
    ----------
    path : Path
        ECSV, CSV, FITS table, or another table astropy recognises.

    Returns
    -------
    columns : dict of str to array, shape (n_wave,)
        ``wave`` is in Å if the table gives it another unit; entries the table marks as
        missing are masked.

    Raises
    ------
    DataError
        If it is no table, or ``wave`` or ``flux`` is missing or not numbers.
    """
    try:
        table = Table.read(path, format=TABLE_FORMATS.get(path.suffix, "ascii"))
    except BAD_TABLE as problem:
        reason = " ".join(str(problem).split())[:120]
        raise DataError(
            f"{path} cannot be read as a table ({reason}); give an ECSV, CSV or FITS table"
        ) from None
    names = {name.lower(): name for name in table.colnames}
    if missing := [name for name in ("wave", "flux") if name not in names]:
        raise DataError(
            f"{path}: column(s) {missing} are missing, found {table.colnames}; call them wave "
            "[vacuum Angstrom], flux, error, mask"
        )
    columns = {}
    for name in ("wave", "flux", "error", "mask"):
        if name in names:
            columns[name] = _numbers(path, table[names[name]], name)
    missing = np.ma.getmaskarray(table[names["flux"]])
    if missing.any():
        known = columns.get("mask", np.zeros(len(table), np.uint32))
        columns["mask"] = np.where(missing, np.uint32(1), known)
    return columns


def _numbers(path: Path, column, name: str) -> np.ndarray:
    try:
        if name == "wave" and column.unit is not None:
            column = units.Quantity(column).to(units.Angstrom)
        values = np.ma.filled(np.ma.asarray(column), 0)
        return values.astype(np.uint32 if name == "mask" else np.float64)
    except (ValueError, TypeError, units.UnitConversionError) as problem:
        raise DataError(f"{path}: column {name!r} is not usable ({problem})") from None
