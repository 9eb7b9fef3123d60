"""Schur-complement kernel: what remains of one column's information beside all others."""

import numpy as np
from numba import njit, prange

__all__ = ["schur_last"]


@njit(cache=True, parallel=True)
def schur_last(gram, fixed, rho):
    """Cholesky factorisation of unit-diagonal Gram matrices, target last.

    With F = D L L' D, D the square roots of the diagonal, F_gg L_gg^2 is the information
    on the last column that no combination of the others can imitate.

    Parameters
    ----------
    gram : float64 array, shape (n_spec, n_column, n_column)
        Symmetric [1 / (unit of row x unit of column)].
    fixed : float64 array, shape (n_spec,)
        Overwritten: F_gg, the information when all other columns are known.
    rho : float64 array, shape (n_spec,)
        Overwritten: L_gg^2 in 0..1, the part of it that survives; NaN where a pivot is
        not positive, 0 where the target column is zero.
    """
    n_spec, n, _ = gram.shape
    for i in prange(n_spec):
        scale = np.empty(n)
        for k in range(n):
            scale[k] = np.sqrt(gram[i, k, k]) if gram[i, k, k] > 0.0 else 0.0
        fixed[i] = gram[i, n - 1, n - 1]
        factor = np.zeros((n, n))
        survives = 1.0
        for k in range(n):
            if scale[k] == 0.0:
                survives = 0.0 if k == n - 1 else survives
                continue  # an empty column imitates nothing
            for c in range(k):
                if scale[c] == 0.0:
                    continue
                total = gram[i, k, c] / (scale[k] * scale[c])
                for m in range(c):
                    total -= factor[k, m] * factor[c, m]
                factor[k, c] = total / factor[c, c]
            pivot = 1.0
            for m in range(k):
                pivot -= factor[k, m] * factor[k, m]
            if not pivot > 0.0:
                survives = np.nan
                break
            factor[k, k] = np.sqrt(pivot)
            survives = pivot
        rho[i] = survives
