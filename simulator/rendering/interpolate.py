"""Interpolation in a bank: tensor-product splines in the labels, exact to rounding."""

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.bank.row_sums import weighted_spectra
from starsmith.data_contract.bank.splines import spline_degree, spline_knots
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.kernels.spline import basis_rows
from starsmith.simulator.rendering.positivity import refuse_undershoot, refuse_unpromised
from starsmith.simulator.rendering.reddened import dust_tables
from starsmith.simulator.rendering.velocity_shift import shift_to_pixels, tables_for

__all__ = [
    "cardinal_weights",
    "flux_of",
    "interpolate",
    "prefilter",
    "samples_of",
    "spline_degree",
    "spline_knots",
    "spline_weights",
    "touches_filled",
]


MOVING_AT_ONCE = 256  # bounds the spectra waiting to be shifted
DUSTY_AT_ONCE = 256  # bounds the transmissions in memory


def prefilter(values: np.ndarray, axes: tuple[np.ndarray, ...], most: int = 3) -> np.ndarray:
    """Turn node values into B-spline coefficients along every axis in turn.

    Parameters
    ----------
    values : float64 array, shape (n_1, n_2, ..., n_value)
    axes : tuple of float64 arrays, shapes (n_1,), (n_2,), ...
    most : int
        Highest degree: 3, or 1, which leaves the values as they are.

    Returns
    -------
    coef : float64 array, same shape
        In place of each node value, the coefficient of the B-spline of that number.
    """
    coef = np.array(values, dtype=np.float64)
    for k, nodes in enumerate(axes):
        degree = spline_degree(nodes.size, most)
        if degree < 2:  # linear: coefficients are the values
            continue
        collocation = np.zeros((nodes.size, nodes.size))
        first = np.empty(nodes.size, dtype=np.int64)
        weights = np.empty((nodes.size, degree + 1))
        basis_rows(spline_knots(nodes, most), degree, nodes, False, first, weights)
        for p in range(degree + 1):
            # values of basis functions at the nodes
            collocation[np.arange(nodes.size), first + p] = weights[:, p]
        moved = np.moveaxis(coef, k, 0)
        solved = fixed.solve(collocation, moved.reshape(nodes.size, -1))
        # one axis after the other: a tensor product
        coef = np.moveaxis(solved.reshape(moved.shape), 0, k)
    return np.ascontiguousarray(coef)


def cardinal_weights(nodes: np.ndarray, value: float) -> np.ndarray:
    """Weights of the node values in the spline's value at one point, float64 (n_node,)."""
    degree = spline_degree(nodes.size)
    first = np.empty(1, dtype=np.int64)
    along = np.empty((1, degree + 1))
    basis_rows(spline_knots(nodes), degree, np.array([float(value)]), False, first, along)
    columns = prefilter(np.eye(nodes.size), (nodes,))  # coefficients of a unit value at each node
    return fixed.matmul(along[0], columns[first[0] : first[0] + degree + 1])


def _check_inside(bank: Bank, labels: np.ndarray) -> None:
    for k, (name, nodes) in enumerate(zip(bank.label_names, bank.axes, strict=True)):
        low, high = labels[:, k].min(), labels[:, k].max()
        if not (low >= nodes[0] and high <= nodes[-1]):
            raise GridError(
                f"{name} {low:g}{f'..{high:g}' if high > low else ''} leaves the grid, which spans "
                f"{nodes[0]:g}..{nodes[-1]:g}; "
                f"narrow --{name.replace('_', '-')} or use a wider grid"
            )


