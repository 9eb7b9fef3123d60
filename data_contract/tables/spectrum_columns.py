"""Columns of numbers from a small table of the user's: CSV, ECSV or FITS."""

from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import MOST_TABLE, check_plain
from starsmith.data_contract.tables.table_files import TABLE_FORMATS

__all__ = ["read_columns"]


def read_columns(path: Path | str) -> dict[str, np.ndarray]:
    """Every column of a table by its name.

    Parameters
    ----------
    path : Path
        Ends in ``.csv``, ``.ecsv`` or ``.fits``.

    Returns
    -------
    columns : dict of str to float64 arrays, shape (n_row,)
        In the file's order and units.

    Raises
    ------
    ConfigError
        If it is not a table of finite numbers.
    """
    from astropy.table import Table

    path = Path(path)
    if path.suffix not in TABLE_FORMATS:
        raise ConfigError(f"{path}: tables are read from {', '.join(TABLE_FORMATS)} files")
    try:
        check_plain(path, MOST_TABLE)
        table = Table.read(path, format=TABLE_FORMATS[path.suffix])
        columns = {name: np.asarray(table[name], dtype=np.float64) for name in table.colnames}
    except FileNotFoundError:
        raise ConfigError(f"{path}: no table there") from None
    except Exception as problem:  # readers of tables raise what they like on a damaged file
        reason = " ".join(str(problem).split())
        raise ConfigError(f"{path} cannot be read as a table of numbers ({reason})") from None
    if odd := [name for name, values in columns.items() if not np.all(np.isfinite(values))]:
        raise ConfigError(f"{path}: column(s) {odd} hold values that are not numbers; correct them")
    return columns
