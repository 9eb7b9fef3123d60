"""Generated data sets: the same bits whoever makes them, whole or nothing."""

import filecmp
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from starsmith.data_contract import open_dataset, verify_dataset
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.simulator.generation.generate import Settings, split_counts, write_dataset
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

SMALL = Settings(shard_rows=64)


def same_files(left, right):
    """Whether two folders hold the same files with the same bytes."""
    names = sorted(str(p.relative_to(left)) for p in left.rglob("*") if p.is_file())
    assert names == sorted(str(p.relative_to(right)) for p in right.rglob("*") if p.is_file())
    return filecmp.cmpfiles(left, right, names, shallow=False)[1:] == ([], [])


@pytest.fixture(scope="module")
def one_worker(toy_bank, tmp_path_factory):
    out = tmp_path_factory.mktemp("one") / "data.zarr"
    write_dataset(toy_bank, Prior.default(), 400, out, 7, SMALL)
    return out


def test_two_workers_write_the_bytes_of_one(toy_bank, one_worker, tmp_path):
    """Files of a data set do not depend on how many made it, nor when."""
    out = tmp_path / "data.zarr"
    write_dataset(toy_bank, Prior.default(), 400, out, 7, SMALL, workers=2)
    assert same_files(one_worker, out)
    assert verify_dataset(out).ok


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_spectrum_alone_is_the_one_in_the_data_set(toy_bank, one_worker, split):
    """Index 34 simulated alone equals row 34 of its split: flux, error, labels and S/N."""
    alone = observe(toy_bank, draw_stars(toy_bank, Prior.default(), 7, split, np.array([34])))
    stored = open_dataset(one_worker).split(split)
    view = stored.observe(np.array([34]))

    np.testing.assert_array_equal(view.flux, alone.flux)
    np.testing.assert_array_equal(view.error, alone.error)
    np.testing.assert_array_equal(stored.labels[34], alone.draws.labels[0])
    assert stored.snr[34] == pytest.approx(alone.snr[0], rel=1e-6)


def test_frozen_store_holds_the_same_draw(toy_bank, one_worker, tmp_path):
    """Freezing rounds flux to ten bits, error to seven, and changes nothing else."""
    out = tmp_path / "frozen.zarr"
    settings = Settings(store="frozen", shard_rows=64)
    write_dataset(toy_bank, Prior.default(), 400, out, 7, settings)
    frozen = open_dataset(out).split("val").observe()
    view = open_dataset(one_worker).split("val").observe()
    np.testing.assert_allclose(frozen.flux, view.flux, rtol=2**-11)
    np.testing.assert_allclose(frozen.error, view.error, rtol=2**-8)


def test_a_keys_store_is_made_again_by_the_simulator(toy_bank, one_worker, tmp_path):
    """Labels and keys are enough to have every spectrum back, bit for bit."""
    from starsmith.simulator.observe import model_flux

    out = tmp_path / "keys.zarr"
    write_dataset(toy_bank, Prior.default(), 400, out, 7, Settings(store="keys", shard_rows=64))
    again = open_dataset(out, regenerate=lambda draws: model_flux(toy_bank, draws))
    view = open_dataset(one_worker).split("test").observe()
    np.testing.assert_array_equal(again.split("test").observe().flux, view.flux)


def test_an_interrupted_run_resumes_to_the_same_bytes(toy_bank, one_worker, tmp_path):
    """Stopping after two shards and starting again loses nothing and repeats nothing."""
    out = tmp_path / "data.zarr"
    calls = []

    def stop(n_done, _):
        calls.append(n_done)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(toy_bank, Prior.default(), 400, out, 7, SMALL, progress=stop)
    with pytest.raises(DataError, match="2 of 7 shards are written; run the command"):
        open_dataset(out)
    calls.clear()
    write_dataset(
        toy_bank, Prior.default(), 400, out, 7, SMALL, progress=lambda *done: calls.append(done[0])
    )
    assert calls[0] == 128  # the two finished shards were kept
    assert same_files(one_worker, out)


def test_another_run_is_not_mixed_in(toy_bank, one_worker):
    """A folder of one seed refuses another."""
    with pytest.raises(DataError, match="seed"):
        write_dataset(toy_bank, Prior.default(), 400, one_worker, 8, SMALL)
    assert verify_dataset(one_worker).ok


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (3, "too few"),
        ({"train": 5, "val": 0, "test": 5}, "at least one"),
        ({"train": 5}, "each of"),
    ],
)
def test_empty_splits_are_refused_before_anything_is_written(toy_bank, tmp_path, n, message):
    with pytest.raises(ConfigError, match=message):
        write_dataset(toy_bank, Prior.default(), n, tmp_path / "data.zarr", 1)
    assert list(tmp_path.iterdir()) == []


def test_held_out_splits_are_a_tenth_and_at_most_ten_thousand():
    assert split_counts(2000) == {"train": 1600, "val": 200, "test": 200}
    assert split_counts(1_000_000) == {"train": 980_000, "val": 10_000, "test": 10_000}


KILLED_RUN = """
import sys
from pathlib import Path
from tests.conftest import make_toy_bank
from starsmith.simulator.generation.generate import Settings, write_dataset
from starsmith.simulator.prior import Prior

if __name__ == "__main__":
    write_dataset(
        make_toy_bank(), Prior.default(), 400, Path(sys.argv[1]), 7, Settings(shard_rows=64), 2
    )
"""


@pytest.mark.slow
def test_a_killed_run_leaves_no_orphans_and_resumes(toy_bank, one_worker, tmp_path):
    """SIGKILL of the parent ends its workers; the next run completes the same bytes."""
    script = tmp_path / "run.py"
    script.write_text(KILLED_RUN)
    out = tmp_path / "data.zarr"
    root = os.fspath(one_worker.__class__(__file__).resolve().parents[2])
    run = subprocess.Popen(
        [sys.executable, script, out],
        env={**os.environ, "PYTHONPATH": root},
        start_new_session=True,
    )
    while not list(out.glob("shards/*.json")) and run.poll() is None:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("workers outlived their parent by 30 s")
    write_dataset(toy_bank, Prior.default(), 400, out, 7, SMALL)
    assert same_files(one_worker, out)


def test_more_files_than_a_manifest_lists_are_refused_with_the_shards_that_make_fewer(
    toy_bank, tmp_path
):
    with pytest.raises(ConfigError, match="pass --shard-rows 8192: 244,1"):
        write_dataset(toy_bank, Prior.default(), 10**9, tmp_path / "big.zarr", 1)
    assert not (tmp_path / "big.zarr").exists()
