"""Banks: node spectra reproduced, magnitudes right, holes flagged."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.instruments.pfs_etc.validate import flat_flux
from starsmith.simulator.rendering.interpolate import interpolate
from starsmith.simulator.rendering.render import nearest_nodes, pixel_operator, render_bank

RESOLUTION = 20_000.0


def make_grid(flux_of, valid=None, wave=None):
    """Grid of 5 x 4 x 3 nodes with spectra ``flux_of(teff, logg, m_h, wave)``."""
    axes = {
        "teff": np.array([4000.0, 4500.0, 5000.0, 5500.0, 6000.0]),
        "logg": np.array([1.0, 2.5, 4.0, 5.0]),
        "m_h": np.array([-2.0, -1.0, 0.0]),
    }
    wave = 6350.0 * np.exp(np.arange(14_500) / 40_000) if wave is None else wave
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    flux = np.stack([flux_of(*labels, wave) for labels in zip(*map(np.ravel, mesh), strict=True)])
    shape = mesh[0].shape
    valid = np.ones(shape, dtype=bool) if valid is None else valid
    flux = flux.reshape(*shape, -1).astype(np.float32)
    flux[~valid] = np.nan
    return GridData(name="toy", axes=axes, wave=wave, flux=flux, resolution=RESOLUTION, valid=valid)


def star(teff, logg, m_h, wave):
    """A Planck-like slope and one line whose depth and width follow the labels."""
    depth = 0.5 + 0.1 * m_h + 0.03 * logg
    line = depth * np.exp(-0.5 * ((wave - 8544.4) / (1.0 + 0.2 * logg)) ** 2)
    return 1e6 * (teff / 5000.0) ** 4 * (wave / 8000.0) ** -2.5 * (1.0 - line)


def flat_fnu(teff, logg, m_h, wave):
    """Constant flux per unit frequency, the brightness following the labels."""
    return teff**4 * (1.0 + 0.1 * logg - 0.2 * m_h) / wave**2


@pytest.fixture(scope="module")
def instrument():
    return load_instrument("pfs_mr")


@pytest.fixture(scope="module")
def grid():
    return make_grid(star)


@pytest.fixture(scope="module")
def bank(grid, instrument):
    return render_bank(grid, instrument)


def all_nodes(bank):
    return np.stack([m.ravel() for m in np.meshgrid(*bank.axes, indexing="ij")], axis=1)


@pytest.fixture(scope="module")
def flat_bank(instrument):
    return render_bank(make_grid(flat_fnu), instrument)


@pytest.fixture(scope="module")
def operator(grid, instrument):
    return pixel_operator(grid.wave, grid.resolution, instrument)


def test_flat_spectrum_has_the_flux_of_its_magnitude(flat_bank):
    """f_nu constant at AB 21.5 is 3631 Jy x 10^(-0.4 x 21.5) at every pixel, for any labels."""
    labels = np.array([[4321.0, 3.3, -0.7], [5800.0, 1.2, -1.9]])

    flux = interpolate(flat_bank, labels, np.array([21.5, 18.0]))

    # float32 coefficients, and the band integral of speclite on the grid's samples
    np.testing.assert_allclose(flux[0], flat_flux(flat_bank.wave, 21.5), rtol=2e-5)
    np.testing.assert_allclose(flux[1], flat_flux(flat_bank.wave, 18.0), rtol=2e-5)


def test_node_labels_reproduce_node_spectra(bank, grid, operator):
    """At a node the spline returns that node's rendered spectrum, to float32 rounding."""
    nodes = all_nodes(bank)
    rows = np.arange(0, len(nodes), 7)

    flux = interpolate(bank, nodes[rows], np.full(rows.size, 20.0))

    rendered = (operator @ grid.flux.reshape(len(nodes), -1)[rows].T.astype(float)).T
    relative = flux / rendered
    np.testing.assert_allclose(relative / relative[:, :1], 1.0, rtol=2e-6)


def test_interpolated_flux_is_close_to_the_true_star(bank, operator, grid):
    """Between nodes of this smooth star the cubic spline errs by less than 1e-3."""
    labels = np.array([[5250.0, 3.2, -0.5]])

    flux = interpolate(bank, labels, np.array([20.0]))[0]

    truth = operator @ star(*labels[0], grid.wave)
    ratio = flux / truth
    np.testing.assert_allclose(ratio / np.median(ratio), 1.0, rtol=1e-3)


