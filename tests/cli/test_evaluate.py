"""``speclearn evaluate`` and ``explain`` end to end, and what they refuse."""

import json

import numpy as np
import pytest
from astropy.table import Table

from tests.cli.conftest import call

TARGETS = "--target logg --target m_h"


@pytest.fixture(scope="module")
def models(dataset, tmp_path_factory):
    """Ridge, the posterior mean and a small network that states its σ, as checkpoints."""
    out = tmp_path_factory.mktemp("models")
    for name, more in (
        ("ridge", ""),
        ("gridposterior", "--set n_template=3000"),
        ("specvit_tiny", "--epochs 2 --set loss=gaussian_nll --set options.patch=20"),
    ):
        line = f"speclearn train --model {name} {TARGETS} {more}"
        done = call(line, dataset, "--out", out / name)
        assert done.exit_code == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def predictions(models, dataset, tmp_path_factory):
    """Predictions of ridge for the test split, as a file."""
    path = tmp_path_factory.mktemp("tables") / "ridge.ecsv"
    done = call("speclearn predict", models / "ridge", dataset, "--out", path)
    assert done.exit_code == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def other_data(bank_file, tmp_path_factory):
    """Another data set of the same bank."""
    path = tmp_path_factory.mktemp("other") / "other.zarr"
    done = call("specsim generate -n 500 --seed 8 --workers 1", "--bank", bank_file, "--out", path)
    assert done.exit_code == 0, done.stderr
    return path


def test_several_models_are_compared_star_by_star(models, predictions, dataset, tmp_path):
    """Folders and tables side by side; each row of differences names the better one."""
    figure = tmp_path / "models.png"
    asked = ("speclearn evaluate --json", models / "gridposterior", predictions, dataset)

    done = call(*asked, "--plot", figure)
    result = json.loads(done.stdout)
    pooled = [row for row in result["differences"] if row["by"] == "all"]

    assert done.exit_code == 0, done.stderr
    assert [m["model"] for m in result["models"]] == ["gridposterior", "ridge"]
    assert [(r["first"], r["second"], r["verdict"]) for r in pooled] == [
        ("ridge", "gridposterior", "worse")
    ]
    assert {g["name"] for g in result["models"][0]["groups"]} >= {"giants", "subgiants", "dwarfs"}
    assert figure.stat().st_size > 1000


def test_one_call_answers_everything_about_one_model(models, dataset, tmp_path):
    """Ceiling, calibration, another population, in one table each; no leak, exit 0."""
    figure = tmp_path / "pit.png"
    line = (
        "speclearn evaluate --ceiling --n-template 3000 --calibration "
        "--population giants=0.2,subgiants=0.3,dwarfs=0.5"
    )

    done = call(line, models / "gridposterior", dataset, "--calibration-plot", figure)

    assert done.exit_code == 0, done.stderr
    for part in ("Beside the exact posterior mean", "Calibration", "In another population"):
        assert part in done.stdout
    assert figure.stat().st_size > 1000


def test_of_several_models_those_are_calibrated_that_state_uncertainties(models, dataset, tmp_path):
    """The others are named; the figure shows the same ones."""
    figure = tmp_path / "pit.png"
    line = "speclearn evaluate --json --calibration"
    two = (models / "ridge", models / "gridposterior", dataset, "--calibration-plot", figure)

    done = call(line, *two)

    assert done.exit_code == 0, done.stderr
    assert [c["model"] for c in json.loads(done.stdout)["calibration"]] == ["gridposterior"]
    assert "ridge states no uncertainties" in done.stderr
    assert figure.stat().st_size > 1000


def test_a_model_that_is_too_good_ends_with_exit_code_3(predictions, dataset, tmp_path):
    """Predictions close to the truth at S/N 7 can only come from a leak."""
    table = Table.read(predictions)
    noise = np.random.default_rng(0).normal(size=len(table)) * 0.02
    table["logg"] = table["logg_true"] + noise
    leaked = tmp_path / "leaked.ecsv"
    table.write(leaked)

    done = call("speclearn evaluate --ceiling --n-template 3000", leaked, dataset)

    assert done.exit_code == 3
    assert "ABOVE CEILING" in done.stdout
    assert "exceeds the posterior mean" in done.stderr.splitlines()[-1]


