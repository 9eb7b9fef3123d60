"""Interpolation in the bank is the tensor-product cubic spline."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import (
    combine,
    interpolate,
    prefilter,
    spline_weights,
)
from tests.reference.spline import combine_plainly, interpolate_sequentially


@pytest.fixture(scope="module")
def rough_bank(toy_bank):
    """A bank whose nodes are noise: nothing but the right spline reproduces it."""
    rng = np.random.default_rng(3)
    nodes = 1.0 + rng.random((6, 5, 5, toy_bank.wave.size))
    coef = prefilter(nodes, toy_bank.axes).reshape(150, -1).astype(np.float32)
    bank = dataclasses.replace(toy_bank, coef=coef, band_coef=np.full(150, 1e-9))
    return bank, nodes


def random_labels(bank, n, seed=1):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(nodes[0], nodes[-1], n) for nodes in bank.axes], axis=1)


def test_equals_sequential_cubic_splines(rough_bank):
    """The tensor product is the sequential spline; float32 sums of 64 terms leave 2e-6."""
    bank, nodes = rough_bank
    labels = random_labels(bank, 40)
    labels[0] = [nodes_k[0] for nodes_k in bank.axes]
    labels[1] = [nodes_k[-1] for nodes_k in bank.axes]

    flux = combine(bank, *spline_weights(bank, labels))

    for row, label in zip(flux, labels, strict=True):
        twin = interpolate_sequentially(nodes, bank.axes, label)
        np.testing.assert_allclose(row, twin, atol=2e-6 * np.abs(nodes).max())


@pytest.mark.parametrize("name", ["teff", "logg", "m_h"])
def test_derivative_is_that_of_the_spline(rough_bank, name):
    """Analytic slopes equal the sequential spline's own derivative."""
    bank, nodes = rough_bank
    k = bank.label_names.index(name)
    labels = random_labels(bank, 20, seed=2)
    step = np.diff(bank.axes[k]).min()

    slope = combine(bank, *spline_weights(bank, labels, derivative=name)) * step

    for row, label in zip(slope, labels, strict=True):
        twin = interpolate_sequentially(nodes, bank.axes, label, derivative=k) * step
        np.testing.assert_allclose(row, twin, atol=1e-5)  # float32, slopes of order 10


@pytest.mark.parametrize("n_node", [1, 2, 3, 4, 5, 9])
def test_short_axes_interpolate_as_well_as_they_can(toy_bank, n_node):
    """With n nodes, the spline reproduces any polynomial of degree min(3, n - 1)."""
    nodes = np.sort(np.random.default_rng(n_node).uniform(0, 5, n_node))
    powers = np.arange(min(4, n_node))
    values = (nodes[:, None] ** powers).astype(float)
    coef = prefilter(values, (nodes,)).astype(np.float32)
    bank = dataclasses.replace(
        toy_bank,
        label_names=("logg",),
        axes=(nodes,),
        wave=np.arange(powers.size, dtype=float),
        coef=coef,
        band_coef=np.ones(n_node),
        filled=np.zeros(n_node, dtype=bool),
    )
    x = np.linspace(nodes[0], nodes[-1], 7)

    found = combine(bank, *spline_weights(bank, x[:, None]))

    np.testing.assert_allclose(found, x[:, None] ** powers, rtol=2e-5, atol=1e-5)


def test_nodes_are_reproduced_and_weights_sum_to_one(rough_bank):
    """At a node the spline returns the node; a constant stays constant everywhere."""
    bank, nodes = rough_bank
    label = np.array([[bank.axes[0][2], bank.axes[1][1], bank.axes[2][3]]])
    rows, weights = spline_weights(bank, label)

    np.testing.assert_allclose(combine(bank, rows, weights)[0], nodes[2, 1, 3], rtol=1e-5)
    _, weights = spline_weights(bank, random_labels(bank, 100))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-13)


