"""Banks that are smaller or simpler: principal components, and linear interpolation."""

import dataclasses

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from starsmith.data_contract import load_bank
from starsmith.data_contract.errors import ConfigError, DataError, GridError
from starsmith.fisher.information.jacobian import node_flux
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.rendering.compress import compress_bank
from starsmith.simulator.rendering.interpolate import (
    combine,
    interpolate,
    prefilter,
    spline_weights,
)
from starsmith.simulator.rendering.positivity import check_positive
from starsmith.simulator.rendering.render import render_bank
from tests.reference.simulate import flux_plainly
from tests.simulator.test_velocity import make_grid


@pytest.fixture(scope="module")
def compressed(toy_bank):
    return compress_bank(toy_bank, 1e-4)


def random_labels(bank, n, seed=1):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(nodes[0], nodes[-1], n) for nodes in bank.axes], axis=1)


def test_compressed_flux_errs_by_no_more_than_stated(toy_bank, compressed):
    """Twin: scipy's tensor product on the whole bank; the stated error is a true bound."""
    labels = random_labels(toy_bank, 300)
    mag = np.full(300, 21.0)
    told = compressed.info["compression"]

    error = np.abs(interpolate(compressed, labels, mag) / interpolate(toy_bank, labels, mag) - 1)
    plain = np.array([flux_plainly(toy_bank, label, 21.0) for label in labels[:10]])

    assert error.max() <= told["max_relative_error"] + 2e-6  # float32 sums
    assert told["max_relative_error"] <= 1e-4
    np.testing.assert_allclose(interpolate(compressed, labels, mag)[:10], plain, rtol=1e-4)
    assert error.max() > 0.05 * told["max_relative_error"]  # a bound that means something


