"""Whatever happens to a run: finished shards are kept, the next run completes the same bytes."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.shards import finished_shards
from starsmith.data_contract.dataset.split_columns import write_rows
from starsmith.data_contract.errors import DataError, StarsmithError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.lock import writer_lock
from starsmith.simulator.generation.generate import Crew, Settings, write_dataset
from starsmith.simulator.prior import Prior
from tests.simulator.test_generate import same_files

ROOT = Path(__file__).resolve().parents[2]
WITH_ROOT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]),
}
N = 2000
SMALL = Settings(shard_rows=64)

RUN = """
import sys
from pathlib import Path
from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.simulator.generation.generate import Settings, write_dataset
from starsmith.simulator.prior import Prior

if __name__ == "__main__":
    bank, out, workers = sys.argv[1:]
    write_dataset(
        load_bank(bank), Prior.default(), 2000, Path(out), 7, Settings(shard_rows=64),
        int(workers), lambda n_done, _: print(n_done, flush=True),
    )
"""


def write(bank, out, workers=1):
    return write_dataset(bank, Prior.default(), N, out, 7, SMALL, workers)


@pytest.fixture(scope="module")
def undisturbed(toy_bank, tmp_path_factory):
    """The data set of a run that nothing happened to: 27 shards."""
    out = tmp_path_factory.mktemp("undisturbed") / "data.zarr"
    write(toy_bank, out)
    return out


def kill_after(n_line, seconds, arguments):
    """Start a run, SIGKILL it after its start and that many shards less one; see workers end."""
    run = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=WITH_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(n_line):
        run.stdout.readline()
    time.sleep(seconds)
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # its workers follow it
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("workers outlived their parent by 30 s")


@pytest.mark.parametrize(
    ("n_kill", "workers"), [(3, 1), pytest.param(50, 2, marks=pytest.mark.slow)]
)
def test_killed_again_and_again_the_bits_are_those_of_an_undisturbed_run(
    n_kill, workers, toy_bank, undisturbed, tmp_path
):
    """SIGKILL at random moments; what readers see in between is never half a data set."""
    rng = np.random.default_rng(n_kill)
    script, bank_file, out = (tmp_path / name for name in ("run.py", "bank.zarr", "data.zarr"))
    script.write_text(RUN)
    toy_bank.save(bank_file)
    for _ in range(n_kill):
        moment = rng.integers(12), rng.uniform(0.0, 0.05)  # starting, working or finishing
        kill_after(*moment, (script, bank_file, out, workers))
        if out.exists() and not (out / "manifest.json").exists():
            with pytest.raises(DataError, match="is not finished"):
                open_dataset(out)
    write(toy_bank, out)
    assert same_files(undisturbed, out)
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".partial")}
    assert left == {"run.py", "bank.zarr", "data.zarr"}


@pytest.mark.slow
def test_workers_of_a_killed_run_remove_the_arrays_they_mapped(toy_bank, tmp_path, monkeypatch):
    """They are as large as a bank, and in the folder for temporary files."""
    scratch, script, bank_file = (tmp_path / name for name in ("scratch", "run.py", "bank.zarr"))
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    script.write_text(RUN)
    toy_bank.save(bank_file)
    kill_after(2, 0.0, (script, bank_file, tmp_path / "data.zarr", 2))
    assert [path.name for path in scratch.iterdir()] == []


def failing_after(n_call, number, function):
    """The function, which the disk refuses from the n-th call on."""
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        if len(calls) > n_call:
            raise OSError(number, os.strerror(number), "/disk/file")
        return function(*args, **kwargs)

    return fail


@pytest.mark.parametrize(
    ("number", "n_call", "advice"),
    [
        (errno.ENOSPC, 0, "No space left.*free some space"),
        (errno.ENOSPC, 2, "No space left.*free some space"),
        (errno.ENOSPC, 13, "No space left.*free some space"),
        (errno.EDQUOT, 2, "quota exceeded.*quota"),
        (errno.EACCES, 2, "Permission denied.*permission"),
        (errno.EROFS, 2, "Read-only.*mount it for writing"),
        (errno.EIO, 2, "error.*look after the disk"),
    ],
)
def test_what_the_disk_refuses_is_told_and_the_run_resumes(
    number, n_call, advice, toy_bank, undisturbed, tmp_path, monkeypatch
):
    """In the first shard, in the third shard, in the fourteenth: one line, shards are kept."""
    out = tmp_path / "data.zarr"
    monkeypatch.setattr(
        "starsmith.data_contract.dataset.shards.write_rows",
        failing_after(n_call, number, write_rows),
    )
    with pytest.raises(StarsmithError, match=f"data.zarr: .*{advice}.*same command again") as told:
        write(toy_bank, out)
    assert told.value.exit_code == 1
    assert len(finished_shards(out)) == n_call  # one file of spectra each
    monkeypatch.undo()
    if number == errno.ENOSPC:
        write(toy_bank, out)
        assert same_files(undisturbed, out)


@pytest.mark.parametrize("n_call", [0, 1, 2])
def test_a_disk_full_at_the_last_file_is_no_loss(
    n_call, toy_bank, undisturbed, tmp_path, monkeypatch
):
    """Header, sidecar or manifest: nothing half-written counts."""
    out = tmp_path / "data.zarr"
    monkeypatch.setattr(
        "starsmith.data_contract.files.atomic.staged_file",
        failing_after((0, 1, 29)[n_call], errno.ENOSPC, staged_file),
    )
    with pytest.raises(StarsmithError, match="No space left"):
        write(toy_bank, out)
    monkeypatch.undo()
    write(toy_bank, out)
    assert same_files(undisturbed, out)


def test_a_real_limit_on_file_size_stops_the_workers_cleanly(toy_bank, undisturbed, tmp_path):
    """RLIMIT_FSIZE stands for a full disk: worker processes report it through the parent."""
    script, bank_file, out = (tmp_path / name for name in ("run.py", "bank.zarr", "data.zarr"))
    script.write_text(RUN)
    toy_bank.save(bank_file)
    done = subprocess.run(
        [sys.executable, script, bank_file, out, "2"],
        env=WITH_ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "File too large" in last
    assert "raise the limit on the size of files, then run the same command again" in last
    write(toy_bank, out)
    assert same_files(undisturbed, out)


def test_a_second_writer_is_refused_and_the_first_not_disturbed(toy_bank, undisturbed, tmp_path):
    out = tmp_path / "data.zarr"
    with writer_lock(out):
        with pytest.raises(DataError, match=f"process {os.getpid()} .* is writing it"):
            write(toy_bank, out)
        assert finished_shards(out) == set()
    write(toy_bank, out)
    assert same_files(undisturbed, out)


def test_a_run_begun_with_files_for_every_shard_goes_on_so(
    toy_bank, undisturbed, tmp_path, monkeypatch
):
    """Older software gave each shard a file per column: the same numbers, laid out as begun."""
    out = tmp_path / "data.zarr"
    monkeypatch.setattr(
        "starsmith.simulator.generation.generate.gathered_rows", lambda *arguments: None
    )
    write_dataset(toy_bank, Prior.default(), N, out, 7, SMALL, Crew(part=range(2)))
    monkeypatch.undo()
    write(toy_bank, out)
    old, new = open_dataset(out), open_dataset(undisturbed)
    assert old.header.gathered == () != new.header.gathered
    assert old.manifest.content == new.manifest.content
    assert len(new.manifest.files) < len(old.manifest.files) / 2


def test_clocks_that_jump_change_nothing(toy_bank, undisturbed, tmp_path, monkeypatch):
    """Half the shards written in 1980, the rest in 2100, by a clock that runs backwards."""
    out = tmp_path / "data.zarr"
    monkeypatch.setattr(
        "starsmith.data_contract.dataset.shards.write_rows",
        failing_after(13, errno.ENOSPC, write_rows),
    )
    with pytest.raises(StarsmithError):
        write(toy_bank, out)
    monkeypatch.undo()
    kept = finished_shards(out)
    for k, file in enumerate(sorted(out.rglob("*"))):
        stamp = 315532800 if k % 2 else 4102444800
        os.utime(file, (stamp, stamp))
    clock = iter(range(2_000_000_000, 0, -1))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    assert finished_shards(out) == kept
    write(toy_bank, out)
    assert same_files(undisturbed, out)
