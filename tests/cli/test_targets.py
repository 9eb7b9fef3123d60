"""``specsim targets``: a table in, the same table out with exposures, S/N and sigmas."""

import json

import pytest
from astropy.table import Table

from tests.cli.conftest import call

RULE = "median>=3 in 850-862nm"


@pytest.fixture
def stars(tmp_path):
    path = tmp_path / "targets.ecsv"
    call("specsim example targets --out", path)
    return path


@pytest.mark.parametrize("suffix", [".ecsv", ".csv", ".fits"])
def test_the_table_comes_back_with_what_was_found(stars, bank_file, tmp_path, suffix):
    out = tmp_path / f"plan{suffix}"
    line = ("specsim targets", stars, "--bank", bank_file, "--target-snr", RULE)

    done = call(*line, "--out", out)
    again = call("specsim targets", out, "--bank", bank_file, "--json")

    assert done.exit_code == 0, done.stderr
    assert "median S/N >= 3 per pixel in 850-862 nm of all arms in 12 h or less" in done.stdout
    given, table = Table.read(stars), Table.read(out)
    assert table.colnames[:5] == given.colnames
    assert {"exp_count", "exp_time", "met", "snr_pixel", "sigma_logg"} <= set(table.colnames)
    assert list(table["mag"]) == list(given["mag"])
    # without a goal the plan's own exposures are taken as given: the same S/N
    rows = json.loads(again.stdout)["rows"]
    assert [row["snr_pixel"] for row in rows] == pytest.approx(list(table["snr_pixel"]))


def test_a_goal_of_sigma_names_what_is_fitted_and_the_conditions(stars, bank_file):
    line = ("specsim targets", stars, "--bank", bank_file, "--target-sigma", "logg=0.5,rv=5km/s")

    found = json.loads(call(*line, "--json").stdout)

    assert found["goal"] == ["sigma(logg) <= 0.5", "sigma(rv) <= 5"]
    assert found["fitted"] == ["teff", "logg", "m_h", "rv"]
    assert found["conditions"]["seeing"] == 1.0
    assert "exp_count" not in found["conditions"]
    assert found["n_met"] == sum(row["met"] for row in found["rows"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--target-snr med>=3", "did you mean median?"),
        ("--target-snr 3/pixel --exp-count 4", "--exp-count is what is looked for"),
        ("--target-sigma loggg=0.3", "did you mean logg?"),
        ("--target-snr 3 --sed flat", "give --instrument for other sources"),
        ("--target-snr 3/pixel --out x.doc", "tables are written as"),
        ("--target-snr 3/inch", "per pixel, angstrom or element"),
    ],
)
def test_bad_calls_are_refused_in_one_line(stars, bank_file, words, says):
    done = call(f"specsim targets {stars} --bank {bank_file} {words}")

    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr


def test_no_bank_is_needed_for_other_sources(tmp_path):
    path = tmp_path / "galaxies.csv"
    path.write_text("name,mag,sed\ng1,21.5,flat\ng2,22,blackbody:4500K\n")

    found = json.loads(call("specsim targets", path, "--instrument", "PFS", "--json").stdout)

    assert [row["sed"] for row in found["rows"]] == ["flat", "blackbody:4500K"]
    assert found["fitted"] == []
