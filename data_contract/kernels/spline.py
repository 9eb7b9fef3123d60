"""Spline kernels: B-spline weights of a draw, and the weighted sum of bank rows."""

import numpy as np
from numba import njit, prange

from starsmith.data_contract.kernels.fused import add_eight, add_four_twice, fma

__all__ = ["GROUP", "basis_rows", "combine_rows", "combine_shared"]

TILE = 1024  # pixels: rows and sums of a few spectra stay in the first-level cache
NEIGHBOURS = 16  # spectra whose sums grow together, so that a row read for one serves the next
GROUP = 64  # spectra that share rows, at most: with their sums they stay in the second-level cache
WIDE = 4096  # pixels of a tile of shared rows: whole rows are read faster than pieces of them
DEEP = 32  # rows copied together: side by side they do not evict each other


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
    n_basis = knots.size - degree - 1  # per axis
    basis = np.empty(degree + 1)
    lower = np.empty(degree + 1)
    for i in range(values.size):
        x = values[i]
        span = degree  # knot interval; ends extrapolate their last polynomial
        while span < n_basis - 1 and knots[span + 1] <= x:
            span += 1
        first[i] = span - degree
        basis[0] = 1.0  # de Boor's triangle, degree by degree
        for p in range(1, degree + 1):
            for r in range(p):
                lower[r] = basis[r]
            basis[p] = 0.0
            for r in range(p - 1, -1, -1):
                left = knots[span + 1 + r - p]
                right = knots[span + 1 + r]
                # of the lower basis function that each neighbour receives
                share = lower[r] / (right - left)
                basis[r + 1] = (x - left) * share + (basis[r + 1] if r + 1 < p else 0.0)
                basis[r] = (right - x) * share
        for r in range(degree + 1):
            weights[i, r] = 0.0 if slope else basis[r]
        if not slope:
            continue
        # B'_{j,p} = p (B_{j,p-1} / (t_{j+p} - t_j) - B_{j+1,p-1} / (t_{j+p+1} - t_{j+1}))
        for r in range(degree):  # sums of the degree below, with either sign
            share = degree * lower[r] / (knots[span + 1 + r] - knots[span + 1 + r - degree])
            weights[i, r] -= share
            weights[i, r + 1] += share


@njit(cache=True)
def _add_to_all(flux, coef, rows, weights, together, s, pixels):
    """Add the eight weighted rows from the ``s``-th on to spectra ``together``, one or two at once.

    Stars of one cell follow each other and share their rows: two of them read a row once.
    """
    k = 0
    while k < together.size:
        i, other = together[k], together[min(k + 1, together.size - 1)]
        alike = other != i
        for p in range(s, s + 8):
            alike = alike and rows[i, p] == rows[other, p]
        if alike:
            for p in (s, s + 4):
                add_four_twice(
                    flux[i, pixels],
                    flux[other, pixels],
                    coef,
                    rows[i, p : p + 4],
                    weights[i, p : p + 4],
                    weights[other, p : p + 4],
                    pixels.start,
                )
        else:
            eight = slice(s, s + 8)
            add_eight(flux[i, pixels], coef, rows[i, eight], weights[i, eight], pixels.start)
        k += 1 + alike


