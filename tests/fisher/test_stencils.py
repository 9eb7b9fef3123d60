"""Derivatives at nodes: exact for the polynomials they must be exact for, holes stepped over."""

import numpy as np
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.fisher.information.jacobian import derivative_matrix
from starsmith.fisher.information.stencils import axis_stencils, build_stencils
from starsmith.fisher.kernels.gram import fill_gram
from tests.reference.fisher import gram_plain

X = np.array([0.0, 0.5, 1.25, 2.0, 3.5, 4.0])


def slopes(stencils, values):
    neighbours, weights = stencils
    return np.sum(weights * values.ravel()[neighbours], axis=1).reshape(values.shape)


@pytest.mark.parametrize("derivative", ["grid", "spline"])
def test_parabolas_are_exact_beside_holes_and_edges(derivative):
    """Uneven steps, a hole in the middle, one at an edge; 1e-12 is rounding."""
    exists = np.ones((6, 4), dtype=bool)
    exists[2, 1] = exists[0, 2] = exists[4, 2] = False
    values = np.repeat((2.0 - X + 3.0 * X**2)[:, None], 4, axis=1)
    values[~exists] = 1e6  # whatever a hole was filled with does not matter

    found = slopes(axis_stencils(X, exists, 0, derivative), values)

    expected = np.repeat((6.0 * X - 1.0)[:, None], 4, axis=1)
    np.testing.assert_allclose(found[exists], expected[exists], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_whole_grids_need_no_more_than_the_matrix(axis):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(6, 6))
    matrix = derivative_matrix(X, "grid")
    expected = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)

    found = slopes(axis_stencils(X, np.ones((6, 6), dtype=bool), axis, "grid"), values)

    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_lines_of_too_few_nodes_are_marked_not_guessed():
    """Two nodes have no parabola: both are NaN, the other lines are whole."""
    exists = np.ones((6, 2), dtype=bool)
    exists[2:, 1] = False

    stencils = build_stencils((X, np.arange(2.0)), ("teff", ""), exists, "grid")

    usable = stencils.usable.reshape(6, 2)
    assert usable[:, 0].all()
    assert not usable[:2, 1].any()


def test_an_axis_of_two_nodes_is_refused_by_name():
    with pytest.raises(GridError, match="m_h has 2 nodes"):
        build_stencils((np.arange(2.0),), ("m_h",), np.ones(2, dtype=bool), "grid")


@pytest.mark.parametrize("n_wave", [512, 700])
def test_kernel_equals_plain_products(n_wave):
    """Float32 in tiles of 512 pixels against float64: 3e-6 of the largest entry."""
    rng = np.random.default_rng(2)
    shape = (4, 5, 3)
    axes = tuple(np.sort(rng.uniform(0.0, 4.0, n)) for n in shape)
    stencils = build_stencils(axes, ("a", "b", "c"), np.ones(shape, dtype=bool), "spline")
    nodes = np.arange(60)
    stencils = stencils.with_value(nodes)
    flux = (1.0 + 0.1 * rng.normal(size=(60, n_wave))).astype(np.float32)
    scale = rng.uniform(0.5, 2.0, (2, 60)).astype(np.float32)
    floor = rng.uniform(0.1, 0.2, n_wave).astype(np.float32)
    slope = rng.uniform(0.01, 0.02, n_wave).astype(np.float32)
    weights = stencils.weights.astype(np.float32)
    inputs = (flux, nodes.astype(np.int32), stencils.neighbours, weights, scale, floor, slope)
    gram = np.empty((2, 60, 4, 4))

    fill_gram(gram, *inputs)

    expected = gram_plain(*inputs)
    unit = np.sqrt(np.diagonal(expected, axis1=2, axis2=3))
    apart = np.abs(gram - expected) / (unit[..., :, None] * unit[..., None, :])
    assert apart.max() < 3e-6
