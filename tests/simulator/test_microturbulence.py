"""Microturbulence as an axis: nodes, draws and what refuses it."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from starsmith.cli.sim.grid.build import nodes_of
from starsmith.cli.specsim import main
from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset import open_dataset
from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.simulator.grids.demo import build_demo_grid, demo_axes, demo_cache_key
from starsmith.simulator.prior import Prior
from starsmith.simulator.synthesis import Sampling, synthesize

NAMES = ("teff", "logg", "m_h", "vturb")
SPEEDS = np.array([0.5, 1.0, 2.0, 4.0])
SAMPLING = Sampling(wave_min=8530.0, wave_max=8560.0)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    axes = {"teff": [4500.0, 4750.0], "logg": [2.0, 2.5], "vturb": SPEEDS[1::2]}
    folder = tmp_path_factory.mktemp("nodes")
    return build_demo_grid(axes=axes, cache_dir=folder, sampling=SAMPLING, workers=1)


def test_nodes_have_their_microturbulence(grid):
    star = synthesize(4500.0, 2.5, vturb=4.0, sampling=SAMPLING)
    np.testing.assert_array_equal(grid.flux[0, 1, 1], star.flux.astype(np.float32))
    same = replace(SAMPLING, microturbulence=4.0)
    np.testing.assert_array_equal(star.flux, synthesize(4500.0, 2.5, sampling=same).flux)
    depth = 1.0 - (grid.flux / grid.continuum).mean(axis=-1)
    assert np.all(np.diff(depth, axis=-1) > 0.0)  # lines of faster gas block more


def test_a_speed_for_all_and_an_axis_are_refused_together():
    axes = demo_axes("small") | {"vturb": SPEEDS}
    with pytest.raises(GridError, match="give one of the two"):
        build_demo_grid(axes=axes, sampling=Sampling(microturbulence=2.0))
    with pytest.raises(GridError, match="nodes must increase"):
        build_demo_grid(axes=axes | {"vturb": [2.0, 1.0]})
    with pytest.raises(GridError, match=r"not within 0\.\.10"):
        build_demo_grid(axes=axes | {"vturb": [2.0, 11.0]})


def test_the_kept_grid_has_no_such_axis():
    assert demo_cache_key(demo_axes() | {"vturb": SPEEDS}) != demo_cache_key()
    assert list(demo_axes()) == ["teff", "logg", "m_h"]


def test_draws_span_the_axis_and_move_nothing_else():
    index = np.arange(500)
    without = Prior.default().draw(3, "train", index)
    drawn = Prior.default().draw(3, "train", index, NAMES)
    np.testing.assert_array_equal(drawn.labels[:, :3], without.labels)
    np.testing.assert_array_equal(drawn.mag, without.mag)
    speeds = drawn.label("vturb")
    assert 0.5 <= speeds.min() < 0.6
    assert 3.9 < speeds.max() <= 4.0
    fixed = Prior.default().with_ranges(vturb=(1.0, 1.0)).draw(3, "train", index, NAMES)
    assert np.all(fixed.label("vturb") == 1.0)
    with pytest.raises(ConfigError, match="drop --vturb"):
        Prior.default().with_ranges(vturb=(1.0, 1.0)).draw(3, "train", index)


def test_priors_record_it_where_it_acts():
    assert "vturb" not in Prior.default().recorded()
    assert Prior.default().recorded(NAMES)["vturb"] == [0.5, 4.0]
    assert Prior.default().with_ranges(vturb=(1.0, 2.0)).recorded()["vturb"] == [1.0, 2.0]


def test_the_command_says_what_it_cannot_do(toy_bank, tmp_path):
    bank = tmp_path / "toy.zarr"
    toy_bank.save(bank)
    line = ["generate", "--bank", str(bank), "--vturb", "0.5-4", "-n", "10"]
    found = CliRunner().invoke(main, [*line, "--out", str(tmp_path / "d.zarr")])
    assert found.exit_code == 2
    assert found.output.strip().count("\n") == 0
    assert "--vturb: the grid has only teff, logg, m_h" in found.output
    assert not (tmp_path / "d.zarr").exists()


def test_nodes_are_read_from_text():
    name, nodes = nodes_of("vturb=0.5,1,2,4")
    assert name == "vturb"
    np.testing.assert_array_equal(nodes, SPEEDS)
    for wrong in ("vturb", "vturb=", "vturb=a,b", "speed=1,2", "vturb=1,,2"):
        with pytest.raises(Exception, match="cannot be read"):
            nodes_of(wrong)


def test_the_middle_of_a_prior_has_it_where_the_grid_has():
    index = np.zeros(1, dtype=np.int64)
    middle = Prior.default().middle(NAMES).draw(0, "test", index, NAMES)
    assert middle.label("vturb")[0] == 2.25
    assert Prior.default().middle().draw(0, "test", index).label_names == NAMES[:3]
    chosen = Prior.default().with_ranges(vturb=(2.25, 2.25)).middle()
    with pytest.raises(ConfigError, match=r"vturb 2\.25"):  # asked for, so never left out
        chosen.draw(0, "test", index)


@pytest.mark.slow
def test_from_grid_to_spectra_by_commands(tmp_path):
    def run(line):
        done = CliRunner().invoke(main, line.split())
        assert done.exit_code == 0, done.output

    grid, few = tmp_path / "grid.zarr", tmp_path / "few.zarr"
    axes = "--axis teff=4750,5250 --axis logg=2,3 --axis m_h=0 --axis vturb=0.5,1,2,4"
    run(f"grid build {axes} --out {grid} --quiet")
    stars = "--teff 4750-5250 --logg 2-3 --m-h 0 --vturb 1-1.5 --splits train=40,val=10,test=10"
    run(f"generate --grid {grid} {stars} --out {few} --quiet")
    drawn = open_dataset(few).split("train").labels[:, NAMES.index("vturb")]
    assert 1.0 <= drawn.min() < 1.1 < 1.4 < drawn.max() <= 1.5
    assert verify_dataset(few).problems == []
