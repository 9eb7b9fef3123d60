"""``specsim`` end to end on a toy bank."""

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.dataset.manifest import read_manifest
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from tests.cli.conftest import call


def test_generate_divides_n_and_states_what_it_wrote(dataset):
    manifest = read_manifest(dataset)
    resolved = tomllib.loads(dataset.with_name("data.zarr.toml").read_text())

    assert manifest.run["counts"] == {"train": 400, "val": 50, "test": 50}
    assert manifest.run["config"] == resolved
    assert resolved["mag"] == [20.5, 22.5]
    assert resolved["seed"] == 7


def test_running_again_finds_the_data_set_complete(dataset, bank_file):
    before = read_manifest(dataset).digest

    done = call(
        "specsim generate -n 500 --seed 7 --workers 1 --json", "--bank", bank_file, "--out", dataset
    )

    assert done.exit_code == 0
    assert json.loads(done.stdout)["already_complete"]
    assert json.loads(done.stdout)["digest"] == before


def test_another_configuration_is_refused_unless_overwritten(bank_file, tmp_path):
    out = tmp_path / "data.zarr"
    line = ("--bank", bank_file, "--out", out)
    first = call("specsim generate -n 20 --workers 1", *line)
    assert first.exit_code == 0, first.stderr

    refused = call("specsim generate -n 20 --workers 1 --seed 3", *line)
    impossible = call("specsim generate -n 20 --workers 1 --teff 9000 --overwrite", *line)

    assert refused.exit_code == impossible.exit_code == 2
    assert "seed" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert read_manifest(out).run["seed"] == 0  # an impossible prior deletes nothing
    assert call("specsim generate -n 20 --workers 1 --seed 3 --overwrite", *line).exit_code == 0
    assert read_manifest(out).run["seed"] == 3


def test_overwrite_never_deletes_a_folder_of_something_else(bank_file, tmp_path):
    (tmp_path / "thesis.tex").write_text("ten years of work")

    done = call(
        "specsim generate -n 20 --workers 1 --overwrite", "--bank", bank_file, "--out", tmp_path
    )

    assert done.exit_code == 2
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize(
    "store", ["noiseless", "frozen --precision noise", "keys", "noiseless --format hdf5"]
)
def test_dry_run_writes_nothing_and_estimates_the_size(bank_file, tmp_path, store):
    """Bytes of all files within a tenth, as is promised; rows, shards and room."""
    out = tmp_path / "new" / "data.zarr"
    line = (f"specsim generate -n 900 --workers 1 --store {store}", "--bank", bank_file)

    done = call(*line, "--out", out, "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)

    assert (report["n_spectra"], report["n_shards"]) == (900, 3)
    assert report["bytes_free"] > 0
    assert list(tmp_path.iterdir()) == []

    assert call(*line, "--out", out).exit_code == 0
    written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    assert report["bytes"] == pytest.approx(written, rel=0.1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--seed 8", "holds a dataset of another run: config.seed, seed differ"),
        ("--teff 3000..6000", "teff"),
        ("--shards 0:1 --overwrite", "go with --format zarr and without"),
        ("--format hdf5 --store frozen", "holds noiseless flux"),
        ("--store keys --precision noise", "holds no flux that --precision noise could round"),
        ("--seeing 0.1..0.2", "seeing"),
    ],
)
def test_dry_run_refuses_what_the_run_refuses(dataset, bank_file, options, said):
    """In the same words, and the data set that is there stays as it is."""
    digest = read_manifest(dataset).digest
    line = f"specsim generate -n 500 --seed 7 --workers 1 {options} --bank {bank_file} --out"
    told = [call(line, dataset, *dry) for dry in (("--dry-run",), ())]
    assert [done.exit_code for done in told] == [2, 2], [done.stderr for done in told]
    assert said in told[0].stderr
    assert told[0].stderr == told[1].stderr
    assert read_manifest(dataset).digest == digest


def test_dry_run_refuses_to_overwrite_something_else(bank_file, tmp_path):
    (tmp_path / "thesis.tex").write_text("ten years of work")
    line = "specsim generate -n 20 --overwrite --dry-run"
    done = call(line, "--bank", bank_file, "--out", tmp_path)
    assert done.exit_code == 2
    assert "is not a data set" in done.stderr


