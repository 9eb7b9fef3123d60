"""Single stars out of a grid, and Gaussian smoothing to a resolution."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.grids.grid_comparison import interpolate_grid, smooth_to_resolution
from tests.reference.spline import interpolate_sequentially


@pytest.fixture(scope="module")
def grid():
    """A grid of noise: only the right spline reproduces it."""
    axes = {"teff": np.linspace(4000.0, 6000.0, 5), "logg": np.array([1.0, 2.0, 3.5, 4.0])}
    flux = 1.0 + np.random.default_rng(0).random((5, 4, 30))
    return GridData(
        name="noise",
        axes=axes,
        wave=np.linspace(8000.0, 8100.0, 30),
        flux=flux.astype(np.float32),
        resolution=2e4,
        valid=np.ones((5, 4), dtype=bool),
    )


@pytest.mark.parametrize("star", [(4321.0, 2.7), (4000.0, 4.0), (6000.0, 1.0)])
def test_one_star_is_the_sequential_spline(grid, star):
    """Cardinal weights are the tensor-product not-a-knot spline: 1e-12 of float64 algebra."""
    flux = interpolate_grid(grid, dict(zip(grid.axes, star, strict=True)))
    twin = interpolate_sequentially(grid.flux.astype(float), tuple(grid.axes.values()), star)
    np.testing.assert_allclose(flux, twin, rtol=1e-12)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"teff": 7000.0, "logg": 2.0}, "teff 7000 is outside 4000..6000"),
        ({"teff": 5000.0}, "expected"),
    ],
)
def test_stars_outside_are_refused(grid, labels, message):
    with pytest.raises(GridError, match=message.replace(".", r"\.")):
        interpolate_grid(grid, labels)


def test_a_grid_with_holes_or_no_continuum_is_refused(grid):
    star = {"teff": 5000.0, "logg": 2.0}
    valid = grid.valid.copy()
    valid[0, 0] = False
    with pytest.raises(GridError, match="holes"):
        interpolate_grid(dataclasses.replace(grid, valid=valid), star)
    with pytest.raises(GridError, match="continuum"):
        interpolate_grid(grid, star, continuum=True)


def test_smoothing_widens_in_quadrature_and_keeps_flux():
    """A line of sigma 0.9 Å at R giving sigma 1.2 Å becomes 1.5 Å, on any sampling."""
    rng = np.random.default_rng(1)
    wave = 8500.0 + np.cumsum(rng.uniform(0.02, 0.06, 2500)) - 50.0
    line = np.exp(-0.5 * ((wave - 8500.0) / 0.9) ** 2)
    resolution = 8500.0 / (1.2 * np.sqrt(8 * np.log(2)))

    seen = smooth_to_resolution(wave, line, resolution)

    area = np.trapezoid(seen, wave)
    assert area == pytest.approx(np.trapezoid(line, wave), rel=1e-3)
    width = np.sqrt(np.trapezoid(seen * (wave - 8500.0) ** 2, wave) / area)
    assert width == pytest.approx(1.5, rel=5e-3)  # linear interpolation on 0.06 Å steps
