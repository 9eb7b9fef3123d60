"""Ceilings of the test stars of a data set, asked for in Python and on the command line."""

import json

import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.fisher import CeilingOptions, ceiling_of
from starsmith.simulator.generation.generate import Settings, write_dataset
from tests.cli.conftest import call

OPTIONS = CeilingOptions(n_star=40, n_template=1500, snr_edges=(0.0, 7.0, float("inf")))
WORDS = "--n-star 40 --n-template 1500 --snr-bins 0,7,inf"


@pytest.fixture(scope="module")
def path(toy_bank, prior, tmp_path_factory):
    """A small data set whose configuration names its bank."""
    folder = tmp_path_factory.mktemp("stars")
    toy_bank.save(folder / "toy.zarr")
    settings = Settings(config={"bank": str(folder / "toy.zarr")})
    write_dataset(toy_bank, prior, 300, folder / "data.zarr", seed=7, settings=settings)
    return folder / "data.zarr"


def test_python_and_the_command_make_the_same_table(path):
    done = call(f"specfisher ceiling {WORDS} --json --data", path)
    assert done.exit_code == 0, done.stderr

    found = ceiling_of(open_dataset(path), options=OPTIONS)

    assert json.loads(found.to_json()) == json.loads(done.stdout)
    assert json.loads(ceiling_of(path, options=OPTIONS).to_json()) == json.loads(done.stdout)


def test_tables_tell_the_spread_of_the_published_statistic(path):
    """10th and 90th percentile over nodes stand beside the median, in text and in columns."""
    table = ceiling_of(open_dataset(path), options=OPTIONS)
    row = table.rows[0]
    low, high = row.paper_spread
    assert low <= row.r2["paper_median"][0] <= high
    assert f"{row.r2['paper_median'][0]:.3f} ({low:.3f} to {high:.3f})" in table.to_markdown()
    assert (row.flat()["paper_p10"], row.flat()["paper_p90"]) == (low, high)
