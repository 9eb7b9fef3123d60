"""Compressed banks: node spectra as amplitudes of their principal components."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.simulator.rendering.bernstein import boxes, lattice
from starsmith.simulator.rendering.holes import accepted_cells
from starsmith.simulator.rendering.positivity import refused_cells

__all__ = ["compress_bank"]

LEAST_TOLERANCE = 1e-5  # float32 amplitudes and sums leave 1e-6
PIXELS_AT_ONCE = 512  # that share components: fewer suffice for a piece than for the whole


def compress_bank(bank: Bank, tolerance: float = 1e-4) -> Bank:
    """Keep the fewest principal components that hold every spectrum to a relative error.

    The error is a proved bound, not a sample: it is the largest relative error of the Bernstein
    coefficients of every cell of the knots at every pixel. Flux and error share their positive
    weights, so at no point of the cell is the relative error of the flux larger (that of its
    derivatives may be). It holds in exact arithmetic: float32 sums add about 1e-6.

    Cells where some Bernstein coefficient of the flux is not positive are left out: the spline
    may undershoot there, nothing is promised, and draws in them are refused (``refused``).

    Parameters
    ----------
    bank : Bank
        Not compressed yet.
    tolerance : float
        Largest relative error of the flux at any pixel, 1e-5 or more.

    Returns
    -------
    compressed : Bank
        ``info["compression"]`` holds ``n_component``, ``tolerance``, the bound found
        (``max_relative_error``), and ``n_cell`` and ``n_cell_refused``; for the velocity tables
        as well where there are any.

    Raises
    ------
    ConfigError
        If the tolerance is below what float32 can hold.
    DataError
        If the bank is compressed already, promises nothing anywhere, or its spectra have too
        little in common.
    """
    if not LEAST_TOLERANCE <= tolerance < 1.0:
        raise ConfigError(
            f"compression tolerance {tolerance:g} is outside {LEAST_TOLERANCE:g}..1; 1e-4 is usual"
        )
    if bank.basis is not None:
        raise DataError("this bank is compressed already; compress the one it was made from")
    accepted = accepted_cells(bank.axes, _on_axes(bank, bank.filled), bank.degree)
    spectra = [bank.band_coef[:, None], bank.coef]
    spectra += [bank.velocity.coef] if bank.velocity is not None else []
    refused = accepted & np.any([refused_cells(bank, values) for values in spectra], axis=0)
    promised = accepted & ~refused
    if not promised.any():
        raise DataError(
            "interpolated flux can be zero or negative in every cell of this bank, so that no "
            "relative error can be promised; use it uncompressed, or with --interpolation linear"
        )
    coef, basis, error = _compress(bank, bank.coef, promised, tolerance)
    told = {
        "tolerance": tolerance,
        "n_component": len(basis),
        "max_relative_error": error,
        "n_cell": int(promised.sum()),
        "n_cell_refused": int(refused.sum()),
    }
    velocity = bank.velocity
    if velocity is not None:
        moving, moving_basis, error = _compress(bank, velocity.coef, promised, tolerance)
        velocity = replace(velocity, coef=moving, basis=moving_basis)
        told |= {"n_component_moving": len(moving_basis), "max_relative_error_moving": error}
    return replace(
        bank,
        coef=coef,
        basis=basis,
        velocity=velocity,
        refused=_by_first_node(bank, refused) if refused.any() else None,
        info={**bank.info, "compression": told},
    )


def _on_axes(bank: Bank, of_nodes: np.ndarray) -> np.ndarray:
    return of_nodes.reshape([nodes.size for nodes in bank.axes])


def _by_first_node(bank: Bank, cells: np.ndarray) -> np.ndarray:
    """Mark cells at the first node of their support: bool (n_node,)."""
    marked = np.zeros([nodes.size for nodes in bank.axes], dtype=bool)
    marked[tuple(slice(n) for n in lattice(bank.axes, bank.degree))] = cells
    return marked.ravel()


@dataclass(frozen=True)
class _Cells:
    """Cells in which an error is promised, of one bank."""

    bank: Bank
    promised: np.ndarray

    def nodes(self) -> np.ndarray:
        """Rows of the bank that the cells combine, int64 (n_used,)."""
        axes, degree = self.bank.axes, self.bank.degree
        used = np.zeros(len(self.bank.coef), dtype=bool)
        for box in self:
            used[box.support(axes, degree)] = True
        return np.flatnonzero(used)

    def __iter__(self):
        kept = self.promised.ravel()
        every = boxes(self.bank.axes, self.bank.degree)
        return (box for box, keep in zip(every, kept, strict=True) if keep)

    def coefficients(self, values: np.ndarray) -> list[np.ndarray]:
        """Bernstein coefficients in each cell, float32 (n_order, n_value)."""
        axes, degree = self.bank.axes, self.bank.degree
        found = []
        for box in self:
            here = box.coefficients(values[box.support(axes, degree)], axes, degree)
            found.append(here.reshape(-1, values.shape[1]).astype(np.float32))
        return found


def _compress(
    bank: Bank, coef: np.ndarray, promised: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Amplitudes (n_node, n_component), basis (n_component, n_value), largest error."""
    cells = _Cells(bank, promised)
    used = cells.nodes()
    level = np.median(coef, axis=1, keepdims=True).astype(np.float64)
    level = np.where(level > 0, level, 1.0)  # every star counts alike, bright or faint
    scores, spectra, worst = [], [], 0.0
    for start in range(0, coef.shape[1], PIXELS_AT_ONCE):
        pixels = slice(start, start + PIXELS_AT_ONCE)
        piece, components, error = _compress_piece(cells, coef[:, pixels], level, used, tolerance)
        whole = np.zeros((len(components), coef.shape[1]), dtype=np.float32)
        whole[:, pixels] = components
        scores.append(piece)
        spectra.append(whole)
        worst = max(worst, error)
    n_component = sum(map(len, spectra))
    if n_component * (len(coef) + PIXELS_AT_ONCE) >= coef.size:
        raise DataError(
            f"the spectra of this bank have too little in common: to hold them to {tolerance:g} "
            f"takes {n_component} components, as large as the bank itself; allow more or leave "
            "it whole"
        )
    return np.concatenate(scores, axis=1), np.concatenate(spectra), worst


def _compress_piece(
    cells: _Cells, coef: np.ndarray, level: np.ndarray, used: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Amplitudes, components and their error for some neighbouring pixels."""
    exact = cells.coefficients(coef.astype(np.float64))
    directions = _leading_spectra((coef / level)[used])
    most = len(directions)

    def cut(n: int) -> tuple[np.ndarray, np.ndarray, float]:
        kept = directions[:n].astype(np.float32)
        scores = (coef @ directions[:n].T).astype(np.float32)
        found = zip(cells.coefficients(scores), exact, strict=True)
        error = max(float(np.abs(a @ kept / b - 1.0).max()) for a, b in found)
        return scores, kept, error

    low, high = 0, most  # too few, enough if anything is
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if cut(middle)[2] <= 0.95 * tolerance else (middle, high)
    best = cut(high)
    if best[2] > tolerance:
        raise DataError(
            f"{most} components do not hold this bank to {tolerance:g}: float32 does not resolve "
            "its faintest pixels; allow more or leave it whole"
        )
    return best


def _leading_spectra(spectra: np.ndarray) -> np.ndarray:
    """Orthonormal principal directions of the rows, largest first."""
    n_row, n_value = spectra.shape
    _, vectors = eigh(spectra.T @ spectra)
    return vectors[:, ::-1][:, : min(n_row, n_value)].T
