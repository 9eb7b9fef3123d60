"""Bernstein coefficients of a bank's splines: what bounds them between the nodes.

On a box inside one cell of the knots a spline is a polynomial. Its Bernstein coefficients there
are weighted with positive weights that sum to one, like B-spline coefficients, but lie closer to
the function: those at the corners are its values (Farin 2002, Curves and Surfaces for CAGD).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import scipy

from starsmith.data_contract.bank.splines import spline_degree, spline_knots
from starsmith.data_contract.fixed_math import matmul, power, solve
from starsmith.data_contract.kernels.spline import basis_rows

__all__ = ["Box", "boxes", "lattice"]


@dataclass(frozen=True)
class Box:
    """A box of labels inside one cell of the knots.

    Attributes
    ----------
    first : tuple of int
        First node of the cell's support along each axis.
    spans : tuple of (float, float)
        Ends along each axis, equal where a label is fixed [label units].
    """

    first: tuple[int, ...]
    spans: tuple[tuple[float, float], ...]

    def support(self, axes: tuple[np.ndarray, ...], most: int) -> np.ndarray:
        """Rows of the bank that the cell combines, int64 (support along each axis...)."""
        shape = [nodes.size for nodes in axes]
        along = [
            begin + np.arange(spline_degree(size, most) + 1)
            for begin, size in zip(self.first, shape, strict=True)
        ]
        return np.ravel_multi_index(np.ix_(*along), shape)

    def coefficients(self, values: np.ndarray, axes: tuple, most: int) -> np.ndarray:
        """Bernstein coefficients on the box of B-spline coefficients of its cell.

        Parameters
        ----------
        values : float64 array, shape (support along each axis..., n_value)
        axes : tuple of float64 arrays
        most : int
            Highest degree of the splines.

        Returns
        -------
        coefficients : float64 array, shape (order along each axis..., n_value)
            The order is the degree plus one, or one where a label is fixed.
        """
        for k, (nodes, span) in enumerate(zip(axes, self.spans, strict=True)):
            along = _along(nodes, most, self.first[k], span)
            moved = np.moveaxis(values, k, 0)
            found = matmul(along, moved.reshape(len(moved), int(np.prod(moved.shape[1:]))))
            values = np.moveaxis(found.reshape(len(along), *moved.shape[1:]), 0, k)
        return np.ascontiguousarray(values)

    def halves(self, axis: int) -> tuple["Box", "Box"]:
        """Return the box cut in two across an axis."""
        low, high = self.spans[axis]
        middle = 0.5 * (low + high)
        return tuple(
            Box(self.first, (*self.spans[:axis], span, *self.spans[axis + 1 :]))
            for span in ((low, middle), (middle, high))
        )


def lattice(axes: tuple[np.ndarray, ...], most: int) -> tuple[int, ...]:
    """Number of cells of the knots along each axis."""
    return tuple(nodes.size - spline_degree(nodes.size, most) for nodes in axes)


def boxes(
    axes: tuple[np.ndarray, ...], most: int, within: list[tuple[float, float]] | None = None
) -> Iterator[Box]:
    """Cells of the knots, in C order, or their parts inside ranges of the labels."""
    ranges = within or [(nodes[0], nodes[-1]) for nodes in axes]
    along = []
    for nodes, (low, high) in zip(axes, ranges, strict=True):
        breaks = np.unique(spline_knots(nodes, most))
        spans = [(max(low, a), min(high, b)) for a, b in pairwise(breaks)]
        kept = [(i, s) for i, s in enumerate(spans) if s[0] < s[1]]
        fixed = [(i, s) for i, s in enumerate(spans) if s[0] == s[1]][-1:]
        along.append(kept or fixed or [(0, (nodes[0], nodes[0]))])
    for chosen in product(*along):
        yield Box(tuple(i for i, _ in chosen), tuple(span for _, span in chosen))


def _along(nodes: np.ndarray, most: int, first: int, span: tuple[float, float]) -> np.ndarray:
    """Bernstein from B-spline coefficients along one axis: float64 (order, degree + 1)."""
    degree = spline_degree(nodes.size, most)
    low, high = span
    fixed = low == high
    # inside the cell, so that these and no other B-splines are found; at its ends they agree
    share = np.array([0.0]) if fixed else (np.arange(degree + 1) + 0.5) / (degree + 1)
    points = low + share * (high - low)
    begins = np.empty(points.size, dtype=np.int64)
    splines = np.empty((points.size, degree + 1))
    basis_rows(spline_knots(nodes, most), degree, points, False, begins, splines)
    if fixed:
        full = np.zeros(nodes.size)
        full[begins[0] : begins[0] + degree + 1] = splines[0]
        return full[None, first : first + degree + 1]
    k = np.arange(degree + 1)
    polynomials = (
        scipy.special.comb(degree, k)
        * power(share[:, None], k)
        * power(1.0 - share[:, None], degree - k)
    )
    return solve(polynomials, splines)
