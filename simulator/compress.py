"""Compressed banks: node spectra as amplitudes of their principal components."""

from dataclasses import replace

import numpy as np
from scipy.linalg import eigh

from starsmith.data_contract.bank import Bank
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.simulator.holes import used_nodes

__all__ = ["compress_bank"]

LEAST_TOLERANCE = 1e-5  # float32 amplitudes and sums leave 1e-6
ROWS_AT_ONCE = 512


def compress_bank(bank: Bank, tolerance: float = 1e-4) -> Bank:
    """Keep the fewest principal components that hold every spectrum to a relative error.

    The error is measured on every coefficient that an accepted draw can use. Spline weights are
    positive, so no interpolated flux errs by more (derivatives may).

    Parameters
    ----------
    bank : Bank
        Not compressed yet.
    tolerance : float
        Largest relative error of the flux at any pixel, 1e-5 or more.

    Returns
    -------
    compressed : Bank
        ``info["compression"]`` holds ``n_component``, ``tolerance`` and the measured
        ``max_relative_error``, for the velocity tables as well where there are any.

    Raises
    ------
    ConfigError
        If the tolerance is below what float32 can hold.
    DataError
        If the bank is compressed already, or its spectra have too little in common.
    """
    if not LEAST_TOLERANCE <= tolerance < 1.0:
        raise ConfigError(
            f"compression tolerance {tolerance:g} is outside {LEAST_TOLERANCE:g}..1; 1e-4 is usual"
        )
    if bank.basis is not None:
        raise DataError("this bank is compressed already; compress the one it was made from")
    filled = bank.filled.reshape([nodes.size for nodes in bank.axes])
    used = used_nodes(bank.axes, filled, bank.degree).ravel()
    coef, basis, error = _compress(bank.coef, used, tolerance)
    told = {"tolerance": tolerance, "n_component": len(basis), "max_relative_error": error}
    velocity = bank.velocity
    if velocity is not None:
        moving, moving_basis, error = _compress(velocity.coef, used, tolerance)
        velocity = replace(velocity, coef=moving, basis=moving_basis)
        told |= {"n_component_moving": len(moving_basis), "max_relative_error_moving": error}
    info = {**bank.info, "compression": told}
    return replace(bank, coef=coef, basis=basis, velocity=velocity, info=info)


def _compress(
    coef: np.ndarray, used: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Amplitudes (n_node, n_component), basis (n_component, n_value), largest error."""
    if not used.any() or coef[used].min() <= 0:
        raise DataError(
            "some spline coefficients of this bank are not positive, so that no relative error "
            "can be promised; use it uncompressed, or with --interpolation linear"
        )
    level = np.median(coef, axis=1, keepdims=True).astype(np.float64)
    level = np.where(level > 0, level, 1.0)
    spectra = coef / level  # every star counts alike, bright or faint
    n_node, n_value = coef.shape
    most = n_node * n_value // (n_node + n_value)  # more would take more room than the bank
    basis = _leading_spectra(spectra[used], most)
    amplitudes = spectra @ basis.T

    def error_of(n: int) -> float:
        return _largest_error(coef, level, amplitudes[:, :n], basis[:n], used)

    n_component = _fewest(error_of, len(basis), tolerance)
    scores = (amplitudes[:, :n_component] * level).astype(np.float32)
    kept = np.ascontiguousarray(basis[:n_component], dtype=np.float32)
    return scores, kept, _largest_error(coef, 1.0, scores, kept, used)


def _leading_spectra(spectra: np.ndarray, n: int) -> np.ndarray:
    """Orthonormal principal directions of the rows, largest first: at most ``n``."""
    n_row, n_value = spectra.shape
    if n_row < n_value:
        _, vectors = eigh(spectra @ spectra.T)
        directions = spectra.T @ vectors[:, ::-1][:, :n]
    else:
        _, vectors = eigh(spectra.T @ spectra)
        directions = vectors[:, ::-1][:, :n]
    orthonormal, _ = np.linalg.qr(directions)
    return orthonormal.T


def _fewest(error_of, most: int, tolerance: float) -> int:
    """Bisect for the fewest components within tolerance, leaving a tenth of it to rounding."""
    if most < 1 or error_of(most) > 0.9 * tolerance:
        raise DataError(
            f"the spectra of this bank have too little in common: {most} components, as large as "
            f"the bank itself, do not hold them to {tolerance:g}; allow more or leave it whole"
        )
    low, high = 0, most  # too few, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if error_of(middle) <= 0.9 * tolerance else (middle, high)
    return high


def _largest_error(
    coef: np.ndarray,
    level: np.ndarray | float,
    amplitudes: np.ndarray,
    basis: np.ndarray,
    used: np.ndarray,
) -> float:
    """Largest relative error of the used coefficients, a block of nodes at a time."""
    level = np.broadcast_to(level, (len(coef), 1))
    worst = 0.0
    for start in range(0, len(coef), ROWS_AT_ONCE):
        rows = start + np.flatnonzero(used[start : start + ROWS_AT_ONCE])
        ratio = (amplitudes[rows] @ basis) * level[rows] / coef[rows]
        worst = max(worst, float(np.abs(ratio - 1.0).max(initial=0.0)))
    return worst
