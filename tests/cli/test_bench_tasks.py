"""``speclearn bench`` in parts: task files, ranges of runs, merged folders, pools, dask."""

import json
import os
import shlex
from pathlib import Path

import pytest

from starsmith.data_contract.files.lock import writer_lock
from starsmith.learners.benchmark.suite import list_suites
from tests.cli.conftest import call

SUITE = """
title = "Toy"
targets = ["logg"]
n_template = 500
[data.main]
splits = { train = 120, val = 30, test = 60 }
mag = [19.0, 21.0]

[[runs]]
tag = "main"
model = "ridge"
data = "main"
[[runs]]
tag = "pretrain"
model = "specvit_tiny"
data = "main"
samples = 240
[runs.set]
options.patch = 50
[[runs]]
tag = "mag19"
model = "specvit_tiny"
data = "main"
start = "pretrain"
[runs.set]
options.patch = 50
epochs = 1
"""
SCORES = ("model", "R2", "MAE", "R2 / ceiling", "verdict", "samples")


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    file = tmp_path_factory.mktemp("suite") / "toy.toml"
    file.write_text(SUITE)
    return file


@pytest.fixture
def line(suite, bank_file):
    return f"speclearn bench --workers 1 --suite {suite} --bank {bank_file}"


def answer(*words):
    done = call(*words)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout) if "--json" in map(str, words) else done.stdout


def scores(summary):
    return [{key: row[key] for key in SCORES} for row in summary["models"]]


def predictions(out):
    return {file.name: file.read_bytes() for file in (out / "predictions").iterdir()}


@pytest.fixture(scope="module")
def whole(suite, bank_file, tmp_path_factory):
    """The benchmark made by one process: its scores and predictions."""
    out = tmp_path_factory.mktemp("whole") / "out"
    words = f"speclearn bench --json --workers 1 --suite {suite} --bank {bank_file} --out {out}"
    return scores(answer(words, "--json")), predictions(out)


@pytest.mark.slow
def test_two_ranges_in_two_folders_merge_to_the_same_report(line, whole, tmp_path):
    """The second range trains the run that its own starts from, as it is not there."""
    one, two = tmp_path / "one", tmp_path / "two"
    answer(f"{line} --runs 0:2 --out {one}")
    answer(f"{line} --runs 2:3 --out {two}")
    summary = answer(f"{line} --merge {two} --out {one}", "--json")
    assert scores(summary) == whole[0]
    assert predictions(one) == whole[1]


def test_a_run_that_is_being_trained_is_refused_and_trained_later(line, tmp_path):
    out, mine = tmp_path / "out", "main-ridge-main-s0"
    answer(f"{line} --data-only --out {out}")
    with writer_lock(out / "results" / mine):
        done = call(f"{line} --runs 0:1 --out {out}")
    assert done.exit_code == 2
    assert f"{mine}: process {os.getpid()} on" in done.stderr
    assert not list((out / "results").glob("*.json"))
    answer(f"{line} --runs 0:1 --out {out}")
    assert [file.stem for file in (out / "results").glob("*.json")] == [mine]


@pytest.mark.slow
def test_a_run_that_is_refused_does_not_stop_the_others(line, whole, tmp_path):
    """The second process is told; the same command later trains what was refused."""
    out = tmp_path / "out"
    answer(f"{line} --data-only --out {out}")
    with writer_lock(out / "results" / "main-ridge-main-s0"):
        done = call(f"{line} --out {out}")
    assert done.exit_code == 2
    assert "main-ridge-main-s0" in done.stderr
    assert f"process {os.getpid()} on" in done.stderr
    assert len(list((out / "results").glob("*.json"))) == 2
    assert scores(answer(f"{line} --out {out}", "--json")) == whole[0]