def test_magnitude_sets_the_band_flux(toy_bank):
    """One magnitude is a factor 10^0.4, whatever the star."""
    labels = random_labels(toy_bank, 5)
    bright = interpolate(toy_bank, labels, np.full(5, 20.5)).astype(float)
    faint = interpolate(toy_bank, labels, np.full(5, 21.5)).astype(float)
    np.testing.assert_allclose(bright / faint, 10**0.4, rtol=1e-6)


def test_labels_outside_the_grid_are_refused(toy_bank):
    """There is no extrapolation."""
    with pytest.raises(GridError, match=r"teff 7000 leaves the grid.*3750\.\.6000.*--teff"):
        interpolate(toy_bank, np.array([[7000.0, 3.0, 0.0]]), np.array([21.0]))


def test_a_spectrum_does_not_depend_on_its_neighbours(rough_bank):
    """Same bits alone, in a batch, or in another order."""
    bank, _ = rough_bank
    labels = random_labels(bank, 33)
    mag = np.linspace(20.5, 22.5, 33)
    together = interpolate(bank, labels, mag)
    order = np.random.default_rng(0).permutation(33)

    np.testing.assert_array_equal(interpolate(bank, labels[order], mag[order]), together[order])
    np.testing.assert_array_equal(interpolate(bank, labels[7:8], mag[7:8])[0], together[7])


def test_draws_avoid_holes_without_touching_other_draws(toy_bank):
    """A draw leaning on a hole is redrawn from its own key; all others stay as they were."""
    filled = toy_bank.filled.copy()
    filled[0] = True
    holed = dataclasses.replace(toy_bank, filled=filled)
    index = np.arange(400)
    free = draw_stars(toy_bank, Prior.default(), 5, "train", index)
    kept = draw_stars(holed, Prior.default(), 5, "train", index)

    rows, _ = spline_weights(holed, free.labels)
    bad = filled[rows].any(axis=1)
    assert 0 < bad.sum() < 400
    np.testing.assert_array_equal(kept.labels[~bad], free.labels[~bad])
    assert not filled[spline_weights(holed, kept.labels)[0]].any()
    with pytest.raises(GridError, match="nodes the grid does not have"):
        interpolate(holed, free.labels, free.mag)


@pytest.mark.parametrize("n_wave", [40, 5000])
def test_spectra_of_a_cell_share_their_rows(toy_bank, n_wave):
    """Five labels combine 768 nodes: scipy's spline, and the same bits alone or in a crowd."""
    rng = np.random.default_rng(8)
    axes = tuple(np.sort(rng.random(n)) for n in (4, 5, 4, 4, 3))
    nodes = 1.0 + 0.1 * rng.random((4, 5, 4, 4, 3, n_wave))
    coef = prefilter(nodes, axes).reshape(-1, n_wave)
    bank = dataclasses.replace(
        toy_bank,
        label_names=("teff", "logg", "m_h", "a_m", "c_m"),
        axes=axes,
        wave=np.arange(n_wave, dtype=float),
        coef=coef.astype(np.float32),
        band_coef=np.ones(len(coef)),
        filled=np.zeros(len(coef), dtype=bool),
    )
    labels = random_labels(bank, 75)
    rows, weights = spline_weights(bank, labels)
    together = combine(bank, rows, weights)
    plain = combine_plainly(bank.coef, rows, weights)

    assert rows.shape[1] == 768
    # float32 products of coefficients up to 30 times the flux, and sums of 768 of them
    tolerance = 1e-6 * np.abs(coef).max()
    np.testing.assert_allclose(together, plain, atol=tolerance)
    for row, label in zip(together[:3], labels[:3], strict=True):
        twin = interpolate_sequentially(nodes, axes, label)
        np.testing.assert_allclose(row, twin, atol=tolerance)
    for k in (0, 31, 74):
        alone = combine(bank, rows[k : k + 1], weights[k : k + 1])[0]
        np.testing.assert_array_equal(alone, together[k])
