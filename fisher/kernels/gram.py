"""Information matrices of grid nodes: derivatives, whitening and products in one pass."""

import numpy as np
from numba import njit, prange

__all__ = ["fill_gram"]

TILE = 512  # pixels; a tile of every column stays in the first-level cache


# reassociation lets sums run in vector lanes: float32 within a tile, rounding 1e-6 of the sum
@njit(cache=True, parallel=True, fastmath={"reassoc", "contract", "nsz"})
def fill_gram(gram, flux, nodes, neighbours, weights, scale, floor, slope):
    """Sum whitened products of derivatives over pixels, at several magnitudes.

    Parameters
    ----------
    gram : float64 array, shape (n_mag, n_node, n_column, n_column)
        Overwritten: J' J / variance [1 / (unit of row x unit of column)].
    flux : float32 array, shape (n_all, n_wave)
        Spectra of all nodes [any linear unit].
    nodes : int32 array, shape (n_node,)
        Rows of ``flux`` the matrices are for.
    neighbours : int32 array, shape (n_node, n_column, n_reach)
        Rows of ``flux`` each derivative is made from.
    weights : float32 array, shape (n_node, n_column, n_reach)
        Their weights [1/label]; zero where fewer are needed.
    scale : float32 array, shape (n_mag, n_node)
        Observed flux of one unit of ``flux`` [1e-17 erg/s/cm²/Å].
    floor, slope : float32 arrays, shape (n_wave,)
        Variance = floor + slope x observed flux.
    """
    n_mag, n_node, n_column, _ = gram.shape
    n_wave = flux.shape[1]
    for i in prange(n_node):
        columns = np.empty((n_column, TILE), dtype=np.float32)
        precision = np.empty(TILE, dtype=np.float32)
        whitened = np.empty(TILE, dtype=np.float32)
        for m in range(n_mag):  # loops: within a parallel one, slices compile for seconds
            for a in range(n_column):
                for b in range(n_column):
                    gram[m, i, a, b] = 0.0
        for start in range(0, n_wave, TILE):
            n = min(TILE, n_wave - start)
            for c in range(n_column):
                column = columns[c]
                for j in range(n):
                    column[j] = np.float32(0.0)
                for k in range(neighbours.shape[2]):
                    weight = weights[i, c, k]
                    if weight == np.float32(0.0):
                        continue
                    row = flux[neighbours[i, c, k], start : start + n]
                    for j in range(n):
                        column[j] += weight * row[j]
            seen = flux[nodes[i], start : start + n]
            for m in range(n_mag):
                unit = scale[m, i]
                for j in range(n):
                    bright = max(unit * seen[j], np.float32(0.0))
                    variance = floor[start + j] + slope[start + j] * bright
                    precision[j] = unit * unit / variance
                for a in range(n_column):
                    for j in range(n):
                        whitened[j] = columns[a, j] * precision[j]
                    for b in range(a + 1):
                        total = np.float32(0.0)
                        for j in range(n):
                            total += whitened[j] * columns[b, j]
                        gram[m, i, a, b] += total
        for m in range(n_mag):
            for a in range(n_column):
                for b in range(a):
                    gram[m, i, b, a] = gram[m, i, a, b]
