"""``specsim grid build`` and ``specsim grid plot``."""

import json

import numpy as np
import pytest
from astropy.table import Table
from click.testing import CliRunner

from starsmith.cli.specsim import main
from starsmith.data_contract.grid.grid_file import GridData, write_grid


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory):
    """A small grid of three Gaussian lines, over the triplet and a little more."""
    axes = {
        "teff": np.linspace(3500.0, 6500.0, 4),
        "logg": np.linspace(0.0, 5.0, 4),
        "m_h": np.linspace(-2.5, 0.5, 4),
    }
    wave = np.arange(7050.0, 8900.0, 0.5)
    depth = 0.2 + 0.1 * np.arange(4)[:, None] / 4
    line = sum(np.exp(-0.5 * ((wave - c) / 3.0) ** 2) for c in (8500.4, 8544.4, 8664.5))
    flux = np.broadcast_to(1e6 * (1 - depth * line), (4, 4, 4, wave.size)).astype(np.float32)
    path = tmp_path_factory.mktemp("grid") / "grid.zarr"
    valid = np.ones((4, 4, 4), dtype=bool)
    grid = GridData(name="toy", axes=axes, wave=wave, flux=flux, resolution=2e4, valid=valid)
    write_grid(path, grid)
    return path


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "star.ecsv"
    wave = np.arange(7000.0, 9000.0, 0.3)
    Table({"wave": wave, "flux": np.ones_like(wave)}).write(path)
    return path


def test_plot_draws_triplet_stars_and_differences(grid_file, reference, tmp_path):
    """Three figures, their names on stdout."""
    out = tmp_path / "figures"
    star = f"{reference}:5777,4.44,0"
    line = ["grid", "plot", str(grid_file), "--out", str(out), "--reference", star]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 0, result.output
    names = ["triplet.png", "stars.png", "differences.png"]
    assert result.stdout.split() == [str(out / name) for name in names]
    assert all((out / name).stat().st_size > 20_000 for name in names)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reference", "sun.ecsv"], "write it as sun.ecsv:5777,4.44,0"),
        (["--reference", "nowhere.ecsv:5777,4.44,0"], "no table there"),
    ],
)
def test_bad_references_are_named(grid_file, tmp_path, words, message):
    result = CliRunner().invoke(
        main, ["grid", "plot", str(grid_file), "--out", str(tmp_path / "figures"), *words]
    )
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "figures").exists()


def test_a_reference_outside_the_grid_is_refused(grid_file, reference, tmp_path):
    star = f"{reference}:9000,4.44,0"
    line = ["grid", "plot", str(grid_file), "--out", str(tmp_path / "f"), "--reference", star]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 2
    assert "teff 9000 is outside 3500..6500" in result.stderr


def test_other_boxes_need_a_place():
    """Only the default box has a place in the cache."""
    result = CliRunner().invoke(main, ["grid", "build", "--box", "5d"])
    assert result.exit_code == 2
    assert "--out" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--microturbulence", "2"], "say where to write this one with --out"),
        (["--microturbulence", "99", "--out", "grid.zarr"], "99"),
        (["--box", "small"], "say where to write this one with --out"),
    ],
)
def test_a_grid_that_cannot_be_built_is_named(words, message):
    result = CliRunner().invoke(main, ["grid", "build", *words])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_named_grid_is_described_before_it_is_built(tmp_path, monkeypatch):
    """Axes, range and structures at once, where building takes most of an hour."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = CliRunner().invoke(main, ["grid", "info", "demo-optical", "--json"])
    assert done.exit_code == 0, done.output
    assert "demo-optical is not built yet" in done.stderr
    told = json.loads(done.stdout)
    assert told["wave_min"] == 3200.0
    assert sum(told["structures"].values()) == told["n_node"]
    assert not list(tmp_path.rglob("*.zarr"))
