"""Packaged CSV tables: lines with ``#`` are comments, the first other line names the columns."""

import csv
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

import numpy as np

__all__ = ["read_table", "table_digest", "wide_digest"]

PACKAGE = "starsmith.simulator.synthesis"


@lru_cache(maxsize=16)
def read_table(name: str) -> dict[str, tuple[str, ...]]:
    """Columns of a packaged table as text, by column name."""
    text = files(PACKAGE).joinpath(name).read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    return {column: tuple(row[column] for row in rows) for column in rows[0]}


def numbers(name: str, column: str, blank: float = np.nan) -> np.ndarray:
    """One column as float64, ``blank`` where the table is empty."""
    return np.array([float(value) if value else blank for value in read_table(name)[column]])


def table_digest() -> str:
    """SHA-256 over the bytes of every packaged table of 640-900 nm, in name order."""
    return _digest(files(PACKAGE))


def wide_digest() -> str:
    """SHA-256 over the tables that other ranges need besides."""
    return _digest(files(PACKAGE).joinpath("wide"))


def _digest(folder: Traversable) -> str:
    digest = sha256()
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.endswith((".csv", ".npz")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
