"""Holes of a grid in its bank: how far a filled node reaches into the cells that are used."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from starsmith.simulator.rendering.interpolate import prefilter, spline_degree

__all__ = ["accepted_cells", "filled_leakage", "used_nodes"]


def accepted_cells(axes: tuple[np.ndarray, ...], filled: np.ndarray, most: int = 3) -> np.ndarray:
    """Cells of the knots in which draws are accepted: none of the nodes they combine is filled.

    Parameters
    ----------
    axes : tuple of float64 arrays
    filled : bool array, shape (n_1, n_2, ...)
    most : int
        Highest degree of the splines.

    Returns
    -------
    accepted : bool array, shape (n_cell_1, n_cell_2, ...)
    """
    width = tuple(spline_degree(nodes.size, most) + 1 for nodes in axes)
    over = tuple(range(filled.ndim, 2 * filled.ndim))
    return ~sliding_window_view(filled, width).any(axis=over)


def used_nodes(axes: tuple[np.ndarray, ...], filled: np.ndarray, most: int = 3) -> np.ndarray:
    """Coefficients that some accepted draw can touch.

    A draw is accepted where none of the nodes whose coefficients its cell combines is filled.

    Parameters
    ----------
    axes : tuple of float64 arrays
    filled : bool array, shape (n_1, n_2, ...)
    most : int
        Highest degree of the splines.

    Returns
    -------
    used : bool array, shape (n_1, n_2, ...)
    """
    degrees = [spline_degree(nodes.size, most) for nodes in axes]
    width = tuple(degree + 1 for degree in degrees)
    over = tuple(range(filled.ndim, 2 * filled.ndim))
    accepted = accepted_cells(axes, filled, most)
    around = np.pad(accepted, [(degree, degree) for degree in degrees])
    return np.any(sliding_window_view(around, width), axis=over)


def filled_leakage(axes: tuple[np.ndarray, ...], filled: np.ndarray, most: int = 3) -> float:
    """Largest weight of one filled node in a coefficient that accepted draws use.

    B-spline coefficients depend on all nodes of the grid, a factor 0.27 less with every node of
    distance: an accepted cell has no filled node in its support and still feels those beyond.
    Spline weights are positive and sum to one, so the error a filled node leaves in an
    accepted spectrum is at most this number times the error of the fill.

    Parameters
    ----------
    axes : tuple of float64 arrays
        Nodes along each label.
    filled : bool array, shape (n_1, n_2, ...)
        True at holes.
    most : int
        Highest degree of the splines; linear ones leak nothing.

    Returns
    -------
    leakage : float
        0 without filled nodes, or where no cell is accepted.
    """
    used = used_nodes(axes, filled, most)
    weights = [np.abs(prefilter(np.eye(nodes.size), (nodes,), most)) for nodes in axes]
    largest = 0.0
    for hole in zip(*np.nonzero(filled), strict=True):
        reach = np.ones(())
        for matrix, i in zip(weights, hole, strict=True):
            reach = np.multiply.outer(reach, matrix[:, i])
        largest = max(largest, float(reach[used].max(initial=0.0)))
    return largest
