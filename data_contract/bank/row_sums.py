"""Sums of a bank's rows: what a spectrum between the nodes is made of."""

import numba
import numpy as np

from starsmith.data_contract.aligned import aligned_empty
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.bank.velocity import VelocityTables
from starsmith.data_contract.kernels.spline import GROUP, combine_rows, combine_shared

__all__ = ["weighted_spectra"]

AT_ONCE = (64, 512)  # spectra that a thread takes: least and most
MANY_ROWS = 128  # from here on, spectra of the same cell are worth collecting


def weighted_spectra(
    tables: Bank | VelocityTables, rows: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Weighted sums of spectra, or of the components that ``tables.coef`` are amplitudes of.

    Parameters
    ----------
    tables : Bank or VelocityTables
    rows : int32 array, shape (n_spec, n_support)
        Of ``tables.coef``.
    weights : float array, shape (n_spec, n_support)

    Returns
    -------
    flux : float32 array, shape (n_spec, n_wave)
    """
    sums = _weighted_sums(tables.coef, rows, weights)
    if tables.basis is None:
        return sums
    flux = np.empty((len(rows), tables.wave.size), dtype=np.float32)
    together = np.zeros(len(rows), dtype=np.int32)
    for piece in tables.pieces:
        every = np.arange(len(piece.spectra), dtype=np.int32)
        amplitudes = sums[:, piece.components]
        flux[:, piece.pixels] = _shared_sums(piece.spectra, every, amplitudes, together)
    return flux


def _weighted_sums(coef: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums of rows: float32 (n_spec, n_value)."""
    if rows.shape[1] >= MANY_ROWS:
        return _shared_sums(coef, rows, weights, rows[:, 0])
    surplus = -rows.shape[1] % 8  # weight 0: the kernel takes rows in groups
    if surplus:
        rows = np.pad(rows, ((0, 0), (0, surplus)))
        weights = np.pad(weights, ((0, 0), (0, surplus)))
    coef = np.ascontiguousarray(coef)  # kernels read pixels one after the other
    flux = aligned_empty((len(rows), coef.shape[1]), np.float32)
    order = np.argsort(rows[:, 0], kind="stable")  # neighbours in the grid after each other
    fair = len(rows) // (4 * numba.get_num_threads())
    block = min(max(fair, AT_ONCE[0]), AT_ONCE[1])
    combine_rows(flux, coef, rows, weights.astype(np.float32), order, block)
    return flux


def _shared_sums(
    coef: np.ndarray, rows: np.ndarray, weights: np.ndarray, cell: np.ndarray
) -> np.ndarray:
    """Sums for spectra of which those with the same ``cell`` touch the same rows.

    ``rows`` int32 has shape (n_spec, n_support), or (n_support,) where all spectra touch the same.
    """
    order = np.argsort(cell, kind="stable")
    begins = np.flatnonzero(np.diff(cell[order], prepend=-1))
    ends = np.append(begins[1:], len(cell))
    # a cell of many stars is cut into groups
    pieces = [np.arange(*ends_of, GROUP) for ends_of in zip(begins, ends, strict=True)]
    first = np.concatenate([*pieces, [len(cell)]]).astype(np.int64)
    leads = order[first[:-1]]
    shared = rows[leads] if rows.ndim == 2 else np.tile(rows, (len(leads), 1))
    surplus = ((0, 0), (0, -shared.shape[1] % 4))
    flux = aligned_empty((len(cell), coef.shape[1]), np.float32)
    weights = np.pad(weights.astype(np.float32), surplus)
    combine_shared(flux, np.ascontiguousarray(coef), np.pad(shared, surplus), weights, order, first)
    return flux
