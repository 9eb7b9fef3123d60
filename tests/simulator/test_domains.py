"""What a survey's pixels see of a grid, against plain sums."""

import numpy as np
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.domains.seen_grid import line_operator, see_grid
from tests.conftest import star_flux


@pytest.fixture(scope="module")
def grid():
    """5 x 4 x 4 toy stars, R = 20,000."""
    wave = 8400.0 + 0.1 * np.arange(4000)
    axes = {
        "teff": np.linspace(3750.0, 6000.0, 5),
        "logg": np.linspace(1.0, 5.0, 4),
        "m_h": np.linspace(-2.0, 0.5, 4),
    }
    teff, logg, m_h = axes.values()
    flux = np.stack([[[star_flux(t, g, z, wave) for z in m_h] for g in logg] for t in teff])
    return GridData(
        name="toy",
        axes=axes,
        wave=wave,
        flux=flux.astype(np.float32),
        valid=np.ones(flux.shape[:3], dtype=bool),
        resolution=20_000.0,
    )


def test_a_line_comes_out_as_wide_as_the_survey_says():
    wave = 8400.0 + 0.05 * np.arange(8000)
    seen = 8450.0 + 0.5 * np.arange(600)
    operator = line_operator(wave, 40_000.0, seen, np.full(seen.size, 2.0))
    own = 8600.0 / 40_000.0 / 2.354820045
    line = np.exp(-0.5 * ((wave - 8600.0) / own) ** 2)
    out = operator @ line
    second = np.sum(out * (seen - 8600.0) ** 2) / out.sum()
    expected = (2.0 / 2.354820045) ** 2 + 0.5**2 / 12  # the profile, and the pixel's box
    assert second == pytest.approx(expected, rel=2e-3)
    np.testing.assert_allclose(operator @ np.ones(wave.size), 1.0, rtol=1e-12)


def test_nodes_are_met_and_edges_refused(grid):
    wave = np.arange(8450.0, 8750.0, 1.0)
    seen = see_grid(grid, wave, np.full(wave.size, 2.0))
    labels = np.array([[grid.axes["teff"][2], grid.axes["logg"][1], grid.axes["m_h"][3]]])
    operator = line_operator(grid.wave, grid.resolution, wave, np.full(wave.size, 2.0))
    plain = operator @ grid.flux[2, 1, 3].astype(np.float64)
    found = seen.flux(labels)[0]
    np.testing.assert_allclose(found / np.median(found), plain / np.median(plain), rtol=1e-9)
    with pytest.raises(GridError, match=r"teff 7000\.\.7000 leaves the grid"):
        seen.flux(np.array([[7000.0, 2.0, 0.0]]))
    with pytest.raises(GridError, match="the survey's pixels need"):
        see_grid(grid, wave - 60.0, np.full(wave.size, 2.0))
    with pytest.raises(GridError, match="choose a sharper grid"):
        see_grid(grid, wave, np.full(wave.size, 0.1))
