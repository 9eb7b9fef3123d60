"""Populations: a prior over stars given by the rows of a table, such as a mock catalogue."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import MOST_TABLE, read_file
from starsmith.data_contract.quantities import LABELS, STAR
from starsmith.data_contract.random import DrawKey, uniforms
from starsmith.data_contract.tables.user_table import UserTable, read_table
from starsmith.data_contract.unit_conversion import to_glossary

__all__ = [
    "OPTIONAL_COLUMNS",
    "REQUIRED_COLUMNS",
    "Population",
    "read_population",
    "reread_population",
]

REQUIRED_COLUMNS = ("teff", "logg", "m_h", "mag")
OPTIONAL_COLUMNS = (*(name for name in STAR if name not in REQUIRED_COLUMNS), "weight")


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


def read_population(path: Path | str, mag_band: str = "") -> Population:
    """Read a table of stars: labels, magnitude and, where there is one, a weight.

    Parameters
    ----------
    path : path
        ECSV, CSV or FITS with the `REQUIRED_COLUMNS`; `OPTIONAL_COLUMNS` may be there. Names may
        be aliases, in any case. Units are those of the glossary unless the table states others:
        those are converted.
    mag_band : str
        Band of magnitudes that are not AB, unless the table's metadata say it: ``mag_band``.

    Returns
    -------
    population : Population

    Raises
    ------
    ConfigError
        Naming every missing column, and every column with values that cannot be used.
    """
    path = Path(path)
    table = read_table(path, REQUIRED_COLUMNS, what="population")
    found = {name: table.find(name) for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)}
    if found["logg"] is None:
        found["logg"] = _acceleration(table)
    if missing := [name for name in REQUIRED_COLUMNS if found[name] is None]:
        raise ConfigError(
            f"{path}: column(s) {missing} are missing; a population needs "
            f"{list(REQUIRED_COLUMNS)} and may have {list(OPTIONAL_COLUMNS)}; found "
            f"{list(table.columns)}"
        )
    band = str(table.meta.get("mag_band") or mag_band)
    problems: list[str] = []
    present = {name: column for name, column in found.items() if column is not None}
    columns = {n: _values(table, n, column, band, problems) for n, column in present.items()}
    weight = columns.pop("weight", np.ones(len(table)))
    if not len(table):
        problems.append("it has no rows")
    elif not problems and not (weight.min() >= 0.0 and weight.sum() > 0.0):
        problems.append("weights must be at least 0, and some of them positive")
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}; correct the table")
    return Population(
        path=str(path),
        sha256=hashlib.sha256(read_file(path, MOST_TABLE)).hexdigest(),
        columns={name: columns[name] for name in STAR if name in columns},
        weight=weight / weight.sum(),
    )


def _acceleration(table: UserTable) -> str | None:
    """Column ``g`` where it has a unit of acceleration: without one it may be a magnitude."""
    for column in table.columns:
        unit = table.parsed_unit(column) if column[:1] in "gG" and table.unit(column) else None
        if getattr(unit, "physical_type", None) == "acceleration":
            return column
    return None


def reread_population(recorded: Mapping[str, object], mag_band: str) -> Population:
    """Read the table of a record that `Population.recorded` made, and of it the same columns.

    Whether it is still the same file, its ``sha256`` tells.
    """
    found = read_population(Path(str(recorded["path"])), mag_band)
    names = recorded["columns"]
    return replace(found, columns={n: v for n, v in found.columns.items() if n in names})


def _values(table: UserTable, name: str, column: str, band: str, problems: list[str]) -> np.ndarray:
    """Values of one column in glossary units; appends what is wrong with them."""
    try:
        values = table.numbers(column)
        if name != "weight":
            values = to_glossary(name, values, table.unit(column), band)
    except (ValueError, ConfigError) as problem:
        reason = str(problem).removeprefix(f"{table.path} is ").removeprefix(f"{table.path}: ")
        problems.append(f"column {column}: {reason}")
        return np.zeros(len(table))
    if (bad := ~np.isfinite(values)).any():
        problems.append(
            f"column {column} is missing or infinite in {int(bad.sum())} row(s), first in row "
            f"{int(np.argmax(bad)) + 1} of the data"
        )
    return values