@njit(cache=True, parallel=True)
def combine_rows(flux, coef, rows, weights, order, block):
    """Weighted sums of bank rows, tiled over wavelength.

    Spectra are taken in the order given, which changes no sum: where neighbours share rows of
    the bank, these are still in the cache.

    Parameters
    ----------
    flux : float32 array, shape (n_spec, n_wave)
        Overwritten [unit of ``coef`` x unit of ``weights``].
    coef : float32 array, shape (n_node, n_wave)
    rows : int32 array, shape (n_spec, n_support)
    weights : float32 array, shape (n_spec, n_support)
        ``n_support`` a multiple of eight; surplus entries carry weight zero.
    order : int64 array, shape (n_spec,)
        A permutation of the spectra.
    block : int
        Spectra a thread takes at once. Their rows stay in its second-level cache.
    """
    n_spec, n_wave = flux.shape
    for number in prange((n_spec + block - 1) // block):
        last = min((number + 1) * block, n_spec)
        for start in range(0, n_wave, TILE):
            pixels = slice(start, min(start + TILE, n_wave))
            for first in range(number * block, last, NEIGHBOURS):
                together = order[first : min(first + NEIGHBOURS, last)]
                for i in together:
                    flux[i, pixels] = 0.0
                for s in range(0, rows.shape[1], 8):
                    _add_to_all(flux, coef, rows, weights, together, s, pixels)


@njit(cache=True, inline="always")
def _add_four(sums, rows, w_0, w_1, w_2, w_3):
    """Add four weighted rows to the sums of four spectra, each of shape (n_wave,)."""
    sum_0, sum_1, sum_2, sum_3 = sums[0], sums[1], sums[2], sums[3]
    row_0, row_1, row_2, row_3 = rows[0], rows[1], rows[2], rows[3]
    w_00, w_01, w_02, w_03 = w_0[0], w_0[1], w_0[2], w_0[3]
    w_10, w_11, w_12, w_13 = w_1[0], w_1[1], w_1[2], w_1[3]
    w_20, w_21, w_22, w_23 = w_2[0], w_2[1], w_2[2], w_2[3]
    w_30, w_31, w_32, w_33 = w_3[0], w_3[1], w_3[2], w_3[3]
    for j in range(sum_0.size):
        a, b, c, d = row_0[j], row_1[j], row_2[j], row_3[j]
        sum_0[j] += fma(w_03, d, fma(w_02, c, fma(w_00, a, w_01 * b)))
        sum_1[j] += fma(w_13, d, fma(w_12, c, fma(w_10, a, w_11 * b)))
        sum_2[j] += fma(w_23, d, fma(w_22, c, fma(w_20, a, w_21 * b)))
        sum_3[j] += fma(w_33, d, fma(w_32, c, fma(w_30, a, w_31 * b)))


@njit(cache=True, parallel=True)
def combine_shared(flux, coef, rows, weights, order, first):
    """Weighted sums of bank rows for groups of spectra that all touch the same rows.

    Each value read serves four spectra. A spectrum has the same bits in any place of any group:
    the last four of a group are filled up with repetitions of its last spectrum.

    Parameters
    ----------
    flux : float32 array, shape (n_spec, n_wave)
        Overwritten [unit of ``coef`` x unit of ``weights``].
    coef : float32 array, shape (n_node, n_wave)
    rows : int32 array, shape (n_group, n_support)
        Rows that all spectra of a group touch; ``n_support`` a multiple of four.
    weights : float32 array, shape (n_spec, n_support)
        Surplus entries carry weight zero.
    order : int64 array, shape (n_spec,)
        Spectra, those of a group after each other.
    first : int64 array, shape (n_group + 1,)
        Where each group begins in ``order``; no group has more than ``GROUP`` spectra.
    """
    n_wave = flux.shape[1]
    n_support = rows.shape[1]
    for group in prange(first.size - 1):
        here = first[group]  # first spectrum of the group
        n_here = first[group + 1] - here
        copied = np.empty((DEEP, min(WIDE, n_wave)), dtype=np.float32)
        # three rows more: spectra are taken in fours
        sums = np.empty((n_here + 3, min(WIDE, n_wave)), dtype=np.float32)
        for start in range(0, n_wave, WIDE):
            width = min(WIDE, n_wave - start)
            sums[:, :width] = 0.0
            for top in range(0, n_support, DEEP):
                deep = min(DEEP, n_support - top)
                for s in range(deep):
                    copied[s, :width] = coef[rows[group, top + s], start : start + width]
                for k in range(0, n_here, 4):
                    w_0 = weights[order[here + k]]
                    # beyond the last the last again; its sum is thrown away
                    w_1 = weights[order[here + min(k + 1, n_here - 1)]]
                    w_2 = weights[order[here + min(k + 2, n_here - 1)]]
                    w_3 = weights[order[here + min(k + 3, n_here - 1)]]
                    for s in range(0, deep, 4):
                        _add_four(
                            sums[k : k + 4, :width],
                            copied[s : s + 4, :width],
                            w_0[top + s : top + s + 4],
                            w_1[top + s : top + s + 4],
                            w_2[top + s : top + s + 4],
                            w_3[top + s : top + s + 4],
                        )
            for k in range(n_here):
                flux[order[here + k], start : start + width] = sums[k, :width]
