"""Kernels of elementary functions and linear algebra in one fixed order of operations."""

import math

from numba import njit, prange

from starsmith.data_contract.kernels.fused import fma

__all__ = [
    "COLUMNS",
    "factorise",
    "fill_cbrt",
    "fill_columns",
    "fill_exp",
    "fill_expm1",
    "fill_log",
    "fill_log1p",
    "fill_log10",
    "fill_power",
    "fill_product",
    "solve_columns",
    "solve_sides",
]

COLUMNS = 512  # of a product or right side that a thread takes at once: they stay in its cache
DEEP = 32  # rows of the right factor taken together: they stay in the first-level cache


@njit(cache=True)
def fill_exp(out, x):
    """Exponentials; both float64, shape (n,)."""
    for i in range(x.size):
        out[i] = math.exp(x[i])


@njit(cache=True)
def fill_expm1(out, x):
    """Exponentials less one; both float64, shape (n,)."""
    for i in range(x.size):
        out[i] = math.expm1(x[i])


@njit(cache=True, error_model="numpy")
def fill_log(out, x):
    """Natural logarithms; both float64, shape (n,)."""
    for i in range(x.size):
        out[i] = math.log(x[i])


@njit(cache=True, error_model="numpy")
def fill_log10(out, x):
    """Decimal logarithms; both float64, shape (n,)."""
    for i in range(x.size):
        out[i] = math.log10(x[i])


@njit(cache=True, error_model="numpy")
def fill_log1p(out, x):
    """Natural logarithms of one more; both float64, shape (n,)."""
    for i in range(x.size):
        out[i] = math.log1p(x[i])


@njit(cache=True, error_model="numpy")
def fill_cbrt(out, x):
    """Cube roots of numbers of zero or more; both float64, shape (n,)."""
    for i in range(x.size):
        out[i] = math.pow(x[i], 1.0 / 3.0)


@njit(cache=True, error_model="numpy")
def fill_power(out, base, exponent):
    """Powers; all float64, shape (n,)."""
    for i in range(base.size):
        out[i] = math.pow(base[i], exponent[i])


@njit(cache=True)
def fill_columns(out, left, right, start, stop):
    """Columns of a product; each sum runs over the inner index upwards, four terms at a time.

    Parameters
    ----------
    out : float array, shape (n_row, n_column)
        Overwritten from column ``start`` to ``stop - 1``.
    left : float array of the same type, shape (n_row, n_inner)
    right : float array of the same type, shape (n_inner, n_column)
    """
    n_row, n_inner = left.shape
    n_four = n_inner // 4 * 4
    out[:, start:stop] = 0
    for top in range(0, n_four, DEEP):
        for i in range(n_row):
            total = out[i, start:stop]
            for k in range(top, min(top + DEEP, n_four), 4):
                row_0, row_1 = right[k, start:stop], right[k + 1, start:stop]
                row_2, row_3 = right[k + 2, start:stop], right[k + 3, start:stop]
                w_0, w_1, w_2, w_3 = left[i, k], left[i, k + 1], left[i, k + 2], left[i, k + 3]
                for j in range(stop - start):
                    four = fma(w_1, row_1[j], w_0 * row_0[j])
                    total[j] += fma(w_3, row_3[j], fma(w_2, row_2[j], four))
    for k in range(n_four, n_inner):
        row = right[k, start:stop]
        for i in range(n_row):
            for j in range(stop - start):
                out[i, start + j] = fma(left[i, k], row[j], out[i, start + j])


@njit(cache=True, parallel=True)
def fill_product(out, left, right):
    """Matrix product, in threads; arguments as in `fill_columns`."""
    n_column = out.shape[1]
    for block in prange((n_column + COLUMNS - 1) // COLUMNS):
        start = block * COLUMNS
        fill_columns(out, left, right, start, min(start + COLUMNS, n_column))


@njit(cache=True)
def factorise(matrix, pivot):
    """Factors of Gaussian elimination with partial pivoting, in place.

    Parameters
    ----------
    matrix : float64 array, shape (n, n)
        Overwritten; not singular.
    pivot : int64 array, shape (n,)
        Overwritten: the row that came in the place of each.
    """
    n = pivot.size
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(matrix[i, k]) > abs(matrix[best, k]):
                best = i
        pivot[k] = best
        for j in range(n):
            matrix[k, j], matrix[best, j] = matrix[best, j], matrix[k, j]
        for i in range(k + 1, n):
            matrix[i, k] /= matrix[k, k]
            for j in range(k + 1, n):
                matrix[i, j] -= matrix[i, k] * matrix[k, j]


@njit(cache=True)
def solve_columns(matrix, pivot, sides, start, stop):
    """Solve for some right sides.

    Parameters
    ----------
    matrix, pivot
        Of `factorise`.
    sides : float64 array, shape (n, n_column)
        Overwritten with the solutions from column ``start`` to ``stop - 1``.
    """
    n = pivot.size
    some = sides[:, start:stop]
    for k in range(n):
        best = pivot[k]
        for j in range(some.shape[1]):
            some[k, j], some[best, j] = some[best, j], some[k, j]
    for k in range(n):
        for i in range(k + 1, n):
            factor = matrix[i, k]
            if factor != 0.0:
                for j in range(some.shape[1]):
                    some[i, j] -= factor * some[k, j]
    for k in range(n - 1, -1, -1):
        for i in range(k + 1, n):
            factor = matrix[k, i]
            if factor != 0.0:
                for j in range(some.shape[1]):
                    some[k, j] -= factor * some[i, j]
        for j in range(some.shape[1]):
            some[k, j] /= matrix[k, k]


@njit(cache=True, parallel=True)
def solve_sides(matrix, pivot, sides):
    """Solve for right sides, in threads; arguments as in `solve_columns`."""
    n_column = sides.shape[1]
    for block in prange((n_column + COLUMNS - 1) // COLUMNS):
        start = block * COLUMNS
        solve_columns(matrix, pivot, sides, start, min(start + COLUMNS, n_column))
