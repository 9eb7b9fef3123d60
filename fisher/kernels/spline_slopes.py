"""Spline through short node vectors, and its slopes, star by star. Plain arrays; no I/O."""

import numpy as np
from numba import njit, prange

__all__ = ["fill_slopes"]


@njit(parallel=True, fastmath={"contract"}, cache=True)
def fill_slopes(out, values, first, weights, slopes, widths, strides, columns):
    """Value, and slopes along some axes, of a product of splines.

    Parameters
    ----------
    out : float32 array, shape (n_draw, 1 + n_column, n_value)
        Overwritten.
    values : float32 array, shape (n_row, n_value)
        Coefficients.
    first : int64 array, shape (n_axis, n_draw)
        First basis function of each draw along each axis.
    weights, slopes : float32 arrays, shape (n_axis, n_draw, width)
        Of the basis functions from there on, and their derivatives.
    widths, strides : int64 arrays, shape (n_axis,)
        Basis functions of a draw along each axis; rows from one to the next.
    columns : int64 array, shape (n_column,)
        Axes of the slopes.
    """
    n_draw, n_out, n_value = out.shape
    n_axis, n_support = widths.size, np.prod(widths)
    for i in prange(n_draw):
        place = np.zeros(n_axis, dtype=np.int64)
        out[i] = np.float32(0.0)
        for _ in range(n_support):
            row = 0
            for axis in range(n_axis):
                row += strides[axis] * (first[axis, i] + place[axis])
            vector = values[row]
            for q in range(n_out):
                weight = np.float32(1.0)
                for axis in range(n_axis):
                    along = slopes if q > 0 and columns[q - 1] == axis else weights
                    weight *= along[axis, i, place[axis]]
                total = out[i, q]
                for m in range(n_value):
                    total[m] += weight * vector[m]
            for axis in range(n_axis - 1, -1, -1):  # the next of all combinations
                place[axis] += 1
                if place[axis] < widths[axis]:
                    break
                place[axis] = 0
