"""Elementary functions and linear algebra whose bits depend on nothing but their arguments.

Those of NumPy depend on the vector instructions of the processor, and products and solutions of
matrices on BLAS and its number of threads. These take the system's mathematical library and one
order of summation. Whatever decides a spectrum, a grid, a bank or noise tables uses them.
"""

import math
from collections.abc import Callable

import numpy as np

from starsmith.data_contract.kernels import fixed_math as kernels

__all__ = ["cbrt", "exp", "expm1", "geomspace", "log", "log1p", "log10", "matmul", "power", "solve"]


def exp(x: np.ndarray | float) -> np.ndarray:
    """Exponential, float64 of any shape."""
    return _each(kernels.fill_exp, x)


def expm1(x: np.ndarray | float) -> np.ndarray:
    """Exponential less one, float64 of any shape."""
    return _each(kernels.fill_expm1, x)


def log(x: np.ndarray | float) -> np.ndarray:
    """Natural logarithm, float64 of any shape; -inf of 0, nan of less."""
    return _each(kernels.fill_log, x)


def log10(x: np.ndarray | float) -> np.ndarray:
    """Decimal logarithm, float64 of any shape; -inf of 0, nan of less."""
    return _each(kernels.fill_log10, x)


def log1p(x: np.ndarray | float) -> np.ndarray:
    """Natural logarithm of one more, float64 of any shape."""
    return _each(kernels.fill_log1p, x)


def cbrt(x: np.ndarray | float) -> np.ndarray:
    """Cube root of numbers of zero or more, float64 of any shape."""
    return _each(kernels.fill_cbrt, x)


def power(base: np.ndarray | float, exponent: np.ndarray | float) -> np.ndarray:
    """``base`` to the power ``exponent``, float64; shapes broadcast."""
    base, exponent = np.float64(base), np.float64(exponent)
    shape = np.broadcast(base, exponent).shape
    pair = [x if x.shape == shape else np.broadcast_to(x, shape) for x in (base, exponent)]
    out = np.empty(shape)
    kernels.fill_power(out.reshape(-1), *(np.ascontiguousarray(x).reshape(-1) for x in pair))
    return out[()]


def geomspace(low: float, high: float, n: int) -> np.ndarray:
    """Numbers of equal ratio from ``low`` to ``high``, both included: float64 (n,)."""
    inside = [low * math.pow(high / low, i / (n - 1)) for i in range(1, n - 1)]
    return np.array([low, *inside, high])


def matmul(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Product of matrices or vectors, shaped as ``left @ right``; float32 if both are."""
    kind = np.float64 if np.float64 in (left.dtype, right.dtype) else left.dtype
    rows = np.ascontiguousarray(np.atleast_2d(left), dtype=kind)
    columns = np.ascontiguousarray(right if right.ndim == 2 else right[:, None], dtype=kind)
    if rows.shape[1] != columns.shape[0]:
        raise ValueError(f"shapes {left.shape} and {right.shape} do not fit")
    out = np.empty((rows.shape[0], columns.shape[1]), dtype=kind)
    if out.shape[1] > kernels.COLUMNS:
        kernels.fill_product(out, rows, columns)
    else:  # not worth waking threads
        kernels.fill_columns(out, rows, columns, 0, out.shape[1])
    return out.reshape(left.shape[:-1] + right.shape[1:])[()]


def solve(matrix: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Solutions x of ``matrix @ x = sides``, float64, shaped as ``sides`` (n, n_column)."""
    solved = np.array(sides, dtype=np.float64, order="C")
    factors = np.array(matrix, dtype=np.float64, order="C")
    pivot = np.empty(len(factors), dtype=np.int64)
    kernels.factorise(factors, pivot)
    if solved.shape[1] > kernels.COLUMNS:
        kernels.solve_sides(factors, pivot, solved)
    else:
        kernels.solve_columns(factors, pivot, solved, 0, solved.shape[1])
    return solved


def _each(kernel: Callable[[np.ndarray, np.ndarray], None], x: np.ndarray | float) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64, order="C")
    out = np.empty(x.shape)
    kernel(out.reshape(-1), x.reshape(-1))
    return out[()]
