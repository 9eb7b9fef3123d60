"""``speclearn bench`` on toy stars: from a suite to a report, and again from what is there."""

import json

import pytest

from tests.cli.conftest import call

BENCH = "speclearn bench --json --workers 1 --suite"

SUITE = """
title = "Toy"
targets = ["logg"]
n_template = 3000

[data.main]
splits = { train = 400, val = 60, test = 120 }
mag = [19.0, 21.0]

[data.comb]
splits = { train = 200, val = 60, test = 60 }
mag = [19.0, 21.0]
preset = "specvit"

[[runs]]
tag = "main"
model = ["gridposterior", "template", "ridge"]
data = "main"
[runs.set_of.gridposterior]
n_template = 3000

[[runs]]
tag = "main"
model = "specvit_tiny"
data = "main"
samples = 1200
[runs.set]
options.patch = 20

[[runs]]
tag = "scaling"
model = "ridge"
data = "main"
n_train = [100, 400]

[[runs]]
tag = "mag19"
model = "specvit_tiny"
data = "comb"
start = "main"
[runs.set]
options.patch = 20
epochs = 1

[[runs]]
tag = "comb"
model = "ridge"
data = ["main", "comb"]
"""


@pytest.fixture(scope="module")
def bench(bank_file, tmp_path_factory):
    """A finished benchmark: its folder, suite file and what the command printed."""
    folder = tmp_path_factory.mktemp("bench")
    suite = folder / "toy.toml"
    suite.write_text(SUITE)
    out = folder / "out"
    done = call(BENCH, suite, "--out", out, "--bank", bank_file)
    assert done.exit_code == 0, done.stderr
    return out, suite, json.loads(done.stdout)


@pytest.mark.slow
def test_a_suite_becomes_one_report(bench):
    """Every run is in it, figures are inside the page, and no model beats the ceiling."""
    out, _, summary = bench
    page, text = (out / "report.html").read_text(), (out / "report.md").read_text()

    assert summary["leaks"] == []
    ceilings = {file.name for file in (out / "ceilings").glob("*.json")}
    assert ceilings == {"main-logg.json", "comb-logg.json"}  # of preset stars too
    assert summary["models"][0]["model"] == "gridposterior"
    for heading in ("Table 3", "Table 13", "Table 10", "Appendix H", "Label comb", "Magnitude 19"):
        assert heading in text
        assert heading in page
    assert page.count("data:image/png;base64,") == text.count("](figures/") >= 7
    assert 'src="http' not in page
    assert "TOY BANK" in page


@pytest.mark.slow
def test_running_again_trains_nothing(bench, bank_file):
    """Finished runs are read back; the report is the same but for the command."""
    out, suite, summary = bench
    before = {p: p.stat().st_mtime_ns for p in out.glob("runs/*/card.json")}

    done = call(BENCH, suite, "--out", out, "--bank", bank_file)

    assert done.exit_code == 0, done.stderr
    assert {p: p.stat().st_mtime_ns for p in out.glob("runs/*/card.json")} == before
    assert len(before) == 9
    assert json.loads(done.stdout)["models"] == summary["models"]


@pytest.mark.slow
def test_the_fine_tuned_run_started_from_the_other(bench):
    out, _, _ = bench
    card = json.loads((out / "runs" / "mag19-specvit_tiny-comb-s0" / "card.json").read_text())

    assert card["recipe"]["initial"].endswith("main-specvit_tiny-main-s0")


def test_a_plan_lists_every_run_and_does_nothing(tmp_path, monkeypatch):
    suite, empty = tmp_path / "toy.toml", tmp_path / "empty"
    suite.write_text(SUITE)
    empty.mkdir()
    monkeypatch.chdir(empty)

    done = call("speclearn bench --plan --json --suite", suite)
    runs = json.loads(done.stdout)["runs"]

    assert done.exit_code == 0, done.stderr
    assert len(runs) == 10  # nine runs and their sum
    assert runs[3]["steps"] == 12
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("speclearn bench --suite nowhere", "no such suite"),
        ("speclearn bench --suite tiny --only nothing --plan", "--only nothing"),
        ("speclearn bench --suite tiny --report-only --out empty", "no run is finished"),
        ("speclearn bench --suite tiny --out taken", "not a benchmark"),
    ],
)
def test_bad_calls_are_refused_in_one_line(line, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "diary.txt").write_text("precious")

    done = call(line)

    assert done.exit_code == 2, done.stdout
    assert says in done.stderr
    assert (tmp_path / "taken" / "diary.txt").read_text() == "precious"
