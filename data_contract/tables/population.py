"""Populations: a prior over stars given by the rows of a table, such as a mock catalogue."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import MOST_TABLE, check_plain, read_file
from starsmith.data_contract.quantities import LABELS, STAR, named
from starsmith.data_contract.random import DrawKey, uniforms

__all__ = ["OPTIONAL_COLUMNS", "REQUIRED_COLUMNS", "Population", "read_population"]

REQUIRED_COLUMNS = ("teff", "logg", "m_h", "mag")
OPTIONAL_COLUMNS = (*(name for name in STAR if name not in REQUIRED_COLUMNS), "weight")
FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits", ".fit": "fits"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Stars of a table and how probable each of them is.

    Attributes
    ----------
    path : str
        The file, as it was named.
    sha256 : str
        Of its bytes.
    columns : mapping of str to float64 array, shape (n_row,)
        `REQUIRED_COLUMNS` and those of `OPTIONAL_COLUMNS` that the table has, in glossary units.
    weight : float64 array, shape (n_row,)
        Probability of each row; they sum to 1.
    """

    path: str
    sha256: str
    columns: Mapping[str, np.ndarray]
    weight: np.ndarray

    def __len__(self) -> int:
        return self.weight.size

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of every column."""
        return {name: (float(v.min()), float(v.max())) for name, v in self.columns.items()}

    @property
    def n_effective(self) -> float:
        """Number of equally probable rows that would be as diverse: 1 / Σ weight²."""
        return float(1.0 / np.sum(self.weight**2))

    @cached_property
    def _cumulative(self) -> np.ndarray:
        total = np.cumsum(self.weight)
        return total / total[-1]

    def labels(self, names: Sequence[str]) -> np.ndarray:
        """Labels of every row, float64 (n_row, n_label); 0 for those the table lacks."""
        absent = np.zeros(len(self))
        return np.stack([self.columns.get(name, absent) for name in names], axis=1)

    def rows(self, key: DrawKey, attempt: int = 0) -> np.ndarray:
        """Row drawn for each key, with replacement and in proportion to the weights.

        Parameters
        ----------
        key : DrawKey
        attempt : int
            Replaces the row by another draw of the same key.

        Returns
        -------
        rows : int64 array, shape (n_spec,)
        """
        word = uniforms(key, "population", 1, attempt)[:, 0]
        return np.searchsorted(self._cumulative, word, side="right").clip(0, len(self) - 1)

    def recorded(self) -> dict:
        """What files keep of it: name, SHA-256, number of rows, columns."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "rows": len(self),
            "columns": list(self.columns),
        }

    def outside(self, axes: Mapping[str, np.ndarray]) -> list[str]:
        """Say which labels leave a grid, in how many rows; empty where none does.

        Parameters
        ----------
        axes : mapping of str to float64 array
            Nodes of each label of the grid. A label without axis must be zero.

        Returns
        -------
        problems : list of str
        """
        problems = []
        for name in LABELS:
            values = self.columns.get(name)
            low, high = (axes[name][0], axes[name][-1]) if name in axes else (0.0, 0.0)
            if values is None or not (bad := (values < low) | (values > high)).any():
                continue
            where = f"the grid's {low:g}..{high:g}" if name in axes else "a grid without that axis"
            problems.append(
                f"{name} of {bad.sum()} row(s) leaves {where} (first: row "
                f"{int(np.argmax(bad))}, {values[bad][0]:g})"
            )
        return problems


def read_population(path: Path | str) -> Population:
    """Read a table of stars: labels, magnitude and, where there is one, a weight.

    Parameters
    ----------
    path : path
        ECSV, CSV or FITS with the `REQUIRED_COLUMNS`; `OPTIONAL_COLUMNS` may be there.
        Units are those of the glossary unless the table states others.

    Returns
    -------
    population : Population

    Raises
    ------
    ConfigError
        Naming every missing column, and every column with values that cannot be used.
    """
    path = Path(path)
    table = _read_table(path)
    if missing := [name for name in REQUIRED_COLUMNS if name not in table.colnames]:
        raise ConfigError(
            f"{path}: column(s) {missing} are missing; a population needs "
            f"{list(REQUIRED_COLUMNS)} and may have {list(OPTIONAL_COLUMNS)}; found "
            f"{table.colnames}"
        )
    present = [n for n in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if n in table.colnames]
    problems: list[str] = []
    columns = {name: _values(table[name], name, problems) for name in present}
    weight = columns.pop("weight", np.ones(len(table)))
    if not len(table):
        problems.append("it has no rows")
    elif not problems and not (weight.min() >= 0.0 and weight.sum() > 0.0):
        problems.append("weights must be at least 0, and some of them positive")
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}; correct the table")
    order = [n for n in STAR if n in columns]
    return Population(
        path=str(path),
        sha256=hashlib.sha256(read_file(path, MOST_TABLE)).hexdigest(),
        columns={name: columns[name] for name in order},
        weight=weight / weight.sum(),
    )


def _read_table(path: Path):
    from astropy.table import Table

    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"{path}: a population is a table in one of {sorted(FORMATS)}")
    try:
        check_plain(path, MOST_TABLE)
        return Table.read(path, format=FORMATS[path.suffix.lower()])
    except FileNotFoundError:
        raise ConfigError(f"{path}: no population table there") from None
    except Exception as problem:  # readers of tables raise what they like on a damaged file
        raise ConfigError(f"{path} cannot be read as a table ({problem})") from None


def _values(column, name: str, problems: list[str]) -> np.ndarray:
    """Values of one column in glossary units; appends what is wrong with them."""
    from astropy import units

    wanted = "" if name == "weight" else named(name).table_unit
    values = np.ma.asarray(getattr(column, "value", column))
    try:
        if column.unit is not None and wanted and str(column.unit) not in ("mag(AB)", wanted):
            values = np.ma.asarray(
                units.Quantity(values.filled(np.nan), column.unit).to_value(wanted)
            )
        filled = values.astype(np.float64).filled(np.nan)
    except (ValueError, TypeError) as problem:
        problems.append(f"column {name} is not in numbers of {wanted or 'dex'} ({problem})")
        return np.zeros(len(column))
    if bad := int((~np.isfinite(filled)).sum()):
        problems.append(f"column {name} is missing or infinite in {bad} row(s)")
    return filled