def test_bank_is_linear_in_the_spectra(instrument, operator, bank, flat_bank):
    """Coefficients of a sum of two grids are the sum of theirs, in units of surface flux."""
    spectra = (star, flat_fnu, lambda *label: star(*label) + flat_fnu(*label))
    both = render_bank(make_grid(spectra[2]), instrument)

    def in_surface_flux(bank, flux_of):
        flux = make_grid(flux_of).flux.reshape(60, -1).astype(float)
        scale = np.median(operator @ flux.T)
        return bank.coef * scale, bank.band_coef * scale

    first, second, total = (
        in_surface_flux(*pair) for pair in zip((bank, flat_bank, both), spectra, strict=True)
    )

    for k in range(2):  # float32 rounding of spectra and coefficients
        np.testing.assert_allclose(total[k], first[k] + second[k], rtol=3e-6)


def test_brightness_of_the_grid_cancels(grid, instrument, bank):
    """Multiplying all spectra by a power of two changes nothing at fixed magnitude."""
    brighter = dataclasses.replace(grid, flux=grid.flux * np.float32(2.0**-20))

    other = render_bank(brighter, instrument)

    np.testing.assert_allclose(other.coef, bank.coef, rtol=1e-6)
    np.testing.assert_allclose(other.band_coef, bank.band_coef, rtol=1e-6)
    assert 0.05 < np.median(bank.coef) < 20.0  # of order unity, as float32 likes it


def test_holes_take_the_nearest_node_along_teff_first():
    """Declared rule: nearest along the first axis, lower node on a tie, then the next axis."""
    axes = (np.array([4000.0, 4500.0, 5000.0, 6000.0]), np.array([1.0, 2.0]))
    valid = np.array([[True, False], [False, False], [True, False], [False, False]])

    source = nearest_nodes(axes, valid)

    assert source[:, 0].tolist() == [0, 0, 4, 4]
    assert source[:, 1].tolist() == [0, 0, 4, 4]


def test_holes_are_flagged_and_do_not_touch_other_nodes(grid, instrument, bank):
    valid = grid.valid.copy()
    valid[0, 0, 0] = False
    with_hole = render_bank(make_grid(star, valid), instrument)

    assert with_hole.filled.nonzero()[0].tolist() == [0]
    assert with_hole.info["n_filled"] == 1
    assert 0.0 < with_hole.info["filled_leakage"] < 1.0
    nodes = all_nodes(bank)[[48, 53, 59]]  # of the hottest stars, four nodes away
    mag = np.full(3, 20.0)
    np.testing.assert_allclose(
        interpolate(with_hole, nodes, mag), interpolate(bank, nodes, mag), rtol=3e-6
    )


def test_grid_without_nodes_is_refused():
    with pytest.raises(GridError, match="no valid node"):
        nearest_nodes((np.arange(3.0),), np.zeros(3, dtype=bool))


def test_valid_node_with_nan_is_refused(grid, instrument):
    flux = grid.flux.copy()
    flux[1, 1, 1, 5] = np.nan
    with pytest.raises(GridError, match="NaN"):
        render_bank(dataclasses.replace(grid, flux=flux), instrument)


def test_grid_must_cover_the_band(instrument):
    narrow = make_grid(star, wave=np.arange(7000.0, 8950.0, 0.2))
    with pytest.raises(GridError, match=r"hsc2017-i.*choose a band"):
        render_bank(narrow, instrument)


def test_unknown_band_is_refused(grid, instrument):
    with pytest.raises(ConfigError, match="mag_band 'hsc-q'"):
        render_bank(grid, instrument, "hsc-q")


def test_bank_survives_its_file(bank, tmp_path):
    """Figures of the instrument travel with the bank."""
    from starsmith.data_contract.bank.bank_file import load_bank

    bank.save(tmp_path / "bank.zarr")
    again = load_bank(tmp_path / "bank.zarr")

    assert again.digest == bank.digest
    assert again.instrument["arms"][0]["n_pixel"] == 4096
    assert len(again.instrument["sha256"]) == 64
