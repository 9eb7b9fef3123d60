"""Ceilings arm by arm: the same stars, fewer pixels."""

import dataclasses
import json

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract.errors import DataError
from starsmith.fisher.ceilings.ceiling import ceiling, ceiling_by_arm
from starsmith.fisher.ceilings.single_arm import hidden_pixels, with_arm_alone
from starsmith.fisher.information.bounds import fisher_information
from starsmith.simulator.observe import draw_stars
from tests.cli.conftest import call
from tests.conftest import make_toy_bank

PER_ARM = (
    "read_variance",
    "dark_rate",
    "stray_fraction",
    "floor_fraction",
    "variance_factor",
    "sample_factor",
)
STARS = """# %ECSV 1.0
# ---
# datatype:
# - {name: teff, datatype: float64}
# - {name: logg, datatype: float64}
# - {name: m_h, datatype: float64}
# - {name: mag, datatype: float64}
teff logg m_h mag
4500 2.0 -1.0 19.5
5200 4.5 -0.5 20.5
5800 4.2 0.2 21.4
"""


@pytest.fixture(scope="module")
def three_arms():
    """The toy detector cut in three arms of unequal length."""
    bank = make_toy_bank()
    noise = bank.noise
    per_arm = {name: np.full(3, getattr(noise, name)) for name in PER_ARM}
    edge = np.array([0.0, 60.0, 190.0, 300.0])
    split = dataclasses.replace(noise, arm_edge=edge, arm_names=("blue", "red", "nir"), **per_arm)
    return dataclasses.replace(bank, noise=split)


def test_information_of_arms_adds_up(three_arms, prior):
    """Noise of different pixels is independent: matrices of the arms add, to rounding.

    With the magnitude known and nothing fitted but labels.
    """
    draws = draw_stars(three_arms, prior, 0, "test", np.arange(40))
    how = {"normalise": "absolute"}
    whole = fisher_information(three_arms, draws, **how)
    parts = [
        fisher_information(with_arm_alone(three_arms, arm), draws, **how)
        for arm in ("blue", "red", "nir")
    ]
    np.testing.assert_allclose(sum(part.gram for part in parts), whole.gram, rtol=1e-9)


def test_an_arm_is_a_stretch_of_pixels(three_arms):
    assert np.flatnonzero(~hidden_pixels(three_arms, "nir"))[[0, -1]].tolist() == [190, 299]
    assert not hidden_pixels(three_arms, "").any()
    assert with_arm_alone(three_arms, "") is three_arms
    with pytest.raises(DataError, match="green"):
        with_arm_alone(three_arms, "green")


def test_an_arm_tells_no_more_than_all_arms(three_arms, prior):
    """Every statistic and bin; S/N, label variance and membership are those of all arms."""
    choices = {
        "n_star": 200,
        "n_template": 3000,
        "snr_edges": (0.0, 4.0, 100.0),
        "statistics": ("posterior_mean", "bayes_gauss", "mean_clip", "paper_median"),
    }

    table = ceiling_by_arm(three_arms, prior, **choices)

    assert table.arms == ("blue", "red", "nir")
    assert [row.name for row in table.rows] == ["all", "0-4", "4-100"] * 4
    for row in table.rows:
        whole = table.row(row.name)
        assert (row.n, row.snr, row.variance) == (whole.n, whole.snr, whole.variance)
        if row.arm:
            for name in ("bayes_gauss", "mean_clip"):
                assert row.r2[name][0] < whole.r2[name][0]
            value, error = row.r2["posterior_mean"]
            assert value < whole.r2["posterior_mean"][0] + 2.0 * error
            assert np.isnan(row.r2["paper_median"][0])
            assert "realised-differs" not in row.flags
    assert "| arm |" in table.to_markdown()
    alone = ceiling(three_arms, prior, arm="red", **choices)
    assert alone.row("all").r2["posterior_mean"] == table.row("all", "red").r2["posterior_mean"]


@pytest.fixture(scope="module")
def arms_file(three_arms, tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "arms.zarr"
    three_arms.save(path)
    return path


def test_ceilings_of_a_data_set_by_arm(arms_file, tmp_path):
    """Generated, scored and drawn by the commands: a row per arm and bin."""
    data, figure = tmp_path / "data.zarr", tmp_path / "arms.png"
    made = call("specsim generate -n 1200 --workers 1", "--bank", arms_file, "--out", data)
    assert made.exit_code == 0, made.stderr
    line = "specfisher ceiling --by-arm --n-template 1000 --statistic posterior_mean --json"

    done = call(f"{line} --snr-bins 0,4,inf", "--data", data, "--plot", figure)

    rows = json.loads(done.stdout)["rows"]
    assert [(row["name"], row["arm"]) for row in rows] == [
        (name, arm) for arm in ("", "blue", "red", "nir") for name in ("all", "0-4", ">4")
    ]
    assert figure.stat().st_size > 1000


def test_every_star_is_planned_in_every_arm(arms_file, tmp_path):
    """No arm alone needs fewer exposures than all of them, star by star."""
    stars, out = tmp_path / "stars.ecsv", tmp_path / "plan.ecsv"
    stars.write_text(STARS)
    line = "specfisher plan --target-sigma logg=0.8 --max-time 40h --by-arm --json --bank"

    done = call(line, arms_file, "--stars", stars, "--out", out)

    report, table = json.loads(done.stdout), Table.read(out)
    assert set(report["by_arm"]) == {"blue", "red", "nir"}
    assert list(table["arm"]) == [a for a in ("all", "blue", "red", "nir") for _ in range(3)]
    counts = np.nan_to_num(np.array(table["exp_count"]).reshape(4, 3), nan=np.inf)
    assert np.all(counts[1:] >= counts[0])
    assert np.isfinite(counts[0]).any()
