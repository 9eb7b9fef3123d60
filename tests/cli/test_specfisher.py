"""``specfisher``: ceilings of toy stars, and models held against them."""

import json
import math

import numpy as np
import pytest
from astropy.table import Table

from starsmith import fisher
from starsmith.cli.specfisher import main
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.fisher.checks import selftest
from tests.cli.conftest import call

QUICK = "--n-template 2000 --n-star 50"


@pytest.fixture(scope="module")
def ceiling(dataset, tmp_path_factory):
    """Ceiling of the test stars of the toy data set, and the files made with it."""
    folder = tmp_path_factory.mktemp("ceiling")
    files = ("--out", folder / "ceiling.ecsv", "--plot", folder / "ceiling.png")
    done = call(f"specfisher ceiling --snr-bins 0,7,inf --json {QUICK} --data", dataset, *files)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout), folder


def test_ceiling_scores_the_test_stars_of_the_data_set(ceiling, dataset):
    table, folder = ceiling
    rows = {row["name"]: row for row in table["rows"]}

    assert table["header"]["population"] == "50 stars, split test of seed 7"
    assert rows["all"]["n"] == rows["0-7"]["n"] + rows[">7"]["n"] == 50
    assert table["notice"].startswith("TOY")
    assert Table.read(folder / "ceiling.ecsv")["n"][0] == 50
    assert (folder / "ceiling.png").stat().st_size > 1000


def test_more_is_known_of_brighter_stars(ceiling):
    """The exact ceiling rises with S/N; the toy stars' gap is many standard errors wide."""
    rows = {row["name"]: row["r2"]["posterior_mean"][0] for row in ceiling[0]["rows"]}

    assert rows["0-7"] < rows["all"] < rows[">7"]


def test_a_figure_needs_a_bin_with_enough_stars(bank_file, tmp_path):
    figure = tmp_path / "ceiling.png"

    done = call(
        "specfisher ceiling --n-template 1000 --n-star 5 --bank", bank_file, "--plot", figure
    )

    assert done.exit_code == 2
    assert "--n-star" in done.stderr
    assert not figure.exists()


def test_without_bins_only_the_pooled_ceiling_is_printed(bank_file):
    done = call(f"specfisher ceiling --json {QUICK} --bank", bank_file)

    assert [row["name"] for row in json.loads(done.stdout)["rows"]] == ["all"]


@pytest.mark.parametrize(
    ("words", "edges"),
    [
        ([], None),
        (["--snr-bins"], SNR_EDGES),
        (["--snr-bins", "--json"], SNR_EDGES),
        (["--snr-bins", "0,5,inf", "--json"], (0.0, 5.0, math.inf)),
        (["--snr-bins=0,5,inf"], (0.0, 5.0, math.inf)),
    ],
)
def test_bare_bins_are_the_standard_ones_wherever_the_flag_stands(words, edges):
    command = main.get_command(None, "ceiling")

    assert command.make_context("ceiling", list(words)).params["snr_bins"] == edges


def test_data_and_a_bank_of_ones_own_are_refused_together(dataset):
    done = call("specfisher ceiling --mag 22 --data", dataset)

    assert done.exit_code == 2
    assert "drop --mag" in done.stderr


@pytest.fixture
def predictions(dataset, tmp_path):
    """Predictions of a ridge regression for the test split, as a table."""
    out = tmp_path / "predictions.ecsv"
    call("speclearn train --model ridge", dataset, "--out", tmp_path / "ridge")
    done = call("speclearn evaluate", tmp_path / "ridge", dataset, "--out", out)
    assert done.exit_code == 0, done.stderr
    return out


def test_an_honest_model_stays_below_the_posterior_mean(predictions, dataset):
    done = call(f"specfisher compare --json {QUICK}", predictions, "--data", dataset)
    pooled = json.loads(done.stdout)["rows"][0]

    assert done.exit_code == 0, done.stderr
    assert pooled["n"] == 50
    assert not pooled["too_good"]


def test_a_model_that_knows_the_answers_is_caught(predictions, dataset):
    """Exit code 3: errors of 0.01 dex are impossible at these S/N."""
    table = Table.read(predictions)
    wobble = 0.01 * np.random.default_rng(0).normal(size=len(table))
    table["logg"] = table["logg_true"] + wobble
    table.write(predictions, overwrite=True)

    done = call(f"specfisher compare {QUICK}", predictions, "--data", dataset)

    assert done.exit_code == 3
    assert "ridge" in done.stderr


def test_predictions_for_other_stars_are_refused(predictions, bank_file, tmp_path):
    other = tmp_path / "other.zarr"
    call("specsim generate -n 20 --seed 9 --workers 1", "--bank", bank_file, "--out", other)

    done = call("specfisher compare", predictions, "--data", other)

    assert done.exit_code == 2
    assert "expected split test of" in done.stderr


