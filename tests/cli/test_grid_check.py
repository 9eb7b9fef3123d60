"""`specsim grid check` and what `grid info` then shows."""

import json

import numpy as np
import pytest

from starsmith.data_contract.grid.grid_file import GridData, write_grid
from tests.cli.conftest import call


@pytest.fixture
def grid_file(tmp_path):
    """Grid of 8 x 4 nodes, one of them a hole."""
    axes = {"teff": np.linspace(4000.0, 5750.0, 8), "logg": np.array([2.0, 3.0, 4.0, 5.0])}
    wave = 8000.0 + np.arange(50.0)
    flux = (axes["teff"][:, None, None] / 5000) ** 4 * (1 + 0.1 * np.sin(axes["logg"]))[:, None]
    flux = (flux * np.ones(50)).astype(np.float32)
    valid = np.ones((8, 4), dtype=bool)
    valid[0, 0] = False
    flux[0, 0] = np.nan
    grid = GridData(name="toy", axes=axes, wave=wave, flux=flux, resolution=2e4, valid=valid)
    write_grid(tmp_path / "toy.zarr", grid)
    return tmp_path / "toy.zarr"


def test_check_is_kept_and_shown(grid_file):
    """Info has no error before the check, and the check's own numbers after it."""
    before = json.loads(call("specsim grid info --json", grid_file).stdout)
    checked = json.loads(call("specsim grid check --json -q", grid_file).stdout)
    after = json.loads(call("specsim grid info --json", grid_file).stdout)

    assert before["interpolation_error"] is None
    assert after["interpolation_error"] == checked["interpolation_error"]
    assert after["interpolation_error"]["teff"]["order_from"] == "measured"
    assert after["interpolation_error"]["logg"]["order_from"] == "theory"
    assert before["holes"] == [{"teff": 4000.0, "logg": 2.0}]


def test_info_and_check_as_text(grid_file, tmp_path):
    table = call("specsim grid check -q", grid_file)
    text = call("specsim grid info", grid_file, "--plot", tmp_path / "box.png").stdout

    assert table.exit_code == 0, table.stderr
    assert "| teff" in table.stdout
    assert "native_rms_inferred" in text
    assert "holes" in text
    assert "size_bytes" in text
    assert (tmp_path / "box.png").stat().st_size > 1000
