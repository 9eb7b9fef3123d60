"""Observed stars wherever simulated ones go: ingested, trained on, scored, predicted, compared."""

import json

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract import open_dataset
from tests.cli.conftest import call

RECIPE = """
spikes = ""
fwhm = 6.0
median = 1.0
start = 4000.0
step = 4.0
count = 700
"""


@pytest.fixture(scope="module")
def observed(shared_data, tmp_path_factory):
    """MILES and STELIB on the same pixels, and a model of Teff of each kind."""
    work = tmp_path_factory.mktemp("observed")
    (work / "recipe.toml").write_text(RECIPE)
    for name, file in (("miles", "miles_v9.1.npz"), ("stelib", "stelib_v3.2.npz")):
        done = call(
            "specdata ingest library", shared_data / "libraries" / file,
            "--standardise", work / "recipe.toml", "--splits", "0.5,0.25,0.25",
            "--out", work / f"{name}.zarr",
        )  # fmt: skip
        assert done.exit_code == 0, done.stderr
    done = call(
        "speclearn train --model ridge --target teff --target m_h",
        work / "miles.zarr", "--out", work / "ridge",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return work


def test_the_header_tells_every_step(observed):
    header = open_dataset(observed / "miles.zarr").header
    told = header.observed["standardise"]
    assert told["order"] == ["spikes", "snr", "rest", "continuum", "lsf", "resample", "median"]
    assert told["fwhm"] == 6.0
    assert told["correlation_length"] > 1.0
    assert told["doubts"] == {}
    assert "lines brought to 6 Å" in header.observed["steps"]
    split = open_dataset(observed / "miles.zarr").split("train")
    flux = split.observe(slice(0, 20)).flux
    np.testing.assert_allclose(np.median(flux, axis=1), 1.0, atol=0.02)  # of usable pixels
    assert np.median(split.snr) > 20


def test_real_stars_are_learnt_and_another_library_is_predicted(observed):
    """MILES teaches Teff (R2 above 0.5, O to M), and STELIB's cool stars come out to 500 K."""
    done = call("speclearn evaluate --json", observed / "ridge", observed / "miles.zarr")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["scores"]["r2"]["value"] > 0.5  # all types, O to M
    out = observed / "stelib.ecsv"
    done = call(
        "speclearn predict --split train", observed / "ridge", observed / "stelib.zarr",
        "--out", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    table = Table.read(out)
    cool = (table["teff_true"] > 4000) & (table["teff_true"] < 7000) & (table["quality"] == 0)
    assert cool.sum() > 10
    error = np.asarray(table["teff"] - table["teff_true"])[cool]
    assert np.median(np.abs(error)) < 500.0


def test_a_network_learns_real_stars(observed):
    done = call(
        "speclearn train --model mlp --target teff --set epochs=3 --json",
        observed / "miles.zarr", "--out", observed / "mlp",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr


def test_a_comparison_has_no_ceiling_and_says_so(observed):
    out = observed / "own.ecsv"
    data = observed / "miles.zarr"
    assert call("speclearn predict", observed / "ridge", data, "--out", out).exit_code == 0
    done = call("specfisher compare", out, "--data", data)
    assert done.exit_code == 0, done.stderr
    assert "no ceiling" in done.stderr
    assert "ridge" in done.stdout
    document = json.loads(call("specfisher compare --json", out, "--data", data).stdout)
    assert document["ceiling"] is None
    for option, why in (("--ceiling", "no ceiling"), ("--noise-draws 4", "have none")):
        refused = call(f"speclearn evaluate {option}", observed / "ridge", data)
        assert refused.exit_code == 2
        assert why in refused.stderr
        assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("model", ["gridposterior", "template"])
def test_what_needs_errors_or_a_bank_does_not_take_them(observed, model):
    done = call(
        f"speclearn train --model {model}", observed / "miles.zarr", "--out", observed / "x"
    )
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1


def test_files_go_to_the_model_without_a_data_set(observed, shared_data):
    """STELIB's own pixels and 3 Å lines, brought to the model's 6 Å."""
    done = call(
        "speclearn predict --json", observed / "ridge", shared_data / "libraries/stelib_v3.2.npz"
    )
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["predictions"]
    assert len({row["spectrum"] for row in rows}) > 200
    assert "lines brought to 6.00 Å FWHM" in done.stderr