def test_selftest_reports_every_check_and_fails_when_one_does(monkeypatch):
    passing = call("specfisher selftest --json")
    broken = [selftest.Check("quadrature", False, "off by 3")]
    monkeypatch.setattr(fisher, "run_selftest", lambda: broken)
    failing = call("specfisher selftest")

    assert passing.exit_code == 0, passing.stderr
    assert len(json.loads(passing.stdout)["checks"]) > 5
    assert failing.exit_code == 1
    assert "quadrature" in failing.stderr


def test_info_says_where_the_information_sits(bank_file, tmp_path):
    """Shares of the features and of all else add up to one (rounding of a sum)."""
    figure = tmp_path / "info.png"
    line = "specfisher info --star teff=4750,logg=2.5,m_h=-1 --mag 21"

    done = call(f"{line} --json --bank", bank_file, "--plot", figure)
    report = json.loads(done.stdout)

    assert report["star"] == {"teff": 4750.0, "logg": 2.5, "m_h": -1.0, "mag": 21.0}
    assert sum(row["share"] for row in report["features"]) == pytest.approx(1.0, rel=1e-9)
    assert figure.stat().st_size > 1000
    assert "Ca II triplet" in call(f"{line} --bank", bank_file).stdout


def test_a_star_is_labels_and_values(bank_file):
    done = call("specfisher info --star teff:4750 --bank", bank_file)

    assert done.exit_code == 2
    assert "teff=4750,logg=2.5,m_h=-1" in done.stderr


def test_map_is_a_table_and_a_figure(bank_file, tmp_path):
    figure = tmp_path / "map.png"

    done = call("specfisher map --mag 21 --at m_h=-1 --bank", bank_file, "--plot", figure)

    assert done.exit_code == 0, done.stderr
    assert "m_h -1, mag 21" in done.stdout
    assert figure.stat().st_size > 1000


def test_plan_gives_exposures_and_a_limit(bank_file):
    """Fainter stars take longer; past the limit no number of exposures is given."""
    line = "specfisher plan --target-sigma logg=0.5 --mag 18..24 --mag-step 1 --n-star 20"

    report = json.loads(call(f"{line} --max-time 5h --json --bank", bank_file).stdout)
    counts = [row["exp_count"] for row in report["rows"]]
    reached = [n for n in counts if n is not None]

    assert reached == sorted(reached)
    assert max(reached) <= 20
    for row in report["rows"]:
        assert (row["exp_count"] is not None) == (row["mag"] <= report["mag_limit"])
    assert "magnitude limit in 5 h" in call(f"{line} --max-time 5h --bank", bank_file).stdout


def test_check_of_a_bank_lists_its_axes_and_figures(bank_file):
    report = json.loads(call("specfisher check --json", bank_file).stdout)
    checks = {row["name"]: row for row in report["checks"]}

    assert not checks["largest step in m_h"]["ok"]  # 0.75, 0.75, 1, 0.75
    assert checks["missing nodes"]["value"] == 0.0
    assert "LOOK" in call("specfisher check", bank_file).stdout


def test_check_of_nothing_says_what_a_grid_is():
    done = call("specfisher check no-such-grid.zarr")

    assert done.exit_code == 2
    assert "no-such-grid.zarr" in done.stderr


def test_ceilings_by_magnitude_stand_alone(bank_file):
    done = call(f"specfisher ceiling --mags 20,21.5 --json {QUICK} --bank", bank_file)
    refused = call("specfisher ceiling --mags 20,21.5 --snr-bins --bank", bank_file)

    assert [row["name"] for row in json.loads(done.stdout)["rows"]] == ["mag 20", "mag 21.5"]
    assert refused.exit_code == 2
    assert "--mags" in refused.stderr


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("info --star teff=5000 --rv 10", "--rv"),
        ("map --rv 10", "--rv"),
        ("plan --target-sigma logg=0.3 --rv 10", "--rv"),
        ("plan --target-sigma logg=0.3 --exp-count 4", "--exp-count"),
        ("plan --target-sigma logg=0.3 --vary exp_time --exp-time 60", "--exp-time"),
        ("ceiling --mags 20,21 --mag 22", "--mag"),
    ],
)
def test_options_that_would_be_ignored_are_refused(bank_file, line, named):
    done = call(f"specfisher {line} --bank", bank_file)

    assert done.exit_code == 2
    assert named in done.stderr


