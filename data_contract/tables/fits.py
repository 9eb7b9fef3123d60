"""Read one binary table of a FITS file, with the primary header that describes it."""

import io
import warnings
from collections.abc import Sequence

import numpy as np
from astropy.io import fits  # noqa: TID251
from astropy.utils.exceptions import AstropyWarning

from starsmith.data_contract.errors import DataError

__all__ = ["read_fits_table"]


def read_fits_table(
    content: bytes, columns: Sequence[str]
) -> tuple[dict[str, object], list[np.ndarray]]:
    """Primary header and named columns of the first table.

    Parameters
    ----------
    content : bytes
        The file.
    columns : sequence of str
        Column names.

    Returns
    -------
    header : dict
        Keyword -> value of the primary header.
    arrays : list of arrays, shape (n_row,)
        The columns in the order asked for, in native byte order.

    Raises
    ------
    DataError
        If it is not a FITS file, is cut short, or lacks the table or a column.
    """
    with warnings.catch_warnings():
        # astropy only warns of a file cut short and then reads what is left.
        warnings.simplefilter("error", AstropyWarning)
        try:
            with fits.open(
                io.BytesIO(content), memmap=False, disable_image_compression=True
            ) as hdus:
                header = dict(hdus[0].header)
                table = hdus[1].data
        except (OSError, ValueError, TypeError, IndexError, AstropyWarning) as problem:
            raise DataError(f"not a whole FITS file with a table ({problem})") from None
    names = [] if table is None else table.names
    if missing := [name for name in columns if name not in names]:
        raise DataError(f"its table has no column {', '.join(missing)} (found {names})")
    return header, [_native(table[name]) for name in columns]


def _native(column: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("="))