@pytest.mark.slow
def test_lines_of_a_disbatch_file_make_the_report(line, whole, tmp_path):
    out = tmp_path / "my bench"
    done = call(f"{line} --emit-tasks disbatch --task-runs 2 --out", out)
    assert "2 tasks for 3 runs" in done.stdout
    lines = Path(f"{out}.disbatch").read_text().splitlines()
    words = [shlex.split(one) for one in lines if not one.startswith("#")]
    assert [one[-1] for one in words] == ["--data-only", "0:2", "2:3", "--report-only"]
    for one in words[:-1]:
        answer(*one)
    assert scores(answer(*words[-1], "--json")) == whole[0]


def test_a_slurm_script_names_what_comes_first_and_last(line, tmp_path):
    answer(f"{line} --emit-tasks slurm --out {tmp_path / 'out'}")
    script = (tmp_path / "out.slurm").read_text()
    assert "#SBATCH --array=0-2\n" in script
    assert "--gpus-per-task=1" in script
    assert "--data-only" in script.split("sbatch")[1]
    assert "--dependency=afterok:$data" in script
    assert '--runs "$first:$last"' in script


@pytest.mark.slow
def test_a_pool_and_dask_make_the_same_report(line, whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    assert scores(answer(f"{line} --pool 2 --out {tmp_path / 'pool'}", "--json")) == whole[0]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        out, where = tmp_path / "dask", cluster.scheduler_address
        assert scores(answer(f"{line} --scheduler {where} --out {out}", "--json")) == whole[0]
        assert predictions(out) == whole[1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--runs 0:9", "--runs 0:9 is not within 0:3"),
        ("--runs 2:1", "is not a span of runs"),
        ("--runs 0:1 --report-only", "--runs and --report-only do not go together"),
        ("--pool 2 --scheduler mpi", "--pool and --scheduler"),
        ("--task-runs 2", "belongs to --emit-tasks"),
    ],
)
def test_parts_that_make_no_sense_are_refused(line, tmp_path, options, says):
    done = call(f"{line} --out {tmp_path / 'out'} {options}")
    assert done.exit_code == 2
    assert says in done.stderr


def test_another_suite_is_not_merged(line, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "suite.json").write_text('{"suite": "else", "data": {}}')
    done = call(f"{line} --out {tmp_path / 'out'} --merge {other}")
    assert done.exit_code == 2
    assert "no benchmark of the same suite" in done.stderr


@pytest.mark.slow
def test_stars_of_a_table_have_a_ceiling_too(bank_file, tmp_path):
    """The ceiling of a population is that of its own stars; nothing is left out of a report."""
    table = tmp_path / "stars.csv"
    rows = (
        f"{4000 + 9 * k},{1.5 + 0.015 * k},{-2 + 0.01 * k},{19 + 0.008 * k}" for k in range(200)
    )
    table.write_text("\n".join(["teff,logg,m_h,mag", *rows]) + "\n")
    file = tmp_path / "suite.toml"
    first, _ = SUITE.split("[[runs]]", 1)
    data = first.replace("mag = [19.0, 21.0]", f"population = '{table}'")
    file.write_text(f'{data}\n[[runs]]\ntag = "main"\nmodel = "ridge"\ndata = "main"\n')
    words = f"speclearn bench --workers 1 --suite {file} --bank {bank_file} --data-only"
    answer(f"{words} --out {tmp_path / 'out'}")
    assert (tmp_path / "out" / "ceilings" / "main-logg.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", list_suites())
def test_every_suite_runs_from_end_to_end_at_size_tiny(name, bank_file, tmp_path):
    """Stopped after a few runs and gone on with, by the command that began it."""
    words = f"speclearn bench --suite {name} --size tiny --workers 1 --bank {bank_file}"
    out = tmp_path / "out"
    answer(f"{words} --runs 0:3 --out {out}")
    began = {file: file.stat().st_mtime_ns for file in out.glob("results/*.json")}
    assert len(began) >= 3
    done = call(f"{words} --json --out {out}")
    assert done.exit_code in (0, 3), done.stderr  # of some hundred stars some are lucky
    assert {file: file.stat().st_mtime_ns for file in began} == began
    assert len(list(out.glob("results/*.json"))) == len(list(out.glob("runs/*/card.json")))
    assert (out / "report.html").exists()
