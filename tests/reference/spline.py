"""Slow twin of the bank: scipy's cubic spline along one axis after the other."""

import numpy as np
from scipy.interpolate import CubicSpline


def interpolate_sequentially(values, axes, label, derivative=None):
    """Value at one point of node ``values`` (n_1, ..., n_value), axis by axis."""
    for k, (nodes, x) in enumerate(zip(axes, label, strict=True)):
        values = CubicSpline(nodes, values, axis=0, bc_type="not-a-knot")(x, int(derivative == k))
    return np.asarray(values)
