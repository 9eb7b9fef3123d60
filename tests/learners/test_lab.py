"""The laboratory's suites: cells, groups, ratios, and that finished cells are not done again."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from starsmith.cli.learn.lab_world import SimulatedWorld
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.grid.grid_file import GridData, write_grid
from starsmith.data_contract.star_groups import groups_of
from starsmith.learners.benchmark import lab
from starsmith.learners.benchmark.flags import FlagSet, flag_rows
from starsmith.learners.benchmark.lab import (
    LabSuite,
    list_labs,
    load_lab,
    ratio_of,
    run_lab,
    train_source,
)
from starsmith.learners.benchmark.lab_cells import LabTarget, strategy_of
from starsmith.learners.benchmark.suite_tables import keep_suite
from starsmith.learners.transfer.samples import training_view, white_noise
from starsmith.learners.transfer.target_views import mapped
from tests.cli.conftest import call
from tests.conftest import star_flux
from tests.learners.test_real_stars import toy_sample
from tests.simulator.test_domains import SURVEY

SUITE = LabSuite(
    name="toy", strategies=("zero_shot", "residual"), n=(0, 80), g=(0.0, 1.0), seeds=1, epochs=15,
    rates=(1e-2,), source_epochs=25, widths=(16,), wave_map="exact",
)  # fmt: skip


def target(g):
    """Stars whose continuum is tilted by the dial; the truth is its own ceiling."""
    noise = white_noise(50, 200, 1)
    samples = tuple(toy_sample(n, 20 + n, 0.4 * g, noise) for n in (80, 41, 60))
    truth = samples[2].labels
    return LabTarget.of_samples(samples, truth, (truth, truth), np.full(60, 100.0), {"g": g})


def base_of(suite):
    """Of stars without a tilt."""
    noise = white_noise(50, 200, 0)
    stars, val = toy_sample(250, 1, noise=noise), toy_sample(60, 2, noise=noise)
    return lambda folder: train_source(suite, stars, val, folder, None)


@pytest.mark.slow
def test_cells_are_done_once_and_judged_against_the_ceiling(tmp_path, monkeypatch):
    source = base_of(SUITE)
    rows = run_lab(SUITE, tmp_path / "lab", source, target)
    found = {(r["g"], r["strategy"]): r["ratio"] for r in rows if r["label"] == "m_h"
             and r["group"] == "all"}  # fmt: skip
    assert len(found) == 4  # zero-shot has no stars to learn from, and nothing else has none
    assert found[1.0, "zero_shot"] < found[0.0, "zero_shot"]
    assert found[1.0, "residual"] > found[1.0, "zero_shot"]
    monkeypatch.setattr(lab, "run_cell", None)
    assert run_lab(SUITE, tmp_path / "lab", source, target) == rows
    with pytest.raises(DataError, match="holds another suite"):
        run_lab(LabSuite(name="other"), tmp_path / "lab", source, target)


def test_noise_of_an_epoch_is_drawn_once_for_all_trainings():
    """Spectra are those of before, to the bit, whichever stars are asked for first."""
    stars = target(0.5)
    wave = stars.view.train.wave[:-1] + 0.3
    drawn, plain = [], mapped(stars.view, wave, "interpolate").train
    counted = replace(stars.view.train, observe=lambda rows=None, epoch=None: (
        drawn.append(epoch), stars.view.train.observe(rows, epoch))[1])  # fmt: skip
    view = replace(stars.view, train=counted)
    kept = replace(stars, view=view).at_hand(wave, "interpolate")
    rows = np.array([5, 3, 70])
    for some in (rows, slice(10, 30), None):
        for epoch in (1, 2, None):
            found, expected = (split.observe(some, epoch) for split in (kept.view.train, plain))
            assert np.array_equal(found.flux, expected.flux)
            assert np.array_equal(found.mask, expected.mask)
    assert sorted(drawn, key=str) == [1, 2, None]
    assert np.array_equal(kept.test.wave, wave)


def test_groups_and_ratio():
    labels = np.array([[5000, 2.0, -1.5], [5000, 4.0, -0.5]])
    inside = groups_of(labels, ("teff", "logg", "m_h"))
    assert inside["metal-poor"].tolist() == inside["giants"].tolist() == [True, False]
    assert list(groups_of(labels[:, 1:2], ("logg",))) == ["all", "giants", "dwarfs"]
    truth = np.linspace(0, 1, 50)
    same = ratio_of(truth, truth + 0.1, truth + 0.1, truth, 0.5 * truth)
    assert same["ratio"] == pytest.approx(1.0)
    assert same["r2_free"] == 1.0
    assert same["ratio_pipeline"] == pytest.approx(1.0)


def test_the_change_over_the_dial_is_paired(tmp_path):
    """A loss that all stars share has a small error, however wide that of either ratio is."""
    suite = LabSuite(strategies=("zero_shot",), n=(0,), g=(0.0, 1.0), seeds=1)
    draw = np.random.default_rng(3)
    truth = draw.uniform(0, 1, (200, 1))
    off = draw.normal(0, 0.15, (200, 1))
    for cell, factor in zip(suite.cells, (1.0, 1.1), strict=True):
        names = dict(zip(("g", "n", "strategy", "seed"), cell, strict=True))
        values = {"value": truth + factor * off, "ceiling": truth + 0.02, "free": truth}
        kept = {name: array.tolist() for name, array in values.items()}
        place = lab.cell_file(tmp_path, cell)
        place.parent.mkdir(exist_ok=True)
        kept |= {"truth": truth.tolist(), "labels": ["m_h"], "cell": names}
        place.write_text(json.dumps(kept))
    first, second = (r for r in lab.cell_rows(suite, tmp_path) if r["group"] == "all")
    assert np.isnan(first["change"])
    assert second["change"] == pytest.approx(second["ratio"] - first["ratio"])
    assert -8 < second["change"] / second["change_error"] < -4  # apart by less than their errors
    assert abs(second["change"]) < 2 * np.hypot(first["error"], second["error"])


def test_a_folder_of_fewer_keys_is_the_same_suite(tmp_path):
    """A suite written before a knob was added goes on."""
    (tmp_path / "suite.json").write_text(json.dumps({"name": "lab"}))
    keep_suite(LabSuite(), tmp_path)
    with pytest.raises(DataError, match="another suite"):
        keep_suite(LabSuite(lsf=1.5), tmp_path)


def test_a_strategy_has_a_size():
    assert strategy_of("residual-96").hidden == 96
    assert (strategy_of("lora-32").rank, strategy_of("lora-32").alpha) == (32, 64.0)
    with pytest.raises(ConfigError, match="expected one of"):
        LabSuite(strategies=("full-3",))


def test_suites_are_read_and_wrong_ones_refused(tmp_path):
    assert {"ci", "dial", "default", "full"} <= set(list_labs())
    assert load_lab("dial").g == (0.0, 0.25, 0.5, 1.0)
    assert len(load_lab("default").cells) == 3 * 2 * (1 + 2 * 3)
    assert load_lab("full").n == (0, 100, 200, 500, 1000, 2069)
    (tmp_path / "bad.toml").write_text("colour = 3\n")
    with pytest.raises(ConfigError, match="unknown keys"):
        load_lab(str(tmp_path / "bad.toml"))
    (tmp_path / "bad.toml").write_text("g = 3\n")
    with pytest.raises(ConfigError, match="g = 3; expected"):
        load_lab(str(tmp_path / "bad.toml"))
    with pytest.raises(ConfigError, match="choose one of ci"):
        load_lab("other")


LAB = """
source = "{survey}"
target = "{survey}"
strategies = ["zero_shot"]
n = [0]
g = [0.0, 0.5, 1.0]
seeds = 1
epochs = 1
rates = [1e-3]
n_source = 2000
source_epochs = 20
n_val = 30
n_test = 100
widths = [64]
"""


def write_toy_grid(path, power=0.0):
    """64 toy stars; with a power their lines are deeper."""
    wave = 8400.0 + 0.1 * np.arange(4000)
    axes = {
        "teff": np.linspace(3750.0, 6000.0, 4),
        "logg": np.linspace(1.0, 5.0, 4),
        "m_h": np.linspace(-2.0, 0.5, 4),
    }
    teff, logg, m_h = axes.values()
    flux = np.stack([[[star_flux(t, g, z, wave) for z in m_h] for g in logg] for t in teff])
    flux = flux * (flux / flux.max(axis=-1, keepdims=True)) ** power
    grid = GridData(
        name="toy", axes=axes, wave=wave, flux=flux.astype(np.float32),
        valid=np.ones(flux.shape[:3], dtype=bool), resolution=20_000.0,
    )  # fmt: skip
    write_grid(path, grid)


@pytest.mark.slow
def test_the_command_on_grids_of_ones_own(tmp_path):
    """Zero-shot loses where the physics is another; the ceiling of g = 0 is above it."""
    write_toy_grid(tmp_path / "a.zarr")
    write_toy_grid(tmp_path / "b.zarr", power=0.3)
    (tmp_path / "toy.toml").write_text(SURVEY)
    (tmp_path / "lab.toml").write_text(LAB.format(survey=tmp_path / "toy.toml"))
    words = ("--suite", tmp_path / "lab.toml", "--out", tmp_path / "lab", "--json")
    words += ("--grid", tmp_path / "a.zarr")
    done = call("speclearn bench lab", *words)
    assert done.exit_code == 2, done.stderr
    assert "needs a second grid; give --grid-b" in done.stderr
    done = call("speclearn bench lab", *words, "--grid-b", tmp_path / "b.zarr")
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    found = {(r["g"], r["label"]): r for r in rows if r["group"] == "all"}
    assert found[1.0, "m_h"]["ratio"] < found[0.0, "m_h"]["ratio"]
    val = json.loads((tmp_path / "lab" / "base" / "card.json").read_text())["metrics"]["val_r2"]
    for label in ("teff", "logg", "m_h"):
        at = [found[g, label] for g in (0.0, 0.5, 1.0)]
        for first, second in pairwise(at):  # never better where the physics is further off
            assert second["change"] == pytest.approx(second["ratio"] - first["ratio"])
            assert second["change"] < 2 * second["change_error"]
        # no gap, no loss: as good as on the source's own stars, other stars and another noise
        error = at[0]["error"] * np.sqrt(1.0 + 100 / 200)  # of 100 test, and 200 validation stars
        assert abs(at[0]["r2"] - val[label]) < 0.01 + 2 * error
    assert all(row["ratio"] < 1.0 + 2 * row["error"] for row in found.values())


@pytest.mark.slow
def test_scratch_on_many_stars_comes_near_the_ceiling(tmp_path):
    """100,000 stars of the target with fresh noise: at least 0.9 of the ceiling's R²."""
    write_toy_grid(tmp_path / "a.zarr")
    (tmp_path / "toy.toml").write_text(SURVEY)
    survey = str(tmp_path / "toy.toml")
    suite = LabSuite(
        source=survey, target=survey, strategies=("scratch",), n=(100_000,), g=(0.0,), seeds=1,
        epochs=4, rates=(1e-3,), n_source=200, source_epochs=1, n_test=300, widths=(128, 64),
    )  # fmt: skip
    world = SimulatedWorld(suite, tmp_path, tmp_path / "a.zarr")
    rows = run_lab(suite, tmp_path / "lab", world.base, world.target)
    for row in rows:
        if row["group"] == "all":
            assert 0.9 - 2 * row["error"] < row["ratio"] < 1.0 + 2 * row["error"]


