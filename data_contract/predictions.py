"""Predictions beside the truth, keyed by draw, and their file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.described import described
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.outside import MOST_TABLE, check_plain
from starsmith.data_contract.quality import QUALITY_BITS, quality_value
from starsmith.data_contract.quantities import SNR_KINDS, UNITS

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["Predictions", "read_predictions", "write_ecsv", "write_predictions"]

SCHEMA, SCHEMA_VERSION = "starsmith.predictions", 1


@described
@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model says about the spectra of a split.

    Attributes
    ----------
    split : str
    seed : int
        With ``split`` and ``index``: the draw key of each spectrum.
    index : int64, shape (n_spec,)
    snr : float64, shape (n_spec,)
        Per pixel, the median over pixels.
    labels, units : tuple of str
    truth, value : float64, shape (n_spec, n_label)
        In ``units``.
    uncertainty : float64, shape (n_spec, n_label), or None
        1σ.
    model : str
    dataset : str
        Digest of the data set.
    notice : str
        Of the grid behind the data set.
    mag : float64, shape (n_spec,), optional
        AB magnitude of each draw.
    snr_p95 : float64, shape (n_spec,), optional
        The 95th percentile over pixels; data sets before version 3 lack it.
    quality : int64, shape (n_spec,), optional
        Bits of `QUALITY_BITS`; 0 is an answer without a reservation.
    """

    split: str
    seed: int
    index: np.ndarray
    snr: np.ndarray
    labels: tuple[str, ...]
    units: tuple[str, ...]
    truth: np.ndarray
    value: np.ndarray
    uncertainty: np.ndarray | None
    model: str
    dataset: str
    notice: str
    mag: np.ndarray | None = None
    quality: np.ndarray | None = None
    snr_p95: np.ndarray | None = None

    def _facts(self) -> dict[str, object]:
        return {
            "model": self.model,
            "spectra": len(self.index),
            "labels": " ".join(self.labels),
            "split": self.split,
        }

    def __post_init__(self):
        expected = tuple(UNITS[name] for name in self.labels)
        if self.units != expected:
            raise ContractError(
                f"predictions of {self.labels} are in {self.units}, not {expected}: scores are "
                f"only taken in label units; denormalise them with the checkpoint's Predictor"
            )

    def __len__(self) -> int:
        return len(self.index)

    @property
    def logg(self) -> np.ndarray | None:
        """True log g of every star, float64 (n_spec,), if it is among the labels."""
        return self.truth[:, self.labels.index("logg")] if "logg" in self.labels else None

    def found(self, label: str) -> np.ndarray:
        """Whether each star can be scored, bool (n_spec,): fits may fail, labels be unknown."""
        column = self.column(label)
        return np.isfinite(self.value[:, column]) & np.isfinite(self.truth[:, column])

    def take(self, rows: np.ndarray) -> "Predictions":
        """Return some of the rows."""
        arrays = ("index", "snr", "truth", "value", "uncertainty", "mag", "quality", "snr_p95")
        kept = {name: getattr(self, name) for name in arrays}
        return replace(self, **{n: a if a is None else a[rows] for n, a in kept.items()})

    def with_snr(self, statistic: str) -> "Predictions":
        """Return the predictions with another S/N to bin by: ``median`` or ``p95`` over pixels.

        Raises
        ------
        DataError
            If the table does not hold it.
        """
        if statistic == "median":
            return self
        if self.snr_p95 is None:
            raise DataError(
                f"{self.model}: its predictions have no {SNR_KINDS[statistic]}, as their data set "
                "is older than version 3; generate it again, or bin by --snr-statistic median"
            )
        said = "S/N of bins: 95th percentile over pixels."
        return replace(self, snr=self.snr_p95, notice=" ".join(filter(None, (said, self.notice))))

    def column(self, label: str) -> int:
        """Position of a label; raises DataError if it was not predicted."""
        if label not in self.labels:
            raise DataError(f"label {label!r} was not predicted; found {', '.join(self.labels)}")
        return self.labels.index(label)


