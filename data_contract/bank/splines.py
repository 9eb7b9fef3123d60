"""Not-a-knot splines along the axes of a bank: their degree and knots."""

from functools import lru_cache

import numpy as np

__all__ = ["spline_degree", "spline_knots"]


def spline_degree(n_node: int, most: int = 3) -> int:
    """Degree along an axis: ``most``, or as high as the number of nodes allows."""
    return min(most, n_node - 1)


def spline_knots(nodes: np.ndarray, most: int = 3) -> np.ndarray:
    """Clamped not-a-knot knot vector of an axis.

    Parameters
    ----------
    nodes : float64 array, shape (n_node,)
    most : int
        Highest degree: 3 or 1.

    Returns
    -------
    knots : float64 array, shape (n_node + degree + 1,)
    """
    return _knots(np.asarray(nodes, dtype=np.float64).tobytes(), most)


@lru_cache(maxsize=64)
def _knots(nodes: bytes, most: int) -> np.ndarray:
    """Knots of `spline_knots`, made once: walks ask for those of a few axes many thousand times."""
    nodes = np.frombuffer(nodes)
    degree = spline_degree(nodes.size, most)
    inner = nodes[2:-2] if degree == 3 else nodes[1:-1] if degree == 1 else nodes[:0]
    ends = degree + 1
    return np.concatenate([np.repeat(nodes[0], ends), inner, np.repeat(nodes[-1], ends)])
