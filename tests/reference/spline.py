"""Slow twin of the bank: scipy's cubic spline along one axis after the other."""

import numpy as np
from scipy.interpolate import CubicSpline


def interpolate_sequentially(values, axes, label, derivative=None):
    """Value at one point of node ``values`` (n_1, ..., n_value), axis by axis."""
    for k, (nodes, x) in enumerate(zip(axes, label, strict=True)):
        values = CubicSpline(nodes, values, axis=0, bc_type="not-a-knot")(x, int(derivative == k))
    return np.asarray(values)


def combine_plainly(coef, rows, weights):
    """Weighted sums of rows in float64 (n_spec, n_wave), one spectrum at a time."""
    return np.array([w @ coef[r].astype(np.float64) for r, w in zip(rows, weights, strict=True)])