def test_noise_draws_state_a_scatter(models, dataset):
    done = call(
        "speclearn evaluate --json --noise-draws 3 --calibration", models / "ridge", dataset
    )
    result = json.loads(done.stdout)

    assert done.exit_code == 0, done.stderr
    assert "3 noise draws" in result["model"]
    # ridge's scatter over noise leaves out what it does not know of the star
    assert result["calibration"][0]["z_std"] > 1.0


def changed(path, folder, change):
    """The table of predictions with a change, as a new file."""
    table = Table.read(path)
    change(table)
    out = folder / "changed.ecsv"
    table.write(out, overwrite=True)
    return out


def without_keys(table):
    table.remove_column("index")


def without_origin(table):
    del table.meta["dataset"]


def of_train(table):
    table.meta["split"] = "train"


def shuffled(table):
    table["index"] = np.roll(table["index"], 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without_keys, "without draw keys"),
        (without_origin, "lacks dataset"),
        (of_train, "split train of data set"),
        (shuffled, "draw keys are not"),
    ],
)
def test_predictions_of_other_spectra_are_refused(change, says, predictions, dataset, tmp_path):
    done = call("speclearn evaluate", changed(predictions, tmp_path, change), dataset)

    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_keys_of_another_data_set_are_refused(predictions, other_data):
    done = call("speclearn evaluate", predictions, other_data)

    assert done.exit_code == 2
    assert "of data set" in done.stderr


def test_the_train_split_of_other_data_is_scored_only_when_named(models, other_data):
    """The split a model was trained on is never scored unless asked for."""
    assert call("speclearn evaluate", models / "ridge", other_data).exit_code == 0
    assert call("speclearn evaluate --split train", models / "ridge", other_data).exit_code == 0


def test_bins_over_the_95th_percentile_of_pixels(models, predictions, dataset, tmp_path):
    """Predictions carry both statistics; a table without the second is refused."""
    table = Table.read(predictions, format="ascii.ecsv")
    edge = float(f"{np.median(table['snr']):.3f}")
    done = call(
        f"speclearn evaluate --json --snr-bins 0,{edge},inf --snr-statistic p95",
        models / "ridge", dataset, "--out", tmp_path / "again.ecsv",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    counts = [np.sum(table[name] < edge) for name in ("snr_p95", "snr")]
    assert result["bins"][0]["n_spec"] == counts[0] < counts[1]
    assert "95th percentile" in result["notice"]
    again = Table.read(tmp_path / "again.ecsv", format="ascii.ecsv")
    np.testing.assert_array_equal(again["snr"], table["snr"])

    table.remove_column("snr_p95")
    table.write(tmp_path / "old.ecsv", format="ascii.ecsv")
    done = call("speclearn evaluate --snr-statistic p95", tmp_path / "old.ecsv", dataset)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "snr_p95" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--calibration", "states no uncertainties"),
        ("--snr-bins 500,600", "no spectrum of split"),
        ("--mag-bins 30,31", "no spectrum of split"),
        ("--population giants=2", "share of each stellar type"),
        ("--noise-draws 1", "two draws at least"),
        ("--ceiling --split val", "--ceiling"),
        ("--target teff", "was not predicted"),
        ("--plot scores.doc", "scores.doc"),
    ],
)
def test_questions_without_an_answer_are_refused_in_one_line(options, says, models, dataset):
    done = call(f"speclearn evaluate {options}", models / "ridge", dataset)

    assert done.exit_code == 2, done.stdout
    assert says in done.stderr
    assert done.stdout == ""


def test_a_network_is_explained_and_ridge_is_not(models, dataset, tmp_path):
    figure = tmp_path / "explain.png"

    done = call(
        "speclearn explain --json -n 20", models / "specvit_tiny", dataset, "--plot", figure
    )
    found = json.loads(done.stdout)
    refused = call("speclearn explain", models / "ridge", dataset)

    assert done.exit_code == 0, done.stderr
    for curve in ("attention", "saliency", "information"):
        assert np.sum(found[curve]) == pytest.approx(1.0)
    assert figure.stat().st_size > 1000
    assert refused.exit_code == 2
    assert "not a network" in refused.stderr