def test_five_labels_err_by_no_more_than_stated(toy_bank):
    """Random stars of 960 models, lines of five strengths: at most the bound, which is not idle."""
    axes = tuple(np.linspace(0.0, 1.0, n) for n in (4, 5, 4, 4, 3))
    label = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 5)
    pixel = np.linspace(0.0, 1.0, 700)
    centres = np.linspace(0.05, 0.95, 15)
    strength = 0.1 + label[:, np.arange(15) % 5] * (1.0 - 0.4 * label[:, np.arange(15) // 3])
    lines = np.exp(-0.5 * ((pixel - centres[:, None]) / 0.03) ** 2)
    nodes = (1.0 + label[:, :1] * pixel) * np.exp(-strength @ lines)
    bank = dataclasses.replace(
        toy_bank,
        label_names=("teff", "logg", "m_h", "a_m", "c_m"),
        axes=axes,
        wave=7100.0 + pixel,
        coef=prefilter(nodes.reshape(4, 5, 4, 4, 3, -1), axes).reshape(960, -1).astype(np.float32),
        band_coef=np.ones(960),
        filled=np.zeros(960, dtype=bool),
    )
    labels, mag = random_labels(bank, 300), np.full(300, 20.0)

    small = compress_bank(bank, 1e-4)
    told = small.info["compression"]
    error = np.abs(interpolate(small, labels, mag) / interpolate(bank, labels, mag) - 1).max()

    assert len(small.pieces) == 2  # of 512 pixels and the rest
    assert small.refused is None
    assert error <= told["max_relative_error"] + 2e-6 <= 1e-4 + 2e-6  # float32 sums
    assert error > 0.05 * told["max_relative_error"]
    assert len(small.basis) < 200


def test_tighter_tolerances_take_more_components(toy_bank):
    counts = [len(compress_bank(toy_bank, tolerance).basis) for tolerance in (1e-2, 1e-3, 1e-4)]

    assert counts == sorted(set(counts))
    assert counts[-1] < 30  # 150 toy stars of four lines


def test_compression_is_the_same_for_a_spectrum_alone(compressed):
    """Same bits alone and in a batch, as in a whole bank."""
    labels = random_labels(compressed, 33)
    mag = np.full(33, 21.0)

    batch = interpolate(compressed, labels, mag)

    for k in (0, 17, 32):
        alone = interpolate(compressed, labels[k : k + 1], mag[:1])[0]
        np.testing.assert_array_equal(alone, batch[k])


def test_a_compressed_bank_is_a_bank(toy_bank, compressed, tmp_path):
    """It survives its file, has a digest of its own and can be differentiated."""
    compressed.save(tmp_path / "bank.zarr")
    again = load_bank(tmp_path / "bank.zarr")

    assert again.digest == compressed.digest != toy_bank.digest
    assert again.info["compression"]["n_component"] == len(compressed.basis)
    np.testing.assert_array_equal(again.basis, compressed.basis)
    np.testing.assert_allclose(node_flux(again), node_flux(toy_bank), rtol=2e-4)


def test_cells_that_may_undershoot_are_refused_and_the_rest_is_promised(toy_bank):
    """One negative coefficient takes away the one cell it may spoil, and no other star."""
    wild = toy_bank.coef.copy()
    wild[0, 7] = -30.0  # the corner of the box: in the support of the first cell alone
    bank = dataclasses.replace(toy_bank, coef=wild)
    low = np.array([[nodes[0] + 1e-3 for nodes in bank.axes]])
    labels = random_labels(bank, 300)
    rows, _ = spline_weights(bank, labels)

    kept = compress_bank(bank, 1e-4)
    told = kept.info["compression"]
    good = labels[rows[:, 0] != 0]
    ratio = combine(kept, *spline_weights(kept, good)) / combine(bank, *spline_weights(bank, good))

    assert np.flatnonzero(kept.refused).tolist() == [0]
    assert told["n_cell_refused"] == 1
    assert np.abs(ratio - 1).max() <= told["max_relative_error"] + 2e-6 <= 1e-4 + 2e-6
    with pytest.raises(GridError, match="compressed bank promises no error"):
        interpolate(kept, low, np.array([20.0]))
    with pytest.raises(GridError, match="is free of it, or use the bank it was made from"):
        check_positive(
            kept, {n: (a[0], a[-1]) for n, a in zip(kept.label_names, kept.axes, strict=True)}
        )


def test_a_hole_is_neither_promised_nor_refused_twice(toy_bank):
    """A wild coefficient under a filled node counts for nothing: no draw gets there."""
    filled = toy_bank.filled.copy()
    filled[0] = True
    wild = toy_bank.coef.copy()
    wild[0, 7] = -30.0

    kept = compress_bank(dataclasses.replace(toy_bank, filled=filled, coef=wild), 1e-4)

    assert kept.refused is None
    assert kept.info["compression"]["max_relative_error"] <= 1e-4


def test_negative_coefficients_of_positive_spectra_do_not_matter(toy_bank):
    """A deep narrow dip has negative B-spline coefficients and is positive all the same."""
    shape = [nodes.size for nodes in toy_bank.axes]
    nodes = np.ones((*shape, toy_bank.wave.size))
    nodes[3] = 0.32  # alone among neighbours of 1: its coefficient is -0.1
    coef = prefilter(nodes, toy_bank.axes).reshape(toy_bank.coef.shape).astype(np.float32)
    bank = dataclasses.replace(toy_bank, coef=coef)

    kept = compress_bank(bank, 1e-4)
    labels = random_labels(bank, 200)

    assert coef.min() < 0
    assert interpolate(bank, labels, np.full(200, 20.0)).min() > 0
    assert kept.refused is None or kept.refused.sum() < kept.info["compression"]["n_cell"]


def test_a_saved_refusal_is_read_again(toy_bank, tmp_path):
    wild = toy_bank.coef.copy()
    wild[0, 7] = -30.0
    kept = compress_bank(dataclasses.replace(toy_bank, coef=wild), 1e-4)
    kept.save(tmp_path / "bank.zarr")

    again = load_bank(tmp_path / "bank.zarr")

    np.testing.assert_array_equal(again.refused, kept.refused)
    assert again.digest == kept.digest != dataclasses.replace(kept, refused=None).digest


def test_what_cannot_be_compressed_is_refused(toy_bank, compressed):
    noise = 1 + np.random.default_rng(1).random(toy_bank.coef.shape, dtype=np.float32)
    with pytest.raises(DataError, match="too little in common"):
        compress_bank(dataclasses.replace(toy_bank, coef=noise), 1e-4)
    with pytest.raises(DataError, match="zero or negative in every cell"):
        compress_bank(dataclasses.replace(toy_bank, coef=-noise), 1e-4)
    with pytest.raises(DataError, match="compressed already"):
        compress_bank(compressed)
    with pytest.raises(ConfigError, match="tolerance 1e-07"):
        compress_bank(toy_bank, 1e-7)


def test_moving_stars_of_a_compressed_bank(tmp_path):
    """Pixel weights are positive too: the stated error holds after the shift."""
    bank = render_bank(make_grid(), load_instrument("pfs_mr"), velocity_step_km_s=10.0)
    small = compress_bank(bank, 1e-3)
    small.save(tmp_path / "bank.zarr")
    small = load_bank(tmp_path / "bank.zarr")
    labels, mag = np.array([[5000.0, 1.7, 0.0]] * 2), np.full(2, 20.0)
    rv = np.array([0.0, 222.0])

    ratio = interpolate(small, labels, mag, rv) / interpolate(bank, labels, mag, rv)

    assert max(len(piece.spectra) for piece in small.velocity.pieces) <= 3  # of four stars
    assert np.abs(ratio - 1).max() <= 1e-3


def test_linear_banks_interpolate_linearly(toy_bank):
    """Twin: scipy's multilinear interpolation of noise; float32 sums of eight leave 1e-6."""
    nodes = 1.0 + np.random.default_rng(3).random((6, 5, 5, toy_bank.wave.size))
    coef = prefilter(nodes, toy_bank.axes, most=1).reshape(150, -1).astype(np.float32)
    bank = dataclasses.replace(toy_bank, coef=coef, interpolation="linear")
    labels = random_labels(bank, 40)
    labels[0] = [axis[-1] for axis in bank.axes]
    rows, weights = spline_weights(bank, labels)

    twin = RegularGridInterpolator(bank.axes, nodes, method="linear")(labels)

    assert rows.shape == (40, 8)
    np.testing.assert_allclose(combine(bank, rows, weights), twin, rtol=1e-6)
    assert bank.digest != dataclasses.replace(bank, interpolation="cubic").digest


def test_linear_banks_are_rendered_and_kept(tmp_path):
    """Half-way between nodes the flux per unit band flux is a mean of the two nodes'."""
    bank = render_bank(make_grid(), load_instrument("pfs_mr"), interpolation="linear")
    bank.save(tmp_path / "bank.zarr")
    again = load_bank(tmp_path / "bank.zarr")
    labels = np.array([[5000.0, logg, 0.0] for logg in (2.0, 3.0, 2.5)])

    flux = interpolate(again, labels, np.full(3, 20.0))
    band = again.band_coef[1:3]

    assert again.interpolation == "linear"
    mean = (flux[:2] * band[:, None]).sum(axis=0) / band.sum()
    np.testing.assert_allclose(flux[2], mean, rtol=1e-6)  # float32
    with pytest.raises(ConfigError, match="'quintic' is not one of"):
        render_bank(make_grid(), load_instrument("pfs_mr"), interpolation="quintic")