def spline_weights(
    bank: Bank, labels: np.ndarray, derivative: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Bank rows a draw touches, and their weights.

    Parameters
    ----------
    bank : Bank
    labels : float64 array, shape (n_spec, n_label)
        In ``bank.label_names`` order.
    derivative : str, optional
        Label to differentiate with respect to; the values themselves by default.

    Returns
    -------
    rows : int32 array, shape (n_spec, n_support)
        n_support is 4 per cubic axis and 2 per linear one, multiplied: 64 and 8 in three
        dimensions.
    weights : float64 array, shape (n_spec, n_support)
        They sum to 1 (to 0 for a derivative).

    Raises
    ------
    GridError
        If a label leaves the grid.
    """
    labels = np.ascontiguousarray(labels, dtype=np.float64)
    if len(labels):
        _check_inside(bank, labels)
    n_spec = len(labels)
    rows = np.zeros((n_spec, 1), dtype=np.int64)
    weights = np.ones((n_spec, 1))
    for k, nodes in enumerate(bank.axes):
        degree = spline_degree(nodes.size, bank.degree)
        first = np.empty(n_spec, dtype=np.int64)
        along = np.empty((n_spec, degree + 1))
        slope = bank.label_names[k] == derivative
        values = np.ascontiguousarray(labels[:, k])
        basis_rows(spline_knots(nodes, bank.degree), degree, values, slope, first, along)
        step = first[:, None] + np.arange(degree + 1)  # nodes that support each star on this axis
        # last label fastest
        rows = (rows[:, :, None] * nodes.size + step[:, None, :]).reshape(n_spec, -1)
        weights = (weights[:, :, None] * along[:, None, :]).reshape(n_spec, -1)
    return rows.astype(np.int32), weights  # half the memory; banks have far fewer rows


def touches_filled(bank: Bank, labels: np.ndarray) -> np.ndarray:
    """Tell which draws lean on a node that the grid does not have.

    Returns
    -------
    touches : bool array, shape (n_spec,)
    """
    rows, _ = spline_weights(bank, labels)
    return bank.filled[rows].any(axis=1)


def combine(bank: Bank, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums of bank coefficients, float32 (n_spec, n_wave).

    ``rows`` int32 and ``weights`` float64 have shape (n_spec, n_support).
    """
    return weighted_spectra(bank, rows, weights)


def combine_moving(bank: Bank, rows: np.ndarray, weights: np.ndarray, rv: np.ndarray) -> np.ndarray:
    """Like `combine`, of stars receding at ``rv`` float64 (n_spec,) [km/s].

    A star at rest has the same bits as without velocities.
    """
    still = rv == 0
    if still.all():
        return combine(bank, rows, weights)
    tables = tables_for(bank, rv)
    flux = np.empty((len(rows), bank.wave.size), dtype=np.float32)
    flux[still] = combine(bank, rows[still], weights[still])
    moving = np.flatnonzero(~still)
    for start in range(0, moving.size, MOVING_AT_ONCE):
        some = moving[start : start + MOVING_AT_ONCE]
        samples = weighted_spectra(tables, rows[some], weights[some])
        flux[some] = shift_to_pixels(tables, samples, rv[some])
    return flux


def flux_of(bank: Bank, draws: Draws) -> np.ndarray:
    """Noiseless spectra of drawn stars; see `interpolate`."""
    return interpolate(bank, draws.labels, draws.mag, draws.rv, draws.ebv)


def interpolate(
    bank: Bank,
    labels: np.ndarray,
    mag: np.ndarray,
    rv: np.ndarray | None = None,
    ebv: np.ndarray | None = None,
) -> np.ndarray:
    """Noiseless spectra of stars of given labels, magnitude and radial velocity.

    Parameters
    ----------
    bank : Bank
    labels : float64 array, shape (n_spec, n_label)
    mag : float64 array, shape (n_spec,)
        AB magnitude in ``bank.mag_band``, of the star at rest, behind its dust.
    rv : float64 array, shape (n_spec,), optional
        Radial velocity, receding positive [km/s]; at rest by default.
    ebv : float64 array, shape (n_spec,), optional
        Reddening E(B-V) of dust that rests with the observer [mag]; none by default.

    Returns
    -------
    flux_model : float32 array, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å]. Positive at every pixel.

    Raises
    ------
    GridError
        If a label leaves the grid, a draw leans on a filled node, an interpolated flux is zero
        or negative, or a compressed bank promises no error there.
    DataError
        If the bank cannot shift spectra by ``rv``, or knows no dust of ``ebv``.
    """
    rows, weights, scale = _supports(bank, labels, mag)
    dusty = np.flatnonzero(ebv) if ebv is not None else np.empty(0, dtype=np.int64)
    if dusty.size:
        dust = dust_tables(bank, ebv)
        # the magnitude is that behind the dust
        scale[dusty] /= dust.dimming(rows[dusty], weights[dusty], ebv[dusty])
    weights = weights * scale[:, None]
    moving = rv is not None
    flux = combine_moving(bank, rows, weights, rv) if moving else combine(bank, rows, weights)
    for start in range(0, dusty.size, DUSTY_AT_ONCE):
        some = dusty[start : start + DUSTY_AT_ONCE]
        flux[some] *= dust.transmission(ebv[some])
    refuse_undershoot(bank, labels, flux)
    return flux


def samples_of(bank: Bank, labels: np.ndarray, mag: np.ndarray) -> np.ndarray:
    """Noiseless spectra at the samples of a bank's velocity tables, before pixels see them.

    What `shift_to_pixels` makes of them is what `interpolate` gives at that velocity; its arguments
    and errors, and DataError of a bank without such tables.

    Returns
    -------
    samples : float32 array, shape (n_spec, n_sample)
        [1e-17 erg/s/cm²/Å]
    """
    rows, weights, scale = _supports(bank, labels, mag)
    return weighted_spectra(tables_for(bank, np.zeros(1)), rows, weights * scale[:, None])


def _supports(
    bank: Bank, labels: np.ndarray, mag: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and weights of `spline_weights`, and what they are scaled by to magnitudes (n_spec,)."""
    rows, weights = spline_weights(bank, labels)
    if bank.filled.any() and (bad := bank.filled[rows].any(axis=1)).any():
        where = dict(zip(bank.label_names, np.asarray(labels)[bad][0].tolist(), strict=True))
        raise GridError(
            f"{int(bad.sum())} draws lean on nodes the grid does not have, the first at {where}; "
            "narrow the label ranges or import the missing nodes"
        )
    if bank.refused is not None:
        _check_promised(bank, np.asarray(labels, dtype=np.float64), rows)
    # of the star as the bank holds it
    maggies = np.einsum("ns,ns->n", weights, bank.band_coef[rows])
    scale = fixed.power(10.0, -0.4 * np.asarray(mag, dtype=np.float64)) / maggies
    return rows, weights, scale


def _check_promised(bank: Bank, labels: np.ndarray, rows: np.ndarray) -> None:
    """Refuse draws in cells of a compressed bank that promise no error.

    A draw on the border of two cells is in both: one that promises is enough.
    """
    bad = np.flatnonzero(bank.refused[rows[:, 0]])
    if bad.size:
        floor = [nodes[0] for nodes in bank.axes]
        # on a border the cell before counts too
        before, _ = spline_weights(bank, np.maximum(np.nextafter(labels[bad], -np.inf), floor))
        refuse_unpromised(bank, labels[bad[bank.refused[before[:, 0]]]])
