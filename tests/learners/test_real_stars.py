"""The real test: folds, recalibration and its report on stars whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from starsmith.learners.benchmark.flags import share_text
from starsmith.learners.benchmark.real.report import (
    coverage_rows,
    recalibrated,
    score_rows,
    write_report,
)
from starsmith.learners.benchmark.real.stars import without_cores
from starsmith.learners.benchmark.real.trial import Settings, divide, run_trial, without
from starsmith.learners.transfer.samples import Sample, white_noise
from tests.cli.conftest import call

LABELS = ("teff", "logg", "m_h")


def toy_sample(n, seed, tilt=0.0, noise=None):
    """Stars with a line for each label, whose depth it sets; ``tilt`` is another survey's."""
    labels = np.random.default_rng(seed).uniform((4000, 1, -2), (6000, 5, 0), (n, 3))
    depth = (labels - (5000, 3, -1)) / (1000, 2, 1) * 0.1 + 0.3
    pixel = np.arange(60)
    shapes = np.exp(-0.5 * ((pixel - np.array([[12], [30], [48]])) / 2.0) ** 2)
    flux = (1 - depth @ shapes) * (1 + tilt * (pixel - 30) / 60)
    error = np.random.default_rng(seed + 1).normal(0, 0.005, flux.shape) if noise is None else 0
    names = tuple(f"HD{seed}{k}" for k in range(n))
    return Sample(
        wave=5000.0 + pixel,
        flux=(flux + error).astype(np.float32),
        label_names=LABELS,
        labels=labels,
        names=names,
        noise=noise,
    )


@pytest.fixture(scope="module")
def trial():
    settings = Settings(
        strategies=("zero_shot", "residual"), rates=(1e-2,), epochs=8, base_epochs=15, widths=(32,)
    )
    source = toy_sample(300, 1, noise=white_noise(50, 200, 0))
    return run_trial("toy", "toy to toy", source, toy_sample(80, 5, tilt=0.3), settings)


@pytest.mark.slow
def test_every_star_is_judged_once_and_learning_helps(trial):
    assert np.bincount(trial.fold).tolist() == [16] * 5
    assert all(np.isfinite(value).all() for value in trial.value.values())
    error = {k: np.abs(v - trial.truth).mean(axis=0) for k, v in trial.value.items()}
    assert (error["residual"] < error["zero_shot"]).all()


@pytest.mark.slow
def test_the_report_names_stars(trial, tmp_path):
    text = write_report([trial], tmp_path, "toy").read_text()
    assert "HD5" in text
    assert "R2 - zero-shot" in text
    told = json.loads((tmp_path / "report.json").read_text())
    assert len(told["toy"]["scores"]) == len(score_rows(trial)) == 6
    assert (tmp_path / "toy.ecsv").read_text().count("HD5") == 80
    assert len(coverage_rows(trial)) == 6


def test_recalibration_covers_what_it_says_on_other_folds():
    """Pulls three times too wide: 68 % inside after, on stars that set no width."""
    pull = 3.0 * np.abs(np.random.default_rng(0).normal(size=2000))
    fold = divide(2000, 5, 0)
    for level in (0.68, 0.95):
        assert (pull <= recalibrated(pull, fold, level)).mean() == pytest.approx(level, abs=0.03)
    half = recalibrated(pull, fold, 0.68)
    assert np.unique(half).size == 5
    pull[fold == 0] *= 100.0  # its own stars do not move a fold's width
    assert recalibrated(pull, fold, 0.68)[fold == 0][0] == half[fold == 0][0]
    assert share_text(34, 50) == "0.68 [0.53, 0.80]"
    assert share_text(50, 50) == "1.00 [0.93, 1.00]"


def test_common_stars_are_taken_out():
    both, own = toy_sample(10, 1), toy_sample(10, 2)
    assert len(without(both, [*own.names, both.names[3]])) == 9


def test_noise_belongs_to_the_star():
    """Alone, in any order, as part of a choice: the same noise; another epoch, another."""
    sample = toy_sample(20, 1, noise=white_noise(20, 50, 4))
    whole = sample.observe().flux
    part = sample.take(np.array([7, 3]))
    np.testing.assert_array_equal(part.observe().flux, whole[[7, 3]])
    np.testing.assert_array_equal(part.observe(np.array([1]), 2).flux, sample.observe([3], 2).flux)
    assert not np.array_equal(sample.observe(None, 0).flux, whole)


def test_without_the_libraries_it_is_skipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("speclearn bench real")
    assert done.exit_code == 0
    assert done.stdout.startswith("skipped: MILES and STELIB are not here; pip download")
    assert len(done.stdout.splitlines()) == 1
    done = call("speclearn bench real --libraries", tmp_path)
    assert (done.exit_code, "no sdss_mangadap wheel" in done.stderr) == (2, True)
    assert call("speclearn bench").exit_code == 2


@pytest.mark.slow
def test_miles_to_stelib(shared_data, tmp_path):
    """63 stars are in both; few epochs of a small network are enough to know Teff."""
    done = call(
        "speclearn bench real --only miles --strategy zero_shot --strategy linear_probe --width 32 "
        "--epochs 2 --base-epochs 8 --lr 1e-3 --json --libraries", shared_data / "libraries",
        "--out", tmp_path / "real",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)["miles"]
    assert "63 stars that both have are taken" in told["what"]
    assert told["n_star"] == 161
    text = (tmp_path / "real" / "report.md").read_text()
    assert "HD" in text
    scores = {(r["strategy"], r["label"]): r["R2"] for r in told["scores"]}
    assert float(scores["zero_shot", "teff"].split()[0]) > 0.3


def test_cores_of_calcium_are_masked_and_nothing_else():
    sample = replace(toy_sample(3, 1), wave=8520.0 + np.arange(60))
    found = without_cores(sample).mask != 0
    assert found.all(axis=0).tolist() == (np.abs(sample.wave - 8544.44) < 2.0).tolist()
    assert found.sum() == 3 * 4
