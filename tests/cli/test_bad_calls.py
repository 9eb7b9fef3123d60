"""Whatever is typed: one line, the right exit code, nothing written, no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.conftest import TOOLS, call

BAD = [
    "specsim generate --out x.zarr",
    "specsim generate -n -5 --out x.zarr",
    "specsim generate -n 1e99 --out x.zarr",
    "specsim generate -n 3 --out x.zarr --bank BANK",
    "specsim generate -n 20 --exp-time 0 --out x.zarr --bank BANK",
    "specsim generate -n 20 --splits train=1,val=1,test=1 --out x.zarr",
    "specsim generate --splits train=20 --out x.zarr",
    "specsim generate -n 20 --mag 23-20 --out x.zarr",
    "specsim generate -n 20 --mag 20..5 --out x.zarr",
    r"specsim generate -n 20 --mag [\d --out x.zarr",
    "specsim generate -n 20 --m-h -2.5-0.5 --out x.zarr",
    "specsim generate -n 20 --seed -1 --out x.zarr",
    "specsim generate -n 20 --seed 99999999999 --out x.zarr --bank BANK",
    "specsim generate -n 20 --workers 0 --out x.zarr",
    "specsim generate -n 20 --store cupboard --out x.zarr",
    "specsim generate -n 20 --bank nowhere.zarr --out x.zarr",
    "specsim generate -n 20 --bank BANK --grid demo --out x.zarr",
    "specsim generate -n 20 --bank TEXT --out x.zarr",
    "specsim generate -n 20 --bank DATA --out x.zarr",
    "specsim generate -n 20 --grid nowhere.zarr --out x.zarr",
    "specsim generate -n 20 --instrument hubble --dry-run --out x.zarr",
    "specsim generate -n 20 --bank BANK --teff 9000 --out x.zarr",
    "specsim generate -n 20 --bank BANK --teff 3000-5000 --out x.zarr",
    "specsim generate -n 20 --bank BANK --seeing 0.1 --out x.zarr",
    "specsim generate -n 20 --bank BANK --moon-phase 0.5 --out x.zarr",
    "specsim generate -n 20 --bank BANK --a-m 0.2 --out x.zarr",
    "specsim generate -n 20 --bank BANK --exp-count 2.5 --out x.zarr",
    "specsim generate -n 20 --config nowhere.toml --out x.zarr",
    "specsim generate -n 20 --config TEXT --out x.zarr",
    "specsim generate -n 20 --bank BANK --out TEXT",
    "specsim spectrum --index -1 --bank BANK",
    "specsim spectrum --index 1.5 --bank BANK",
    "specsim spectrum --index 0 --split holdout --bank BANK",
    "specsim spectrum --index 0 --bank BANK --out x.doc",
    "specsim spectrum --index 0 --bank BANK --plot x.doc",
    "specsim bank --bank BANK --out BANK",
    "specsim grid info nowhere.zarr",
    "specsim grid info BANK",
    "specsim grid import nowhere --out x.zarr",
    "specsim grid import EMPTY --out x.zarr",
    "specsim fly",
    "speclearn train nowhere.zarr --model ridge --out x",
    "speclearn train DATA --model oracle --out x",
    "speclearn train DATA --model ridge --target height --out x",
    "speclearn train DATA --model ridge --target a_m --out x",
    "speclearn train DATA --model ridge --epochs 3 --out x",
    "speclearn train DATA --model ridge --recipe nowhere.toml --out x",
    "speclearn train DATA --model ridge --recipe TEXT --out x",
    "speclearn train DATA --model specvit_tiny --lr 0 --out x",
    "speclearn train DATA --model specvit_tiny --batch-size 0 --out x",
    "speclearn train BANK --model ridge --out x",
    "speclearn train TEXT --model ridge --out x",
    "speclearn evaluate nowhere DATA",
    "speclearn evaluate DATA DATA",
    "speclearn evaluate EMPTY DATA",
    "speclearn predict EMPTY TEXT",
    "specdata info nowhere.zarr",
    "specdata info EMPTY",
    "specdata info TEXT",
    "specdata verify TEXT",
    "specdata convert TEXT x",
    "specdata convert DATA x --format parquet",
    "specfisher ceiling 5,10 --bank BANK",
    "specfisher ceiling --snr-bins 5,3 --bank BANK",
    "specfisher ceiling --target a_m --bank BANK",
    "specfisher ceiling --target logg --logg 3 --bank BANK",
    "specfisher ceiling --n-star 0 --bank BANK",
    "specfisher ceiling --normalise perhaps --bank BANK",
    "specfisher ceiling --data BANK",
    "specfisher ceiling --bank BANK --out x.doc",
    "specfisher ceiling --bank BANK --out TEXT",
    "specfisher compare TEXT --data DATA",
    "specfisher compare DATA --data DATA",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, with a text file and an empty folder beside it."""
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "notes.txt").write_text("not a data file, not TOML\n")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(work)
    return work


