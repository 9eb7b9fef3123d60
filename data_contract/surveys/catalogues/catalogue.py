"""A user's table of stars: ids, labels, velocities and anything to split by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import LABELS, SPLITS
from starsmith.data_contract.surveys.spectrum import KnownLabel, SurveySpectrum, Velocity
from starsmith.data_contract.tables.identifiers import text_of_rows
from starsmith.data_contract.tables.user_table import UserTable, read_table

__all__ = ["Catalogue", "read_catalogue"]

ID_COLUMNS = {
    "obsid": (),
    "specobjid": (),
    "sdss_objid": ("bestobjid",),
    "targetid": (),
    "pfs": (),
    "obj_id": ("objid",),
    "name": ("star", "star_name", "object"),
    "designation": ("desig",),
    "apogee_id": ("tmass_id", "2mass_id"),
    "gaia_dr3": ("source_id", "gaia_source_id", "gaiaedr3_source_id", "gaia_id"),
    "gaia_dr2": ("gaia_dr2_source_id", "gaiadr2_source_id"),
}
"""Id of a spectrum -> other names of its column; those of single spectra are looked for first."""

ERROR_NAMES = ("{0}_error", "{0}_err", "e_{0}", "err_{0}", "sigma_{0}", "{0}_sigma", "{0}_std")


@dataclass(frozen=True, eq=False)
class Catalogue:
    """A table whose rows are found by the ids of spectra.

    Attributes
    ----------
    table : UserTable
    source : str
        Who says what its labels are.
    """

    table: UserTable
    source: str

    @cached_property
    def _rows(self) -> dict[str, dict[str, int]]:
        """Id -> its text -> the first row that has it."""
        return {
            name: {text: len(texts) - 1 - k for k, text in enumerate(reversed(texts)) if text}
            for name, texts in self._texts.items()
        }

    @cached_property
    def _columns(self) -> Mapping[str, tuple[np.ndarray, np.ndarray | None, list | None]]:
        """Quantity -> values, errors and sources of all rows."""
        found = {}
        for name in (*LABELS, "rv"):
            if (column := self.table.find(name)) is None:
                continue
            aliases = [form.format(word) for word in (name, column) for form in ERROR_NAMES]
            error = self.table.find(f"{name}_error", aliases)
            source = self.table.find(f"{name}_source", ("source", "reference", "bibcode"))
            texts = None if source is None else [str(v) for v in self.table.columns[source]]
            errors = None if error is None else self.table.numbers(error)
            found[name] = (self.table.numbers(column), errors, texts)
        return found

    def row(self, spectrum: SurveySpectrum) -> int | None:
        """Row of a spectrum's star; None where the table has none of its ids."""
        for name, rows in self._rows.items():
            if (row := rows.get(spectrum.ids.get(name, ""))) is not None:
                return row
        return None

    def value(self, spectrum: SurveySpectrum, column: str) -> str:
        """Text of a column for a spectrum's star, empty where the table lacks the star."""
        if column not in self.table.columns:
            raise DataError(f"{self.table.path}: no column {column!r}")
        row = self.row(spectrum)
        return "" if row is None else str(self.table.columns[column][row]).strip()

    def added_to(self, spectrum: SurveySpectrum) -> SurveySpectrum:
        """A spectrum with what the table says of its star, which stands before the file's own."""
        if (row := self.row(spectrum)) is None:
            return spectrum
        labels, velocity = dict(spectrum.labels), spectrum.velocity
        for name, (values, errors, sources) in self._columns.items():
            if not np.isfinite(values[row]):
                continue
            error = None if errors is None or not np.isfinite(errors[row]) else float(errors[row])
            if name == "rv":
                velocity = _with_rv(velocity, float(values[row]), error)
                continue
            source = self.source if sources is None else sources[row]
            labels[name] = KnownLabel(float(values[row]), error, source)
        ids = dict(spectrum.ids)
        for name, texts in self._texts.items():
            if name not in ids and texts[row]:
                ids[name] = texts[row]
        return replace(spectrum, labels=labels, ids=ids, velocity=velocity)

    @property
    def id_names(self) -> tuple[str, ...]:
        """Ids that the table has."""
        return tuple(self._rows)

    def rows_by(self, name: str) -> Iterator[tuple[str, int]]:
        """Text of an id and the first row that has it."""
        yield from self._rows[name].items()

    def labels_of(self, row: int) -> Iterator[tuple[str, tuple[float, float, str]]]:
        """Name, value, 1σ (NaN where it is not told) and source of the labels of a row."""
        for name, (values, errors, sources) in self._columns.items():
            if name in LABELS and np.isfinite(values[row]):
                error = np.nan if errors is None else float(errors[row])
                source = self.source if sources is None else sources[row]
                yield name, (float(values[row]), error, source)

    @property
    def has_ids(self) -> bool:
        """Whether a column names stars."""
        return bool(self._texts)

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        return {
            name: text_of_rows(self.table.path, column, self.table.columns[column]).tolist()
            for name, aliases in ID_COLUMNS.items()
            if (column := self.table.find(name, aliases)) is not None
        }


def _with_rv(velocity: Velocity, rv: float, error: float | None) -> Velocity:
    return replace(velocity, rv=rv, rv_error=error)


def read_catalogue(path: Path | str, source: str = "") -> Catalogue:
    """Read a table of stars (ECSV, CSV, FITS), or the labels of a data set.

    Parameters
    ----------
    path : path
    source : str
        Who says what its labels are; the file's name unless given, or a column ``source``.

    Raises
    ------
    DataError
        If it cannot be read, or names no stars.
    """
    if Path(path).is_dir():
        return Catalogue(_of_dataset(Path(path)), source or Path(path).name)
    table = read_table(path, ("teff",), DataError, "catalogue")
    catalogue = Catalogue(table, source or Path(path).name)
    if not catalogue.has_ids:
        raise DataError(
            f"{path}: no column of ids ({', '.join(ID_COLUMNS)}) among {list(table.columns)}"
        )
    return catalogue


def _of_dataset(path: Path) -> UserTable:
    """Labels of a data set by the names its stars have in exported files."""
    parts = []
    for name, split in open_dataset(path).splits.items():
        columns = {label: split.label(label) for label in split.header.label_names}
        if split.header.store == "observed":
            columns |= {key: split.column(key) for key in ("source_id", "targetid", "rv")}
        else:
            columns["pfs"] = [f"{SPLITS[name]}-{index}" for index in split.draws.index.tolist()]
            columns["rv"] = split.draws.rv
        parts.append(Table(columns))
    table = vstack(parts)
    return UserTable(path, {name: table[name] for name in table.colnames}, {}, DataError)
