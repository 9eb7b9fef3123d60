"""Which neighbours a derivative at a grid node is made from, and with what weights."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.fisher.information.jacobian import derivative_matrix

__all__ = ["Stencils", "axis_stencils", "build_stencils"]

FEWEST = {"grid": 3, "spline": 2}


@dataclass(frozen=True)
class Stencils:
    """Derivatives at nodes as weighted sums of node values.

    Attributes
    ----------
    neighbours : int32, shape (n_node, n_column, n_reach)
        Flat node numbers.
    weights : float64, shape (n_node, n_column, n_reach)
        [1/label]; zero where fewer neighbours are needed, NaN where there are too few.
    """

    neighbours: np.ndarray
    weights: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """Whether every derivative of a node exists, bool (n_node,)."""
        return np.isfinite(self.weights).all(axis=(1, 2))

    def with_value(self, nodes: np.ndarray) -> "Stencils":
        """Append a column that is the node's own value."""
        neighbours = np.repeat(nodes[:, None, None], self.neighbours.shape[2], axis=2)
        weights = np.zeros(neighbours.shape)
        weights[:, :, 0] = 1.0
        return Stencils(
            np.concatenate([self.neighbours, neighbours], axis=1).astype(np.int32),
            np.concatenate([self.weights, weights], axis=1),
        )

    def columns(self, flux: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        """Derivatives of spectra (n_all, n_wave) at some nodes, float64 (n, n_column, n_wave)."""
        spectra = flux[self.neighbours[rows]].astype(np.float64)
        return np.einsum("ick,ickl->icl", self.weights[rows], spectra)


def axis_stencils(
    nodes: np.ndarray, exists: np.ndarray, axis: int, derivative: str
) -> tuple[np.ndarray, np.ndarray]:
    """Stencils along one axis of a grid that may have holes.

    A hole is stepped over: the node's slope is that of the spline, or of the parabola,
    through the nodes of its line that exist (its two nearest on one side at an edge).

    Parameters
    ----------
    nodes : float64 array, shape (n_axis,)
    exists : bool array, shape (n_1, n_2, ...)
    axis : int
    derivative : str
        ``spline`` or ``grid``.

    Returns
    -------
    neighbours : int64 array, shape (n_all, n_reach)
        Flat node numbers, nodes in C order.
    weights : float64 array, shape (n_all, n_reach)
        NaN where a line has too few nodes.
    """
    numbers = np.moveaxis(np.arange(exists.size).reshape(exists.shape), axis, -1)
    lines = np.moveaxis(exists, axis, -1).reshape(-1, nodes.size)
    patterns, which = np.unique(lines, axis=0, return_inverse=True)
    matrices = np.stack([_line_matrix(nodes, pattern, derivative) for pattern in patterns])
    reach = max(1, int((matrices != 0.0).sum(axis=-1).max()))
    place = np.argsort(matrices == 0.0, axis=-1, kind="stable")[..., :reach]
    weights = np.take_along_axis(matrices, place, axis=-1)[which.ravel()]
    flat = numbers.reshape(-1, nodes.size)
    neighbours = np.take_along_axis(
        np.broadcast_to(flat[:, None, :], (len(flat), nodes.size, nodes.size)),
        place[which.ravel()],
        axis=-1,
    )
    order = np.argsort(flat.ravel())
    return neighbours.reshape(-1, reach)[order], weights.reshape(-1, reach)[order]


def _line_matrix(nodes: np.ndarray, pattern: np.ndarray, derivative: str) -> np.ndarray:
    """Derivative matrix of a line of nodes, those of ``pattern`` existing."""
    matrix = np.zeros((nodes.size, nodes.size))
    present = np.flatnonzero(pattern)
    if present.size < FEWEST[derivative]:
        matrix[present] = np.nan
    else:
        matrix[np.ix_(present, present)] = derivative_matrix(nodes[present], derivative)
    return matrix


def build_stencils(
    axes: tuple[np.ndarray, ...],
    names: tuple[str, ...],
    exists: np.ndarray,
    derivative: str,
) -> Stencils:
    """Stencils of every node along several axes.

    Parameters
    ----------
    axes : tuple of float64 arrays
        Nodes along each axis of the grid.
    names : tuple of str
        Of the axes; an empty name leaves an axis out.
    exists : bool array, shape (n_1, n_2, ...)
    derivative : str
        ``spline`` or ``grid``.

    Returns
    -------
    stencils : Stencils
        Of all nodes in C order, a column per named axis.

    Raises
    ------
    GridError
        If an axis has too few nodes for the derivative.
    """
    parts = []
    for axis, (name, nodes) in enumerate(zip(names, axes, strict=True)):
        if not name:
            continue
        if nodes.size < FEWEST[derivative]:
            raise GridError(
                f"{name} has {nodes.size} nodes; derivatives by {derivative} need "
                f"{FEWEST[derivative]}: use a finer grid, --derivative spline, or leave "
                "paper_median out of --statistic"
            )
        parts.append(axis_stencils(nodes, exists, axis, derivative))
    reach = max((part[0].shape[1] for part in parts), default=1)
    neighbours = np.zeros((exists.size, len(parts), reach), dtype=np.int32)
    weights = np.zeros((exists.size, len(parts), reach))
    for k, (where, how_much) in enumerate(parts):
        neighbours[:, k, : where.shape[1]] = where
        weights[:, k, : where.shape[1]] = how_much
    return Stencils(neighbours, weights)
