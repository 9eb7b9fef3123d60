"""Tables written as ECSV, CSV or FITS."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["TABLE_FORMATS", "check_table", "write_table"]

TABLE_FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits"}


def check_table(path: Path | None) -> None:
    """Raise DataError, before any work, where a table cannot be written in that format."""
    if path is not None and path.suffix not in TABLE_FORMATS:
        raise DataError(
            f"{path}: tables are written as {sorted(TABLE_FORMATS)}; give --out one of these"
        )


def write_table(path: Path, table: "Table") -> None:
    """Write an astropy table in the format that the suffix says; DataError if in none."""
    check_table(path)
    with staged_file(path, sweep=True) as partial, warnings.catch_warnings():
        for usual in ("The unit .* could not be saved", ".*a HIERARCH card will be created"):
            warnings.filterwarnings("ignore", message=usual)  # in FITS
        table.write(partial, format=TABLE_FORMATS[path.suffix], overwrite=True)
