"""A user's line-spread function: profiles at several wavelengths, or principal components."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.tables.user_table import UserTable, read_table
from starsmith.data_contract.unit_conversion import to_angstrom

__all__ = ["LsfTable", "read_lsf"]

OFFSETS = {"offset_pixel": "pixel", "offset_nm": "nm"}
NUMBERED = re.compile(r"(?:component|coefficient)_(\d+)")
AREA_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class LsfTable:
    """Profiles without their pixel.

    Attributes
    ----------
    offset : float64, shape (n_offset,)
        Light at a positive offset falls redward of the line; increasing.
    unit : str
        Of the offsets: ``pixel`` or ``nm``.
    wave_nm : float64, shape (n_wave,)
        Vacuum wavelengths of the profiles, increasing [nm].
    values : float64, shape (n_wave, n_offset)
        Of unit area.
    """

    offset: np.ndarray
    unit: str
    wave_nm: np.ndarray
    values: np.ndarray


def read_lsf(path: Path, coefficients: Path | None = None) -> LsfTable:
    """Read a line-spread function from a CSV, ECSV or FITS table.

    Parameters
    ----------
    path : Path
        Column ``offset_pixel`` or ``offset_nm``, then a column per wavelength, named by it in
        nm (``710.0``); or columns ``mean``, ``component_1``, ``component_2``, ...
    coefficients : Path, optional
        For components: columns ``wave_nm``, ``coefficient_1``, ``coefficient_2``, ...

    Returns
    -------
    table : LsfTable

    Raises
    ------
    ConfigError
        If a column is missing or odd, or a profile is not of unit area; names it.
    """
    table = read_table(path)
    columns = {name: table.finite(name) for name in table.columns}
    unit = [name for name in OFFSETS if table.find(name)]
    if len(unit) != 1:
        raise ConfigError(f"{path}: needs one column of {list(OFFSETS)}, found {list(columns)}")
    offset = columns.pop(table.find(unit[0]))
    if OFFSETS[unit[0]] == "nm":
        offset = _nanometres(table, table.find(unit[0]), offset)
    columns = {name.lower(): values for name, values in columns.items()}
    if offset.size < 3 or not np.all(np.diff(offset) > 0):
        raise ConfigError(f"{path}: {unit[0]} needs at least three values, increasing")
    if "mean" in columns:
        if coefficients is None:
            raise ConfigError(
                f"{path}: holds components; name the table of their coefficients: "
                'lsf = {table = "...", coefficients = "..."}'
            )
        wave_nm, values = _from_components(path, columns, coefficients)
    else:
        wave_nm, values = _from_wavelengths(path, columns)
    if not np.all(np.diff(wave_nm) > 0):
        raise ConfigError(f"{coefficients or path}: its wavelengths do not increase")
    area = np.trapezoid(values, offset, axis=1)
    if np.any(np.abs(area - 1.0) > AREA_TOLERANCE):
        k = int(np.argmax(np.abs(area - 1.0)))
        raise ConfigError(
            f"{path}: the profile at {wave_nm[k]:g} nm has an area of {area[k]:.4f}, expected 1 "
            f"to {AREA_TOLERANCE:.0%}; normalise it, or let it reach farther"
        )
    return LsfTable(offset, OFFSETS[unit[0]], wave_nm, values)


def _from_wavelengths(path: Path, columns: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    try:
        wave_nm = np.array([float(name) for name in columns])
    except ValueError:
        raise ConfigError(
            f"{path}: columns {list(columns)} are neither wavelengths in nm, as 710.0, nor mean "
            "and component_1, component_2, ..."
        ) from None
    if not wave_nm.size:
        raise ConfigError(f"{path}: no profile beside the offsets; add a column per wavelength")
    return wave_nm, np.array(list(columns.values()))


def _from_components(
    path: Path, columns: dict[str, np.ndarray], coefficients: Path
) -> tuple[np.ndarray, np.ndarray]:
    table = read_table(coefficients)
    amounts = {name: table.finite(name) for name in table.columns}
    if not (column := table.find("wave_nm")):
        raise ConfigError(f"{coefficients}: no column wave_nm, found {list(amounts)}")
    wave_nm, mean = _nanometres(table, column, amounts.pop(column)), columns.pop("mean")
    amounts = {name.lower(): values for name, values in amounts.items()}
    numbers = [
        sorted(int(match[1]) for name in names if (match := NUMBERED.fullmatch(name)))
        for names in (columns, amounts)
    ]
    if not numbers[0] or numbers[0] != numbers[1] or len(columns) != len(numbers[0]):
        raise ConfigError(
            f"{path} has components {numbers[0]}, but {coefficients} coefficients {numbers[1]}; "
            "they need the same numbers, and no other columns"
        )
    components = np.array([columns[f"component_{k}"] for k in numbers[0]])
    weights = np.array([amounts[f"coefficient_{k}"] for k in numbers[0]])
    return wave_nm, mean + fixed.matmul(weights.T, components)


def _nanometres(table: UserTable, column: str, values: np.ndarray) -> np.ndarray:
    """Values of a column in nm; without a unit they are."""
    unit = table.columns[column].unit
    try:
        return values if unit is None else to_angstrom(values, unit) / 10.0
    except ValueError as problem:
        raise ConfigError(f"{table.path}: column {column!r}: {problem}") from None
