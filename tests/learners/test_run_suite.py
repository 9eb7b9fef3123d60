"""A suite run from Python: what makes a data set is the caller's."""

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from starsmith.data_contract.quantities import LABELS
from starsmith.learners.benchmark.run_suite import Access, run_suite
from starsmith.learners.benchmark.suite import suite_from_table
from starsmith.simulator import Prior, write_dataset

HERE = Path(__file__).parent
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
    "preset",  # of stars that have no ceiling: the callable takes no notice
    ["ebv = [0.0, 0.3]", pytest.param("", marks=pytest.mark.slow)],
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
    golden = HERE / f"golden_bench{'_preset' * bool(preset)}.txt"
    assert words_of_report(again) == golden.read_text()


def words_of_report(bench):
    """The report with ``#`` for numbers, and of timings that were fixed the numbers too.

    Drawing the noise took all but 0.1 % of the time to predict: no rate can be told. The digest of
    a bank made from formulae is that of the processor's exp and sin, and counts as a number.
    """
    (file,) = (bench.out / "results").glob("*.json")
    record = json.loads(file.read_text())
    timings = {"train_seconds": 2.0, "predict_seconds": 1.0, "observe_seconds": 0.999}
    file.write_text(json.dumps(record | timings))
    bench.report("speclearn bench --suite toy.toml")
    text = (bench.out / "report.md").read_text()
    first = text.index("\n## ")
    return "".join(
        part if "spectra/s" in part else re.sub(r"[0-9a-f]{64}|\d[\d.,]*(e[+-]?\d+)?", "#", part)
        for part in re.split(r"(?=\n## )", text[first:])
    )
