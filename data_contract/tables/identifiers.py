"""Columns of tables that name stars."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError

__all__ = ["IDENTIFIERS", "as_text", "identities_of", "text_of_rows"]

IDENTIFIERS = ("targetid", "source_id", "apogee_id", "obj_id", "objid", "obsid")
"""Columns that name a star of a survey, in any case of letters; all that a file has are used."""

EXACT = 2**53  # floating-point numbers beyond it stand for several whole ones


def identities_of(path: Path, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every column that names stars, as text: files differ in how they store the same name.

    Raises
    ------
    DataError
        If there is none, or one is stored as numbers that do not hold it exactly.
    """
    spelled = {column.lower(): column for column in columns}
    found = [name for name in IDENTIFIERS if name in spelled]
    if not found:
        raise DataError(f"{path}: none of the identifiers {IDENTIFIERS} is among {sorted(spelled)}")
    return {name: as_text(path, name, columns[spelled[name]]) for name in found}


def as_text(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Identifiers of `text_of_rows`; rows that have none are left out."""
    text = text_of_rows(path, name, values)
    return text[text != ""]


def text_of_rows(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Identifiers without blanks around them, a text per row, empty where it has none.

    Raises
    ------
    DataError
        If they are floating-point numbers that do not hold them exactly.
    """
    values = np.ma.asarray(values)
    lacking = np.ma.getmaskarray(values)
    plain = values.filled() if lacking.any() else values.data
    if plain.dtype.kind == "f":
        held = plain[~lacking]
        if not (np.all(held == np.rint(held)) and np.all(np.abs(held) < EXACT)):
            raise DataError(
                f"{path}: {name} is stored as floating-point numbers, which do not hold such "
                "identifiers exactly; write it as whole numbers or text"
            )
        plain = np.where(lacking, 0, plain).astype(np.int64)
    if plain.dtype.kind in "SO":
        plain = np.array([v.decode() if isinstance(v, bytes) else str(v) for v in plain], dtype=str)
    return np.where(lacking, "", np.char.strip(plain.astype(str)))
