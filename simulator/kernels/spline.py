"""Spline kernels: B-spline weights of a draw, and the weighted sum of bank rows."""

import numpy as np
from numba import njit, prange

__all__ = ["basis_rows", "combine_rows"]

TILE = 2048  # pixels; a sum of this width stays in the first-level cache
BLOCK = 64  # spectra a thread takes at once; neighbours share rows in the second-level cache


@njit(cache=True)
def basis_rows(knots, degree, values, slope, first, weights):
    """B-splines that are non-zero at each value, by the Cox-de Boor recursion.

    Parameters
    ----------
    knots : float64 array, shape (n_node + degree + 1,)
        Clamped knot vector [label unit].
    degree : int
        0..3.
    values : float64 array, shape (n_spec,)
        Inside the knots [label unit].
    slope : bool
        True for the derivative with respect to the label.
    first : int64 array, shape (n_spec,)
        Overwritten: first non-zero basis function.
    weights : float64 array, shape (n_spec, degree + 1)
        Overwritten [1, or 1/label unit].
    """
    n_basis = knots.size - degree - 1
    basis = np.empty(degree + 1)
    lower = np.empty(degree + 1)
    for i in range(values.size):
        x = values[i]
        span = min(max(np.searchsorted(knots, x, side="right") - 1, degree), n_basis - 1)
        first[i] = span - degree
        basis[0] = 1.0
        for p in range(1, degree + 1):
            lower[:p] = basis[:p]
            basis[p] = 0.0
            for r in range(p - 1, -1, -1):
                left = knots[span + 1 + r - p]
                right = knots[span + 1 + r]
                share = lower[r] / (right - left)
                basis[r + 1] = (x - left) * share + (basis[r + 1] if r + 1 < p else 0.0)
                basis[r] = (right - x) * share
        if not slope:
            weights[i] = basis
            continue
        # B'_{j,p} = p (B_{j,p-1} / (t_{j+p} - t_j) - B_{j+1,p-1} / (t_{j+p+1} - t_{j+1}))
        weights[i] = 0.0
        for r in range(degree):
            share = degree * lower[r] / (knots[span + 1 + r] - knots[span + 1 + r - degree])
            weights[i, r] -= share
            weights[i, r + 1] += share


@njit(cache=True, parallel=True, fastmath={"contract"})
def combine_rows(flux, coef, rows, weights, order):
    """Weighted sums of bank rows, tiled over wavelength.

    Spectra are taken in the order given, which changes no sum: where neighbours share rows of
    the bank, these are still in the cache. ``contract`` allows fused multiply-add: one rounding
    less per term.

    Parameters
    ----------
    flux : float32 array, shape (n_spec, n_wave)
        Overwritten [unit of ``coef`` x unit of ``weights``].
    coef : float32 array, shape (n_node, n_wave)
    rows : int32 array, shape (n_spec, n_support)
    weights : float32 array, shape (n_spec, n_support)
        ``n_support`` a multiple of four; surplus entries carry weight zero.
    order : int64 array, shape (n_spec,)
        A permutation of the spectra.
    """
    n_spec, n_wave = flux.shape
    n_block = (n_spec + BLOCK - 1) // BLOCK
    for block in prange(n_block):
        for start in range(0, n_wave, TILE):
            stop = min(start + TILE, n_wave)
            for k in range(block * BLOCK, min((block + 1) * BLOCK, n_spec)):
                i = order[k]
                total = flux[i, start:stop]
                total[:] = 0.0
                for s in range(0, rows.shape[1], 4):
                    row_0 = coef[rows[i, s], start:stop]
                    row_1 = coef[rows[i, s + 1], start:stop]
                    row_2 = coef[rows[i, s + 2], start:stop]
                    row_3 = coef[rows[i, s + 3], start:stop]
                    weight_0 = weights[i, s]
                    weight_1 = weights[i, s + 1]
                    weight_2 = weights[i, s + 2]
                    weight_3 = weights[i, s + 3]
                    for j in range(stop - start):
                        total[j] += (
                            weight_0 * row_0[j]
                            + weight_1 * row_1[j]
                            + weight_2 * row_2[j]
                            + weight_3 * row_3[j]
                        )