@pytest.fixture
def run_file(tmp_path, bank_file):
    path = tmp_path / "run.toml"
    path.write_text(f'bank = "{bank_file}"\nn = 1e3\nlogg = [1, 3]\nseed = 5\nteff = "5000"\n')
    return path


def test_flags_beat_the_file_and_the_file_beats_defaults(run_file, tmp_path):
    done = call(
        "specsim generate --logg 2 --dry-run --json --out",
        tmp_path / "x.zarr",
        "--config",
        run_file,
    )
    config = json.loads(done.stdout)["config"]

    assert config["logg"] == [2.0, 2.0]
    assert config["teff"] == [5000.0, 5000.0]
    assert config["seed"] == 5
    assert config["mag"] == [20.5, 22.5]
    assert sum(config["splits"].values()) == 1000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("magg = 3", "unknown key(s) ['magg']"),
        ("mag = '23-20'", "did you mean 20-23"),
        ("mag = [1, 2, 3]", "is not a range"),
        ("n = -3", "is not a count"),
        ("[prior]\nmag = 3", "unknown key(s) ['prior']"),
        ("mag = ", "is not TOML"),
        ("dry_run = true", "unknown key"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(tmp_path, text, says):
    path = tmp_path / "run.toml"
    path.write_text(text)

    done = call("specsim generate --out", tmp_path / "x.zarr", "--config", path)

    assert done.exit_code == 2
    assert says in done.stderr
    assert "run.toml" in done.stderr


def test_one_spectrum_is_that_of_the_data_set(dataset, bank_file, tmp_path):
    """Any spectrum of a data set can be made alone, from the file written beside it."""
    out, figure = tmp_path / "spec.ecsv", tmp_path / "spec.png"
    config = dataset.with_name("data.zarr.toml")

    done = call(
        "specsim spectrum --split test --index 31",
        "--config",
        config,
        "--out",
        out,
        "--plot",
        figure,
    )
    table = Table.read(out)
    bank = load_bank(bank_file)
    batch = observe(bank, draw_stars(bank, Prior.default(), 7, "test", np.arange(50)))

    assert done.exit_code == 0, done.stderr
    np.testing.assert_array_equal(table["flux"], batch.flux[31])
    np.testing.assert_array_equal(table["error"], batch.error[31])
    np.testing.assert_array_equal(table["wave"], batch.wave)
    assert table.meta["logg"] == batch.draws.label("logg")[31]
    assert table.meta["notice"] == bank.notice
    assert figure.stat().st_size > 1000


@pytest.mark.parametrize("suffix", [".ecsv", ".csv", ".fits"])
def test_a_spectrum_is_written_in_the_format_of_its_suffix(bank_file, tmp_path, suffix):
    out = tmp_path / f"spec{suffix}"

    done = call("specsim spectrum --index 0", "--bank", bank_file, "--out", out)

    assert done.exit_code == 0, done.stderr
    assert Table.read(out).colnames == ["wave", "flux", "error", "mask"]


def test_bank_file_is_not_replaced_unless_asked(bank_file, tmp_path):
    out = tmp_path / "copy.zarr"

    assert call("specsim bank", "--bank", bank_file, "--out", out).exit_code == 0
    assert call("specsim bank", "--bank", bank_file, "--out", out).exit_code == 2
    assert call("specsim bank --overwrite", "--bank", bank_file, "--out", out).exit_code == 0
    assert load_bank(out).digest == load_bank(bank_file).digest


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on_and_goes_on(bank_file, tmp_path):
    """Ctrl-C: exit code 130 and one line; the same command then gives the same data set."""
    words = ["generate", "-n", "60000", "--bank", bank_file, "--workers", "2"]
    specsim = Path(sys.executable).with_name("specsim")
    out, whole = tmp_path / "data.zarr", tmp_path / "whole.zarr"

    process = subprocess.Popen(
        [specsim, *words, "--out", out], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list(out.glob("shards/*.json")):  # until the first shard is finished
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    finished = len(list(out.glob("shards/*.json")))
    subprocess.run([specsim, *words, "-q", "--out", out], check=True)
    subprocess.run([specsim, *words, "-q", "--out", whole], check=True)

    assert process.returncode == 130
    assert "run the same command again" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
    assert finished < 31  # shards of 60,000 spectra
    assert read_manifest(out).content == read_manifest(whole).content
