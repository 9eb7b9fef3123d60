"""Leave-one-node-out error maps: closed forms, a slow twin, holes, and the file."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.grid.error_map import read_error_map, write_error_map
from starsmith.data_contract.grid.grid_file import GridData, read_grid, write_grid
from starsmith.simulator.grids.interpolation_error import grid_error_map, leave_out_weights

TEFF = np.linspace(4000.0, 6000.0, 9)
LOGG = np.array([1.0, 2.0, 2.5, 4.0, 5.0])


def make_grid(flux_of, valid=None, n_wave=700):
    """Grid of 9 x 5 nodes with spectra ``flux_of(teff, logg, wave)``."""
    wave = 8000.0 + np.arange(n_wave)
    teff, logg = np.meshgrid(TEFF, LOGG, indexing="ij")
    flux = flux_of(teff[..., None], logg[..., None], wave).astype(np.float32)
    valid = np.ones(teff.shape, dtype=bool) if valid is None else valid
    flux[~valid] = np.nan
    return GridData(
        name="toy",
        axes={"teff": TEFF, "logg": LOGG},
        wave=wave,
        flux=flux,
        resolution=2e4,
        valid=valid,
    )


def star(teff, logg, wave):
    """A line whose strength falls exponentially with temperature and grows with gravity."""
    depth = 0.5 * np.exp(-((teff - 4000) / 1500)) * (0.6 + 0.4 * np.sin(logg))
    return (teff / 5000) ** 4 * (1 - depth * np.exp(-0.5 * ((wave - 8350) / 60) ** 2))


def test_cubic_dependence_is_predicted_exactly():
    """A spline through the others reproduces a cubic: only float32 rounding is left."""
    grid = make_grid(lambda teff, logg, wave: 1 + (teff / 5000) ** 3 + logg**3 + 0 * wave)

    found = grid_error_map(grid)

    for label in ("teff", "logg"):
        assert np.all(found.pixels[label] < 1e-6)  # float32 flux of relative rounding 6e-8


def test_equals_one_spline_per_node():
    """Twin: for every interior node scipy's cubic spline through all other nodes of its line."""
    grid = make_grid(star, n_wave=40)
    flux = grid.flux.astype(np.float64)
    errors = np.full(flux.shape, np.nan)
    for i in range(1, 8):
        for j in range(5):
            rest = np.delete(np.arange(9), i)
            predicted = CubicSpline(TEFF[rest], flux[rest, j], bc_type="not-a-knot")(TEFF[i])
            errors[i, j] = predicted / flux[i, j] - 1

    found = grid_error_map(grid)

    np.testing.assert_allclose(  # the same algebra in another order
        found.pixels["teff"], np.sqrt(np.mean(errors[1:8] ** 2, axis=(0, 1))), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        found.nodes["teff"][1:8], np.sqrt(np.mean(errors[1:8] ** 2, axis=-1)), rtol=1e-9, atol=1e-12
    )
    assert np.isnan(found.nodes["teff"][[0, -1]]).all()


def test_inferred_error_bounds_the_error_of_the_native_spline():
    """Order near 4, and 2^-p of the doubled error within a factor 3 of the true native one.

    The cubic's error with one node removed is 27 times, not 16 times, that in the middle of an
    undisturbed cell; ends of the axis add to the latter.
    """
    grid = make_grid(star)
    between = 0.5 * (TEFF[1:-2] + TEFF[2:-1])
    native = []
    for logg in LOGG:
        spline = CubicSpline(TEFF, star(TEFF[:, None], logg, grid.wave), bc_type="not-a-knot")
        native.append(spline(between) / star(between[:, None], logg, grid.wave) - 1)
    native = np.sqrt(np.mean(np.square(native), axis=(0, 1)))

    found = grid_error_map(grid)

    assert found.measured == {"teff": True, "logg": False}
    assert found.order["logg"] == 4.0
    assert 3.3 < found.order["teff"] <= 4.0
    core = np.argmax(found.pixels["teff"])
    assert 1 / 3 < found.inferred("teff")[core] / native[core] < 3
    assert found.summary()["teff"]["order_from"] == "measured"


def test_holes_are_neither_predicted_nor_used():
    """A hole leaves its neighbours without a prediction; the rest of its line goes on."""
    valid = np.ones((9, 5), dtype=bool)
    valid[3, 2] = False

    found = grid_error_map(make_grid(star, valid))

    missing = np.isnan(found.nodes["teff"])
    assert np.flatnonzero(missing[:, 2]).tolist() == [0, 2, 3, 4, 8]
    assert np.flatnonzero(missing[:, 1]).tolist() == [0, 8]
    assert np.isfinite(found.pixels["teff"]).all()
    weights = leave_out_weights(TEFF, valid[:, 2], 0)
    known = np.isfinite(weights[:, 0])
    assert np.all(weights[known, 3] == 0)
    np.testing.assert_allclose(weights[known].sum(axis=1), 1.0, atol=1e-12)
    assert np.all(np.diag(weights)[known] == 0)


def test_short_axes_say_what_they_can():
    """Two nodes have no interior: NaN, and no summary number."""
    grid = make_grid(star)
    short = GridData(
        name="toy",
        axes={"teff": TEFF[:2], "logg": LOGG},
        wave=grid.wave,
        flux=grid.flux[:2],
        resolution=2e4,
        valid=grid.valid[:2],
    )

    summary = grid_error_map(short).summary()

    assert summary["teff"]["nodes"] == 0
    assert summary["teff"]["doubled_rms"] is None
    assert summary["logg"]["nodes"] == 6


def test_error_map_is_kept_with_its_grid(tmp_path):
    """Written into the grid file, read back bit for bit; the grid itself stays as it was."""
    grid = make_grid(star, n_wave=50)
    path = tmp_path / "grid.zarr"
    write_grid(path, grid)
    assert read_error_map(path) is None
    made = grid_error_map(grid)

    for _ in range(2):  # a second one replaces the first
        write_error_map(path, made)
    found = read_error_map(path)

    for label in grid.axes:
        np.testing.assert_array_equal(found.pixels[label], made.pixels[label])
        np.testing.assert_array_equal(found.nodes[label], made.nodes[label])
    assert (found.order, found.measured) == (made.order, made.measured)
    np.testing.assert_array_equal(read_grid(path).flux, grid.flux)


def test_error_map_of_another_grid_is_refused(tmp_path):
    path = tmp_path / "grid.zarr"
    write_grid(path, make_grid(star, n_wave=50))
    write_error_map(path, grid_error_map(make_grid(star, n_wave=51)))
    with pytest.raises(GridError, match="specsim grid check"):
        read_error_map(path)
