"""Opening, describing and cutting stellar grids; the demo grid's cache; grid files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.grid.grid_file import GridData, grid_writer, read_grid, write_grid
from starsmith.simulator.grids import StellarGrid, crop, grid_info, holes, subgrid
from starsmith.simulator.grids import cached_demo as cache


def make_grid(name="toy", continuum=True) -> GridData:
    """Grid of 3 x 2 nodes with one hole; every flux value tells its node and sample."""
    axes = {"teff": np.array([4000.0, 4500.0, 5000.0]), "logg": np.array([3.0, 4.0])}
    wave = 7000.0 * np.exp(np.arange(400) / 1e4)
    flux = (1e6 + 1e4 * np.arange(6)[:, None] + np.arange(400)).astype(np.float32)
    flux = flux.reshape(3, 2, 400)
    valid = np.ones((3, 2), dtype=bool)
    valid[2, 1] = False
    flux[2, 1] = np.nan
    return GridData(
        name=name,
        axes=axes,
        wave=wave,
        flux=flux,
        continuum=2 * flux if continuum else None,
        resolution=5000.0,
        valid=valid,
        provenance={"release": "toy", "files": {"a": "b"}},
        notice="TOY",
    )


def assert_same(left: GridData, right: GridData):
    for name in ("name", "resolution", "provenance", "notice"):
        assert getattr(left, name) == getattr(right, name)
    assert list(left.axes) == list(right.axes)
    for name in left.axes:
        np.testing.assert_array_equal(left.axes[name], right.axes[name])
    for name in ("wave", "flux", "valid"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    assert (left.continuum is None) == (right.continuum is None)
    if left.continuum is not None:
        np.testing.assert_array_equal(left.continuum, right.continuum)


@pytest.mark.parametrize("continuum", [True, False])
def test_grid_files_give_back_what_was_written(tmp_path, continuum):
    grid = make_grid(continuum=continuum)
    write_grid(tmp_path / "toy.zarr", grid)
    assert_same(StellarGrid.open(tmp_path / "toy.zarr"), grid)


def test_a_grid_that_fails_half_way_never_appears(tmp_path):
    grid = make_grid()
    attributes = {"name": "toy", "resolution": 5000.0, "provenance": {}, "notice": ""}

    def fail_after_one_node():
        with grid_writer(tmp_path / "toy.zarr", grid.axes, grid.wave, attributes) as writer:
            writer.write_node((0, 0), grid.flux[0, 0], grid.continuum[0, 0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_after_one_node()
    assert list(tmp_path.iterdir()) == []


def test_holes_cost_no_chunks(tmp_path):
    """A node never written has no file; a grid written at once has one for each row of nodes."""
    grid = make_grid()
    attributes = {"name": "toy", "resolution": 5000.0, "provenance": {}, "notice": ""}
    with grid_writer(tmp_path / "nodes.zarr", grid.axes, grid.wave, attributes) as writer:
        for place in np.argwhere(grid.valid):
            writer.write_node(place, grid.flux[tuple(place)], grid.continuum[tuple(place)])
    flux = grid.flux.copy()
    valid = grid.valid.copy()
    flux[0], valid[0] = np.nan, False
    rows = replace(grid, flux=flux, valid=valid)
    write_grid(tmp_path / "rows.zarr", rows)
    for name, n_file, written in (("nodes", 5, grid), ("rows", 2, rows)):
        folder = tmp_path / f"{name}.zarr" / "flux" / "c"
        assert sum(path.is_file() for path in folder.rglob("*")) == n_file
        read = read_grid(tmp_path / f"{name}.zarr")
        np.testing.assert_array_equal(read.flux[read.valid], written.flux[written.valid])
        assert np.isnan(read.flux[~read.valid]).all()


def test_an_unknown_grid_names_the_repair(tmp_path):
    write_grid(tmp_path / "bosz.zarr", make_grid())
    with pytest.raises(GridError) as refusal:
        StellarGrid.open(tmp_path / "bozs.zarr")
    message = str(refusal.value)
    for part in ("bozs.zarr", "bosz.zarr", "--grid demo", "specsim grid import"):
        assert part in message


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "grid.zarr").mkdir()
    with pytest.raises(DataError, match=r"grid\.zarr"):
        StellarGrid.open(tmp_path / "grid.zarr")


def test_info_describes_coverage_in_plain_values():
    info = grid_info(make_grid())
    assert json.loads(json.dumps(info)) == info
    assert (info["n_node"], info["n_valid"]) == (6, 5)
    assert info["holes"] == [{"teff": 5000.0, "logg": 4.0}]
    assert info["samples_per_fwhm"] == pytest.approx(2.0, rel=1e-3)  # 1e4 steps per e-fold
    assert info["size_bytes"] == 2 * 6 * 400 * 4
    assert info["provenance"] == {"release": "toy", "n_files": 1}


def test_crop_keeps_the_closed_range_and_nothing_else():
    grid = make_grid()
    cut = crop(grid, grid.wave[10], grid.wave[20])
    np.testing.assert_array_equal(cut.wave, grid.wave[10:21])
    np.testing.assert_array_equal(cut.flux, grid.flux[..., 10:21])
    np.testing.assert_array_equal(cut.continuum, grid.continuum[..., 10:21])
    assert cut.axes == grid.axes


@pytest.mark.parametrize(("low", "high"), [(6990, 7100), (7100, 7400), (7200, 7100)])
def test_crop_refuses_what_the_grid_does_not_cover(low, high):
    with pytest.raises(GridError, match="covers"):
        crop(make_grid(), low, high)


def test_subgrid_keeps_the_nodes_of_a_closed_box():
    grid = make_grid()
    box = subgrid(grid, {"teff": (4500, 5000)})
    np.testing.assert_array_equal(box.flux, grid.flux[1:])
    np.testing.assert_array_equal(box.valid, grid.valid[1:])
    assert holes(box) == holes(grid)
    assert subgrid(grid, {"logg": (2.5, 3.5)}).valid.all()


@pytest.mark.parametrize("ranges", [{"m_h": (-1, 0)}, {"teff": (4100, 4400)}])
def test_subgrid_refuses_unknown_labels_and_empty_boxes(ranges):
    with pytest.raises(GridError, match="toy"):
        subgrid(make_grid(), ranges)


@pytest.fixture
def builds(monkeypatch, tmp_path):
    """A stand-in for the demo synthesizer that counts how often it is asked to build."""
    calls = []

    def build_demo_grid(progress=None):
        calls.append(progress)
        return make_grid("demo")

    monkeypatch.setattr(cache, "build_demo_grid", build_demo_grid)
    monkeypatch.setattr(cache, "demo_cache_key", lambda: "abc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return calls


def test_the_demo_grid_is_built_once(builds, tmp_path):
    built = StellarGrid.open("demo")
    found = StellarGrid.open("demo")
    assert len(builds) == 1
    assert_same(built, found)
    assert (tmp_path / "starsmith" / "grids" / "demo-abc.zarr").is_dir()


def test_another_version_of_the_synthesizer_builds_anew(builds, monkeypatch):
    StellarGrid.open("demo")
    monkeypatch.setattr(cache, "demo_cache_key", lambda: "d")
    StellarGrid.open("demo")
    assert len(builds) == 2


def test_a_damaged_cache_is_built_again(builds, caplog):
    StellarGrid.open("demo")
    (cache.demo_grid_path() / "flux" / "c" / "0" / "0" / "0").write_bytes(b"damaged")
    assert_same(StellarGrid.open("demo"), make_grid("demo"))
    assert len(builds) == 2
    assert "again" in caplog.text
    read_grid(cache.demo_grid_path())  # and what is kept is whole


def test_progress_reaches_the_builder(builds):
    def progress(n_done, n_total):
        """Count nothing."""

    StellarGrid.open("demo", progress=progress)
    assert builds == [progress]