def filled(line, folder, bank_file, dataset):
    """The line with the names of real files put in."""
    names = {
        "BANK": bank_file,
        "DATA": dataset,
        "TEXT": folder.parent / "notes.txt",
        "EMPTY": folder.parent / "empty",
    }
    return " ".join(str(names.get(word, word)) for word in line.split())


@pytest.mark.parametrize("line", BAD)
def test_bad_calls_are_refused_in_one_line_and_leave_nothing(line, folder, bank_file, dataset):
    done = call(filled(line, folder, bank_file, dataset))
    tool = line.split()[0]

    assert done.exit_code == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"{tool}: ")
    assert "report it" not in done.stderr
    progress = [line for line in done.stderr.splitlines() if not line.startswith("ceiling: ")]
    assert len(progress) == 1
    assert list(folder.iterdir()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(min_size=1, max_size=8), max_size=4), st.sampled_from(TOOLS))
def test_any_words_end_in_an_exit_code_not_a_traceback(words, tool):
    done = call(tool, *words)

    assert done.exit_code in {0, 2}
    assert "report it" not in done.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("specsim generate -n 20 --mag 23-20 --out x.zarr", 2),
        ("specdata info nowhere.zarr", 2),
        ("specfisher ceiling 5,10", 2),
        ("speclearn models", 0),
    ],
)
def test_the_installed_commands_behave_as_in_process(line, code, folder):
    """A real process: real exit code, real stderr."""
    tool, *words = line.split()
    command = Path(sys.executable).with_name(tool)
    done = subprocess.run([command, *words], capture_output=True, text=True, check=False)

    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == (1 if code else 0)
    assert list(folder.iterdir()) == []


def test_a_closed_pipe_is_no_error_message(bank_file):
    """``specdata info bank.zarr | head -1`` prints one line and no complaint."""
    command = Path(sys.executable).with_name("specdata")
    line = f"'{command}' info '{bank_file}' --json | head -c 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)

    assert done.stderr == ""


@pytest.mark.parametrize("place", [".", "..", "./", "a/..", "/"])
@pytest.mark.parametrize(
    "line",
    [
        "specsim generate -n 20 --workers 1 --bank BANK",
        "specsim example population",
        "specsim bank --grid demo",
        "specsim spectrum --bank BANK --index 3",
    ],
)
def test_a_folder_without_a_name_of_its_own_is_refused(
    bank_file, tmp_path, monkeypatch, line, place
):
    """What is written stands beside others of its name; none of these has one."""
    (tmp_path / "here" / "a").mkdir(parents=True)
    (tmp_path / "here" / "kept").write_text("x")
    monkeypatch.chdir(tmp_path / "here")
    done = call(line.replace("BANK", str(bank_file)), "--out", place)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert {p.name for p in (tmp_path / "here").iterdir()} == {"a", "kept"}
