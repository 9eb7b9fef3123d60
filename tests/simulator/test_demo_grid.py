"""The demo grid: complete, resumable, labelled, and the same whatever the number of workers."""

import json
import shutil

import numpy as np
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.files.user_cache import shared_until_whole
from starsmith.data_contract.structure_validity import node_counts, star_shares, validity_map
from starsmith.simulator.grids import demo
from starsmith.simulator.grids.demo import (
    DEMO_NOTICE,
    build_demo_grid,
    demo_axes,
    demo_cache_key,
    planned_demo_grid,
    structure_classes,
)
from starsmith.simulator.synthesis import Sampling, synthesize

AXES = {
    "teff": np.array([4500.0, 5500.0]),
    "logg": np.array([1.0, 2.5, 4.0]),
    "m_h": np.array([-1.0, 0.0]),
}
SAMPLING = Sampling(wave_min=8480.0, wave_max=8560.0)


def build(folder, **options):
    return build_demo_grid(
        axes=AXES, cache_dir=folder, sampling=SAMPLING, **{"workers": 1} | options
    )


def test_nodes_are_the_syntheses_of_their_labels(tmp_path):
    grid = build(tmp_path)
    assert grid.flux.shape == (2, 3, 2, grid.wave.size)
    assert grid.valid.all()
    star = synthesize(5500.0, 2.5, -1.0, sampling=SAMPLING)
    np.testing.assert_array_equal(grid.flux[1, 1, 0], star.flux.astype(np.float32))
    np.testing.assert_array_equal(grid.continuum[1, 1, 0], star.continuum.astype(np.float32))
    np.testing.assert_array_equal(grid.wave, star.wave)


def test_the_grid_says_what_it_is(tmp_path):
    grid = build(tmp_path)
    assert grid.notice == DEMO_NOTICE
    assert "not BOSZ" in grid.notice
    assert grid.name == "demo"
    assert grid.resolution == 20000.0
    assert len(grid.provenance["tables_sha256"]) == 64
    planned = planned_demo_grid(AXES, SAMPLING)  # known before it is built
    assert planned.provenance == grid.provenance
    assert planned.flux.shape == grid.flux.shape


@pytest.mark.slow
def test_the_number_of_workers_does_not_change_a_bit(tmp_path):
    one, two = build(tmp_path / "1"), build(tmp_path / "2", workers=2)
    np.testing.assert_array_equal(one.flux, two.flux)
    np.testing.assert_array_equal(one.continuum, two.continuum)


def test_an_interrupted_build_resumes(tmp_path, monkeypatch):
    """Blocks finished before the interruption are not computed again, and the result is whole."""
    whole = build(tmp_path / "whole")

    def interrupt(done, total):
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, progress=interrupt)
    kept = list((tmp_path / demo_cache_key(AXES, SAMPLING)).glob("*.npy"))
    assert len(kept) == 2

    computed = []
    compute = demo._compute_block
    monkeypatch.setattr(demo, "_compute_block", lambda *a: (computed.append(a), compute(*a)))
    reports = []
    grid = build(tmp_path, progress=lambda done, total: reports.append((done, total)))
    assert len(computed) == 2
    assert reports[-1] == (12, 12)
    np.testing.assert_array_equal(grid.flux, whole.flux)
    assert not list(tmp_path.glob("*/*.npy"))  # finished nodes are cleared away


def test_a_twin_process_that_finishes_first_does_no_harm(tmp_path):
    """It clears the shared folder of finished nodes; what is missing is computed again."""
    whole = build(tmp_path / "whole")
    cleared = build(tmp_path, progress=lambda done, total: done == 9 and clear(tmp_path))
    np.testing.assert_array_equal(cleared.flux, whole.flux)


def test_a_twin_process_shares_the_work(tmp_path):
    """What it has written meanwhile is not computed again; the last of the two clears it away."""
    folder = tmp_path / demo_cache_key(AXES, SAMPLING)
    folder.mkdir()
    with shared_until_whole(folder):
        whole = build(tmp_path)
        times = {file: file.stat().st_mtime_ns for file in folder.glob("*.npy")}
        for block in demo._blocks(AXES, folder):
            demo._compute_block(block, SAMPLING)
        assert {file: file.stat().st_mtime_ns for file in times} == times
        assert len(times) == 4
    assert not folder.exists()
    assert whole.valid.all()


def clear(folder):
    shutil.rmtree(folder / demo_cache_key(AXES, SAMPLING))


def test_labels_beyond_three_are_gridded_in_order(tmp_path):
    axes = {"teff": [4500.0], "logg": [2.0], "m_h": [-0.5], "a_m": [0.0, 0.4], "c_m": [-0.3, 0.3]}
    grid = build_demo_grid(axes=axes, cache_dir=tmp_path, sampling=SAMPLING, workers=1)
    star = synthesize(4500.0, 2.0, -0.5, 0.4, -0.3, sampling=SAMPLING)
    np.testing.assert_array_equal(grid.flux[0, 0, 0, 1, 0], star.flux.astype(np.float32))
    assert list(grid.axes) == ["teff", "logg", "m_h", "a_m", "c_m"]


def test_how_far_nodes_are_to_be_trusted_is_told():
    """Letters of nodes, counted for the grid, and shares of stars by the worst node around them."""
    axes = {"teff": [3500.0, 4000.0, 6500.0], "logg": [0.0, 2.5, 5.0, 5.5], "m_h": [0.0]}
    letters = structure_classes(axes)
    assert ["".join(row) for row in letters[:, :, 0]] == ["cccx", "mmmx", "xmmx"]
    validity = validity_map(axes, letters)
    assert node_counts(validity) == {"modelled": 5, "cool": 3, "continued": 4}
    stars = {
        "teff": np.array([3600.0, 5000.0, 5000.0, 6500.0]),
        "logg": np.array([1.0, 3.0, 5.2, 1.0]),
        "m_h": np.zeros(4),
    }
    shares = star_shares(validity, stars)
    # a data set's header is JSON with sorted names
    assert star_shares(json.loads(json.dumps(validity, sort_keys=True)), stars) == shares
    assert shares == {"modelled": 0.25, "cool": 0.25, "continued": 0.5}


def test_the_default_box_covers_the_published_prior():
    axes = demo_axes()
    assert [nodes.size for nodes in axes.values()] == [19, 12, 16]
    assert (axes["teff"][0], axes["teff"][-1]) == (3500.0, 6500.0)
    assert (axes["logg"][0], axes["logg"][-1]) == (0.0, 5.5)
    assert (axes["m_h"][0], axes["m_h"][-1]) == (-2.75, 1.0)


def test_the_cache_key_follows_whatever_changes_the_numbers(monkeypatch):
    keys = {demo_cache_key(), demo_cache_key(AXES), demo_cache_key(AXES, SAMPLING)}
    monkeypatch.setattr(demo, "PHYSICS_VERSION", -1)
    keys.add(demo_cache_key())
    monkeypatch.setattr(demo, "table_digest", lambda: "other tables")
    keys.add(demo_cache_key())
    assert len(keys) == 5


@pytest.mark.parametrize("axes", [{"teff": [5000.0]}, {"teff": [1.0], "logg": [1.0], "age": [1.0]}])
def test_unusable_axes_are_refused(axes):
    with pytest.raises(GridError, match="teff and logg"):
        build_demo_grid(axes=axes)


def test_an_unknown_box_names_the_known_ones():
    with pytest.raises(GridError, match="small"):
        demo_axes("4d")