def test_a_bank_is_told_from_a_grid_by_its_schema(bank_file, dataset):
    """Only a bank file is a bank; other files are left to the reader of grids to explain."""
    from starsmith.cli.fisher.check import source_of

    assert source_of(str(bank_file), "pfs_mr").bank == bank_file
    assert source_of("demo", "pfs_mr").grid == "demo"
    assert source_of(str(dataset), "pfs_mr").bank is None


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
5800 4.2 0.2 22.4
"""


@pytest.fixture
def star_table(tmp_path):
    path = tmp_path / "stars.ecsv"
    path.write_text(STARS)
    return path


def test_every_star_of_a_table_is_planned(bank_file, star_table, tmp_path):
    out = tmp_path / "plan.ecsv"
    line = "specfisher plan --target-sigma logg=0.5 --max-time 3h --json --bank"

    report = json.loads(call(line, bank_file, "--stars", star_table, "--out", out).stdout)

    assert report["n"] == len(Table.read(out)) == 3
    assert 0 < report["n_reached"] < 3
    assert report["rows"][0]["exp_count"] < report["rows"][1]["exp_count"]
    again = call(line, bank_file, "--stars", star_table, "--out", out)
    assert (again.exit_code, "--overwrite" in again.stderr) == (2, True)


def test_ceiling_of_a_table_of_stars(bank_file, star_table):
    """Three rows are recognised: the flag says that this is no ceiling of a population."""
    line = f"specfisher ceiling --json {QUICK} --statistic posterior_mean,van_trees --bank"

    done = call(line, bank_file, "--population", star_table)
    table = json.loads(done.stdout)

    assert "3 rows of" in table["header"]["prior"]
    assert table["rows"][0]["flags"] == ["recognised"]
    assert table["rows"][0]["r2"]["van_trees"][0] is None


def test_noise_and_nuisances_are_written_in_the_header(bank_file):
    line = (
        "specfisher ceiling --sky-floor correlated --nuisance rv=5,continuum:2,sky=0.01 "
        f"--statistic paper,bayes_gauss --noise-term --derivative spline --json {QUICK} --bank"
    )

    header = json.loads(call(line, bank_file).stdout)["header"]

    assert "sky_floor correlated" in header["noise"]
    assert header["noise"].endswith("itself tells is counted")
    assert "prior rv ± 5" in header["further_nuisances"]
    assert "spline derivatives" in header["paper_median"]
    assert header["posterior_mean"] == "not computed"


def test_waterfall_is_a_table_and_a_figure(bank_file, tmp_path):
    figure = tmp_path / "waterfall.png"
    line = "specfisher info --star teff=4750,logg=2.5,m_h=-1 --nuisance rv=5,continuum:2 --mag 21"

    report = json.loads(call(f"{line} --json --bank", bank_file, "--waterfall", figure).stdout)

    names = [step["name"] for step in report["waterfall"]]
    assert names[0] == "all else known"
    assert names[-2:] == ["continuum, degree 2", "radial velocity"]
    assert figure.stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("ceiling --nuisance dust", "continuum:DEGREE"),
        ("ceiling --nuisance continuum", "continuum:DEGREE"),
        ("ceiling --statistic r2", "known are"),
        ("ceiling --cosmic-rays 0.02", "--cosmic-rays"),
        ("ceiling --ebv 0.1", "--ebv"),
        ("ceiling --snr-bins 5,3", "increase"),
        ("ceiling --target rv", "--target"),
        ("ceiling --target a_m", "does not vary"),
        (f"ceiling {QUICK} --snr-bins 500,600 --plot x.png", "--n-star"),
        ("plan --target-sigma logg=0.3 --arm green", "green"),
        ("plan --target-sigma logg=0.3 --stars none.ecsv", "none.ecsv"),
        ("plan --target-sigma logg=0.3 --by-arm --arm red", "--by-arm"),
    ],
)
def test_bad_input_ends_in_one_line(bank_file, tmp_path, monkeypatch, line, named):
    monkeypatch.chdir(tmp_path)

    done = call(f"specfisher {line} --bank", bank_file)

    assert done.exit_code == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda t: t["logg"].__setitem__(3, np.nan), "1 of 50 predictions of logg are not finite"),
        (lambda t: t["index"].__setitem__(0, 10**6), "first: index 1000000"),
        (lambda t: t["index"].__setitem__(0, t["index"][1]), "repeat"),
        (lambda t: t.rename_column("logg", "other"), "no predictions of logg"),
    ],
)
def test_unusable_predictions_end_in_one_line(predictions, dataset, spoil, named):
    table = Table.read(predictions)
    spoil(table)
    table.write(predictions, overwrite=True)

    done = call(f"specfisher compare {QUICK} --target logg", predictions, "--data", dataset)

    assert done.exit_code == 2
    assert named in done.stderr


def test_comparison_has_a_figure_and_the_other_ceilings(predictions, dataset, tmp_path):
    figure = tmp_path / "compare.png"

    done = call(
        f"specfisher compare --snr-bins 0,5,inf {QUICK}", predictions, "--data", dataset,
        "--plot", figure,
    )  # fmt: skip

    assert done.exit_code in (0, 2), done.stderr  # a figure needs thirty stars in a bin
    if done.exit_code == 0:
        assert figure.stat().st_size > 1000
    assert "Traceback" not in done.stderr