def test_flags_tell_what_is_no_such_star():
    """False flags stay below 3 % of 400 (limits are of 200 spectra); another slope is told."""
    noise = white_noise(50, 200, 0)
    view = training_view(toy_sample(400, 1, noise=noise), toy_sample(200, 2, noise=noise))
    sets = [FlagSet(f"tilt {tilt}", toy_sample(400, 3, tilt, noise)) for tilt in (0.0, 0.5)]
    alike, tilted = (float(row["flagged"].split()[0]) for row in flag_rows(view, sets))
    assert alike <= 0.03
    assert tilted > 0.9


@pytest.mark.slow
def test_the_ceiling_knows_no_source(tmp_path):
    """To the bit the same whatever the source is; and a killed suite reads it from its file."""
    (tmp_path / "toy.toml").write_text(SURVEY)
    write_toy_grid(tmp_path / "a.zarr")
    suites = [LabSuite(source=s, target=str(tmp_path / "toy.toml"), n=(0,), n_val=30, n_test=8)
              for s in ("desi", "lamost_lrs")]  # fmt: skip
    worlds = [
        SimulatedWorld(suite, tmp_path / suite.source, tmp_path / "a.zarr") for suite in suites
    ]
    first, second = (world.target(0.0) for world in worlds)
    np.testing.assert_array_equal(first.ceiling, second.ceiling)
    again = worlds[0].target(0.0)
    np.testing.assert_array_equal(again.free, first.free)
