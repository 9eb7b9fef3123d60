"""Posteriors from the command line: quantiles, draws, corner plot, calibration, refusals."""

import json

import numpy as np
import pytest
from astropy.table import Table

from tests.cli.conftest import call

SHORT = "--epochs 3 --set epoch_size=1024 --set n_mode=12 --set width=64 --set batch_size=256"


@pytest.fixture(scope="module")
def model(dataset, tmp_path_factory):
    """A compressed model of all three labels, shortly trained."""
    out = tmp_path_factory.mktemp("model") / "compressed"
    targets = "--target logg --target teff --target m_h"
    done = call(f"speclearn train --model compressed {targets} {SHORT}", dataset, "--out", out)
    assert done.exit_code == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def star(dataset, bank_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("star") / "star.ecsv"
    done = call(
        "specsim spectrum --seed 7 --split test --index 3", "--bank", bank_file, "--out", out
    )
    assert done.exit_code == 0, done.stderr
    return out


def test_quantiles_and_draws_of_a_spectrum(model, star, tmp_path):
    line = "speclearn predict --rv 0 --json --posterior"
    told = call(f"{line} quantiles", model, star, "--corner", tmp_path / "star.png")
    assert told.exit_code == 0, told.stderr
    assert "of the draws effective" in told.stderr
    rows = json.loads(told.stdout)["predictions"]
    assert [row["label"] for row in rows] == ["logg", "teff", "m_h"]
    for row in rows:
        assert row["q2.5"] < row["q16"] < row["q50"] < row["q84"] < row["q97.5"]
    assert (tmp_path / "star.png").stat().st_size > 10_000

    out = tmp_path / "draws.ecsv"
    kept = call(f"{line} samples --n-draw 300", model, star, "--out", out)
    assert kept.exit_code == 0, kept.stderr
    table = Table.read(out)
    assert len(table) == 300
    assert np.sum(table["weight"]) == pytest.approx(1.0)
    middle = np.average(table["logg"], weights=table["weight"])
    assert rows[0]["q2.5"] < middle < rows[0]["q97.5"]


def test_calibration_tells_of_the_posterior_beside_the_exact_one(model, dataset):
    done = call("speclearn evaluate --json --calibration", model, dataset)
    assert done.exit_code == 0, done.stderr
    (scores,) = json.loads(done.stdout)["posterior"]
    assert scores["gap"] > -3 * scores["gap_error"]  # nothing beats the exact posterior
    assert 0 < scores["efficiency"][0] <= scores["efficiency"][1] <= 1
    assert [one["label"] for one in scores["labels"]] == ["logg", "teff", "m_h"]
    text = call("speclearn evaluate --calibration", model, dataset).stdout
    assert "Posteriors of all targets, beside the exact ones" in text


def test_one_target_of_several_labels_has_no_exact_posterior_beside_it(dataset, tmp_path):
    """What is not there is not shown, neither as NaN nor as weights of 100 %."""
    trained = call(
        f"speclearn train --model compressed --target logg {SHORT}",
        dataset,
        "--out",
        tmp_path / "m",
    )
    assert trained.exit_code == 0, trained.stderr
    done = call("speclearn evaluate --calibration", tmp_path / "m", dataset)
    assert done.exit_code == 0, done.stderr
    table = done.stdout.partition("Posteriors of the targets (not every label is one")[2]
    assert "log score" in table
    assert not any(word in table for word in ("nan", "| exact", "| effective"))


def test_a_head_without_uncertainty_has_no_posterior(dataset, star, tmp_path):
    done = call(
        f"speclearn train --model compressed --set head=mean {SHORT}",
        dataset,
        "--out",
        tmp_path / "m",
    )
    assert done.exit_code == 0, done.stderr
    refused = call("speclearn predict --rv 0 --posterior quantiles", tmp_path / "m", star)
    assert refused.exit_code == 2
    assert "has no posterior" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_draws_need_a_table_to_go_to(model, star):
    refused = call("speclearn predict --posterior samples", model, star)
    assert refused.exit_code == 2
    assert "add --out" in refused.stderr


def test_a_spectrum_without_a_good_pixel_is_refused(model, star, tmp_path):
    table = Table.read(star)
    table["mask"] = 1
    table.write(tmp_path / "bad.ecsv")
    refused = call("speclearn predict --rv 0 --posterior quantiles", model, tmp_path / "bad.ecsv")
    assert refused.exit_code == 2
    assert "no usable pixel" in refused.stderr


def test_a_certificate_can_be_made_again_and_no_other(model, dataset, bank_file, tmp_path):
    line = "speclearn certify --n-template 2000"
    first = call(f"{line} --json", model, dataset)
    assert first.exit_code == 0, first.stderr
    found = json.loads(first.stdout)["certificate"]
    assert {row["label"] for row in found["rows"]} == {"logg", "teff", "m_h"}
    assert all(row["efficiency"] < 1.1 for row in found["rows"] if row["snr"] == "all")
    kept = model / "certificate.json"
    assert json.loads(kept.read_text())["weights_sha256"] == found["weights_sha256"]

    changed = json.loads(kept.read_text())
    changed["rows"][0]["r2"] += 0.1
    kept.write_text(json.dumps(changed))
    refused = call(line, model, dataset)
    assert refused.exit_code == 3
    assert "could not be made again" in refused.stderr
    assert call(f"{line} --overwrite", model, dataset).exit_code == 0


def test_stars_of_another_bank_are_refused(model, toy_bank, tmp_path):
    from dataclasses import replace

    replace(toy_bank, coef=toy_bank.coef * np.float32(1.5)).save(tmp_path / "other.zarr")
    words = ("--bank", tmp_path / "other.zarr", "--out", tmp_path / "other_data.zarr")
    done = call("specsim generate -n 50 --workers 1", *words)
    assert done.exit_code == 0, done.stderr
    refused = call("speclearn certify", model, tmp_path / "other_data.zarr")
    assert refused.exit_code == 2
    assert "of its own bank" in refused.stderr


def test_draws_are_weighed_by_all_pixels_or_to_a_population(model, star, bank_file, tmp_path):
    line = "speclearn predict --rv 0 --posterior quantiles"
    exact = call(f"{line} --json --exact --bank", bank_file, model, star)
    assert exact.exit_code == 0, exact.stderr
    rng = np.random.default_rng(0)
    giants = {"teff": rng.uniform(4000, 5800, 300), "logg": rng.normal(1.8, 0.1, 300)}
    table = Table(giants | {"m_h": rng.uniform(-2, 0.5, 300), "mag": np.full(300, 20.0)})
    table.write(tmp_path / "giants.ecsv")
    done = call(f"{line} --json --population", tmp_path / "giants.ecsv", model, star)
    assert done.exit_code == 0, done.stderr
    assert 1.2 < json.loads(done.stdout)["predictions"][0]["q50"] < 2.4
    table["logg"][3] = 7.5
    table.write(tmp_path / "giants.ecsv", overwrite=True)
    outside = call(f"{line} --population", tmp_path / "giants.ecsv", model, star)
    assert outside.exit_code == 2
    assert "logg of 1 row(s)" in outside.stderr
    alone = call("speclearn predict --exact", model, star)
    assert alone.exit_code == 2
    assert "add --posterior" in alone.stderr


def test_a_velocity_is_predicted_and_scored(model, star, dataset):
    done = call("speclearn predict --json --velocity", model, star)
    assert done.exit_code == 0, done.stderr
    row = json.loads(done.stdout)["predictions"][-1]
    assert (row["label"], row["unit"]) == ("rv", "km s-1")
    assert row["uncertainty"] > 0
    bounds = call("specfisher ceiling --velocity --json --data", dataset)
    assert bounds.exit_code == 0, bounds.stderr
    assert json.loads(bounds.stdout)["rows"][0]["sigma_p50"] > 0
    refused = call("specfisher ceiling --velocity --by-arm --data", dataset)
    assert refused.exit_code == 2
    assert "drop --by-arm" in refused.stderr
    scored = call("speclearn evaluate --json --velocity", model, dataset)
    assert scored.exit_code == 0, scored.stderr
    (velocity,) = json.loads(scored.stdout)["velocity"]
    assert velocity["rows"][0]["snr"] == "all"
    assert velocity["rows"][0]["bound"] > 0
