"""Medians of spectra, one after the other in a compiled search without sorting."""

import numpy as np

from starsmith.data_contract.kernels.order import fill_medians

__all__ = ["row_median"]


def row_median(values: np.ndarray) -> np.ndarray:
    """Median of each row without its NaN; NaN of a row that has nothing else.

    Parameters
    ----------
    values : float array, shape (n_row, n_value)
        Taken as float32.

    Returns
    -------
    medians : float32 array, shape (n_row,)
    """
    medians = np.empty(len(values), dtype=np.float32)
    fill_medians(medians, np.ascontiguousarray(values, dtype=np.float32))
    return medians
