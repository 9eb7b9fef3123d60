"""Leave-one-node-out test of a grid: each node predicted from its neighbours along an axis."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.interpolate import make_interp_spline

from starsmith.data_contract.grid.error_map import GridErrorMap
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.rendering.interpolate import spline_degree

__all__ = ["grid_error_map", "leave_out_weights"]

SAMPLES_AT_ONCE = 512  # wavelengths; bounds the float64 copy of the grid
DOUBLED, QUADRUPLED = 0, 1  # neighbours left out on either side, beside the node itself
FEWEST_KNOWN = {DOUBLED: 2, QUADRUPLED: 4}  # nodes a line must keep; orders compare cubics

Progress = Callable[[int, int], None]


def leave_out_weights(nodes: np.ndarray, valid: np.ndarray, reach: int) -> np.ndarray:
    """Weights with which a spline through the other nodes predicts each node of a line.

    Parameters
    ----------
    nodes : float64 array, shape (n_node,)
    valid : bool array, shape (n_node,)
        False where the line has a hole; holes are never used.
    reach : int
        Nodes left out on either side of the predicted one: 0 doubles the local spacing,
        1 quadruples it.

    Returns
    -------
    weights : float64 array, shape (n_node, n_node)
        Row k predicts node k; NaN where a node within ``reach + 1`` of k is a hole or lies
        beyond the end, or too few nodes are left.
    """
    n_node = nodes.size
    weights = np.full((n_node, n_node), np.nan)
    for k in range(reach + 1, n_node - reach - 1):
        others = valid.copy()
        others[k - reach : k + reach + 1] = False
        known = nodes[others]
        whole = valid[k - reach - 1 : k + reach + 2].all()
        if whole and known.size >= FEWEST_KNOWN[reach]:
            spline = make_interp_spline(known, np.eye(known.size), k=spline_degree(known.size))
            weights[k] = 0.0
            weights[k, others] = spline(nodes[k])
    return weights


def grid_error_map(grid: GridData, progress: Progress | None = None) -> GridErrorMap:
    """Compare every interior node with its prediction along each axis in turn.

    The order of convergence is measured at the nodes that can be predicted at doubled and at
    quadrupled spacing, from the rms over all of them and all wavelengths. It never counts as
    more than the order of the spline, nor as less than zero.

    Parameters
    ----------
    grid : GridData
    progress : callable, optional
        Called with (axes done, axes in all).

    Returns
    -------
    error_map : GridErrorMap
        Samples whose true flux is zero have no relative error and are left out.
    """
    pixels, nodes, order, measured = {}, {}, {}, {}
    for axis, label in enumerate(grid.axes):
        theory = spline_degree(grid.axes[label].size - 1) + 1.0
        pixels[label], nodes[label], found = _axis_errors(grid, axis)
        measured[label] = found is not None
        order[label] = theory if found is None else min(max(found, 0.0), theory)
        if progress:
            progress(axis + 1, len(grid.axes))
    return GridErrorMap(pixels=pixels, nodes=nodes, order=order, measured=measured)


def _axis_errors(grid: GridData, axis: int) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Rms error of each wavelength and of each node, and the order measured along an axis."""
    by_pixel = np.empty(grid.wave.size)
    total, count = np.zeros((2, *np.moveaxis(grid.valid, axis, 0).reshape(-1).shape))
    common = np.zeros(2)  # sums of squares over nodes that have both spacings
    for part, doubled, quadrupled in _squared_errors(grid, axis):
        flat = doubled.reshape(-1, doubled.shape[-1])
        known = np.isfinite(flat)
        by_pixel[part] = _root_mean(np.where(known, flat, 0.0).sum(axis=0), known.sum(axis=0))
        total += np.where(known, flat, 0.0).sum(axis=1)
        count += known.sum(axis=1)
        both = np.isfinite(doubled) & np.isfinite(quadrupled)
        common += doubled[both].sum(), quadrupled[both].sum()
    shape = np.moveaxis(grid.valid, axis, 0).shape
    by_node = np.moveaxis(_root_mean(total, count).reshape(shape), 0, axis)
    found = float(0.5 * np.log2(common[1] / common[0])) if common.all() else None
    return by_pixel, by_node, found


def _root_mean(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Root of the mean of what was summed; NaN where nothing was."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(total / count)


def _squared_errors(grid: GridData, axis: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield squared relative errors at doubled and quadrupled spacing, some samples at a time.

    Each has shape (n_node, n_line, n_sample), a line being the nodes that differ along the axis
    only; NaN where there is no prediction.
    """
    nodes = np.asarray(list(grid.axes.values())[axis], dtype=np.float64)
    valid = np.moveaxis(grid.valid, axis, 0).reshape(nodes.size, -1)
    patterns, pattern_of = np.unique(valid, axis=1, return_inverse=True)
    weights = {
        reach: [leave_out_weights(nodes, pattern, reach) for pattern in patterns.T]
        for reach in (DOUBLED, QUADRUPLED)
    }
    for start in range(0, grid.wave.size, SAMPLES_AT_ONCE):
        part = slice(start, start + SAMPLES_AT_ONCE)
        flux = np.moveaxis(grid.flux[..., part], axis, 0).astype(np.float64)
        flux = flux.reshape(nodes.size, valid.shape[1], -1)
        errors = []
        for reach in (DOUBLED, QUADRUPLED):
            squared = np.full_like(flux, np.nan)
            for number, matrix in enumerate(weights[reach]):
                lines = np.flatnonzero(pattern_of.ravel() == number)
                _fill_squares(squared, flux, lines, matrix)
            errors.append(squared)
        yield part, *errors


def _fill_squares(
    squared: np.ndarray, flux: np.ndarray, lines: np.ndarray, weights: np.ndarray
) -> None:
    """Write the squared relative errors of lines that have the same holes."""
    predicted = np.flatnonzero(np.isfinite(weights[:, 0]))
    if not predicted.size:
        return
    true = flux[predicted][:, lines]
    known = np.nan_to_num(flux[:, lines])  # holes are NaN, and carry weight zero
    guess = np.tensordot(weights[predicted], known, axes=1)
    ratio = np.divide(guess, true, out=np.full_like(true, np.nan), where=true > 0)
    squared[np.ix_(predicted, lines)] = (ratio - 1.0) ** 2
