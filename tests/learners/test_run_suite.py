"""A suite run from Python: what makes a data set is the caller's."""

import sys
import tomllib

import pytest

from starsmith.data_contract.quantities import LABELS
from starsmith.learners.benchmark.run_suite import Access, run_suite
from starsmith.learners.benchmark.suite import suite_from_table
from starsmith.simulator import Prior, write_dataset

SUITE = """
targets = ["logg"]
n_template = 1000
[data.main]
splits = {{ train = 200, val = 20, test = 30 }}
seed = 3
{preset}
[[runs]]
tag = "main"
model = "ridge"
data = "main"
"""


@pytest.mark.parametrize(
    "preset",  # of a prior the exact ceiling does not know
    ['preset = "specvit"', pytest.param("", marks=pytest.mark.slow)],
)
def test_a_suite_runs_on_data_that_a_callable_makes(preset, toy_bank, tmp_path, monkeypatch):
    """It is asked for each data set; models are trained and scored, and kept the second time."""
    monkeypatch.setattr(sys, "argv", None)  # nothing below may look at it
    suite = suite_from_table(tomllib.loads(SUITE.format(preset=preset)), "toy")
    ranges = dict(Prior.default().ranges) | {"teff": (4000.0, 5900.0), "mag": (19.0, 20.0)}
    made, told = [], []

    def make_dataset(spec, path):
        made.append(spec.name)
        write_dataset(toy_bank, Prior(ranges), spec.options["splits"], path, spec.options["seed"])

    access = Access(bank_of=lambda path: toy_bank, tell=told.append)
    first = run_suite(suite, make_dataset, tmp_path / "bench", access)
    trained = first.outcome(suite.runs[0])
    n_told = len(told)
    again = run_suite(suite, make_dataset, tmp_path / "bench", access)

    assert (first.ceiling("main") is None) == bool(preset)
    assert made == ["main", "main"]
    assert set(trained.predictions.labels) == {"logg"} <= set(LABELS)
    assert len(trained.predictions) == 30
    assert any("ridge" in line for line in told[:n_told])
    assert not any("ridge" in line for line in told[n_told:])
    assert again.outcome(suite.runs[0]).record == trained.record
