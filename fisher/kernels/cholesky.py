"""Cholesky factors of many small matrices. Plain arrays; no objects, no I/O."""

import numpy as np
from numba import njit, prange

__all__ = ["factor_upper"]


@njit(parallel=True, fastmath=True, cache=True)  # reordered sums: 1e-6 of a variance in float32
def factor_upper(matrices):
    """Replace symmetric matrices A by the upper factor U with A = Uᵀ U, in place.

    Parameters
    ----------
    matrices : float32 array, shape (n, n_row, n_row)
        Positive definite; only the upper triangle is read. Below it U is zero.
    """
    n_row = matrices.shape[1]
    for i in prange(matrices.shape[0]):
        a = matrices[i]
        for k in range(n_row):
            pivot = a[k]
            scale = np.float32(1.0) / np.sqrt(pivot[k])
            for column in range(k, n_row):
                pivot[column] *= scale
            for j in range(k + 1, n_row):
                row = a[j]
                share = pivot[j]
                for column in range(j, n_row):
                    row[column] -= share * pivot[column]
                row[k] = np.float32(0.0)