def write_ecsv(path: Path | str, predictions: Predictions) -> None:
    """Write predictions as an ECSV table: one row per spectrum, units and origin in its head.

    Columns are ``split, index, snr``, where known ``snr_p95`` and ``mag``, for each label
    ``logg_true``, ``logg`` and, where there is one, ``logg_uncertainty``, and
    ``quality``: bits that the head names. Predictions of a checkpoint that does not record its
    limits have no such column, as those of release 0.1.
    """
    from astropy.table import Column, Table

    table = Table()
    table["split"] = np.full(len(predictions), predictions.split)
    table["index"] = predictions.index
    table["snr"] = predictions.snr
    if predictions.snr_p95 is not None:
        table["snr_p95"] = predictions.snr_p95
    if predictions.mag is not None:
        table["mag"] = Column(predictions.mag, unit=UNITS["mag"])
    for k, (label, unit) in enumerate(zip(predictions.labels, predictions.units, strict=True)):
        columns = {f"{label}_true": predictions.truth, label: predictions.value}
        if predictions.uncertainty is not None:
            columns[f"{label}_uncertainty"] = predictions.uncertainty
        for name, values in columns.items():
            table[name] = Column(values[:, k], unit=unit)
    table.meta = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "split": predictions.split,
        "seed": predictions.seed,
        "labels": list(predictions.labels),
        "units": list(predictions.units),
        "model": predictions.model,
        "dataset": predictions.dataset,
        "notice": predictions.notice,
    }
    if predictions.quality is not None and not _limits_unknown(predictions.quality):
        table["quality"] = predictions.quality
        table.meta["quality_bits"] = dict(QUALITY_BITS)
    table.write(path, format="ascii.ecsv", overwrite=True)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as ECSV, complete or not at all."""
    if path.suffix != ".ecsv":
        raise DataError(f"{path}: predictions are written as ECSV; call it {path.stem}.ecsv")
    with staged_file(path) as partial:
        write_ecsv(partial, predictions)


def _limits_unknown(quality: np.ndarray) -> bool:
    return bool((quality & quality_value("limits_unknown")).all())


def read_predictions(path: Path | str) -> Predictions:
    """Read what `write_ecsv` wrote; raises DataError for any other file.

    Examples
    --------
    >>> from starsmith.data_contract import write_ecsv
    >>> model = starsmith.load_checkpoint("ridge")
    >>> write_ecsv("test.ecsv", starsmith.predict(model, data.split("test")))
    >>> starsmith.read_predictions("test.ecsv").labels
    ('logg',)
    """
    table = _checked_table(path)
    meta, labels = table.meta, tuple(table.meta["labels"])

    def gather(pattern: str) -> np.ndarray:
        columns = [table[pattern.format(label)] for label in labels]
        return np.stack([np.asarray(c, dtype=np.float64) for c in columns], axis=1)

    def optional(name: str, kind: type) -> np.ndarray | None:
        return np.asarray(table[name], dtype=kind) if name in table.colnames else None

    return Predictions(
        split=meta["split"],
        seed=meta["seed"],
        index=np.asarray(table["index"], dtype=np.int64),
        snr=np.asarray(table["snr"], dtype=np.float64),
        labels=labels,
        units=tuple(meta["units"]),
        truth=gather("{}_true"),
        value=gather("{}"),
        uncertainty=gather("{}_uncertainty")
        if f"{labels[0]}_uncertainty" in table.colnames
        else None,
        model=meta["model"],
        dataset=meta["dataset"],
        notice=meta["notice"],
        mag=optional("mag", np.float64),
        quality=optional("quality", np.int64),
        snr_p95=optional("snr_p95", np.float64),
    )


def _checked_table(path: Path | str) -> "Table":
    """Table of predictions with all that a reader needs; DataError names what it lacks."""
    from astropy.table import Table

    try:
        check_plain(path, MOST_TABLE)
        table = Table.read(path, format="ascii.ecsv")
    except Exception as problem:  # readers of tables raise what they like on a damaged file
        raise DataError(f"{path}: not an ECSV table ({problem})") from None
    meta = table.meta
    if (meta.get("schema"), meta.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
        raise DataError(
            f"{path}: found {meta.get('schema')} version {meta.get('schema_version')}, expected "
            f"{SCHEMA} version {SCHEMA_VERSION}; write it with `speclearn predict`"
        )
    needed = ("labels", "units", "split", "seed", "model", "dataset", "notice")
    if missing := [name for name in needed if name not in meta]:
        raise DataError(
            f"{path}: its head lacks {', '.join(missing)}, so nobody knows whose predictions "
            f"these are; write it with `speclearn predict`"
        )
    labels = meta["labels"]
    columns = {"index", "snr"} | {f"{label}{end}" for label in labels for end in ("", "_true")}
    if missing := sorted(columns - set(table.colnames)):
        raise DataError(
            f"{path}: column(s) {', '.join(missing)} are missing"
            + "".join(f", so there are no predictions of {n}" for n in missing if n in labels)
            + ("; without draw keys no two tables can be matched" if "index" in missing else "")
            + "; write it with `speclearn predict`"
        )
    return table
