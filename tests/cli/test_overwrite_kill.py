"""A killed ``--overwrite``: the old data are whole, and the same command goes on and finishes."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from starsmith.data_contract.dataset.manifest import read_manifest
from starsmith.data_contract.files.lock import writer_lock
from tests.cli.conftest import call

LINES = {
    "generate": "specsim generate -n 2000 --shard-rows 64 --workers 1 --seed 3 --bank bank.zarr "
    "--out data.zarr --overwrite",
    "convert": "specdata convert source.zarr data.zarr --store frozen --overwrite",
}


def contents(path):
    return {f.relative_to(path): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def killed_at_work(line, folder, begun):
    """Run a command as a process of its own; kill it once ``begun`` says so."""
    tool, *words = line.split()
    command = [sys.executable, "-m", f"starsmith.cli.{tool}", *words]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    while process.poll() is None and not begun():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("name", ["generate", pytest.param("convert", marks=pytest.mark.slow)])
def test_the_old_data_stay_whole_and_the_next_run_goes_on(
    dataset, bank_file, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bank_file, "bank.zarr")
    line = LINES[name]
    if name == "convert":
        many = "specsim generate -n 2000 --shard-rows 64 --workers 1 --bank bank.zarr"
        assert call(f"{many} --out source.zarr").exit_code == 0
    old = contents(shutil.copytree(dataset, tmp_path / "data.zarr"))
    there = set(os.listdir())
    shards = tmp_path / "data.zarr.replacement" / "shards"

    killed_at_work(line, tmp_path, lambda: len(list(shards.glob("*.json"))) >= 2)
    assert contents(tmp_path / "data.zarr") == old
    kept = {file: file.stat().st_mtime_ns for file in shards.glob("*.json")}
    first = min(kept, key=kept.get)
    moved = tmp_path / "data.zarr" / "shards" / first.name

    assert call(line).exit_code == 0
    assert moved.stat().st_mtime_ns == kept[first], "its finished shards are not made again"
    assert set(os.listdir()) - {"data.zarr.toml"} == there
    fresh = line.replace("--out data.zarr", "--out fresh.zarr").replace(
        " data.zarr ", " fresh.zarr "
    )
    assert call(fresh).exit_code == 0
    assert (
        read_manifest(tmp_path / "data.zarr").digest
        == read_manifest(tmp_path / "fresh.zarr").digest
    )


def test_a_replacement_left_by_another_run_gives_way(dataset, bank_file, tmp_path, monkeypatch):
    """Or by a process that was killed before it had removed the old data."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(dataset, "data.zarr")
    shutil.copytree(dataset, "data.zarr.replacement")
    line = "specsim generate -n 20 --workers 1 --seed 3 --out data.zarr --overwrite --bank"
    assert call(line, bank_file).exit_code == 0
    assert set(os.listdir()) == {"data.zarr", "data.zarr.toml"}
    assert read_manifest(tmp_path / "data.zarr").digest != read_manifest(dataset).digest


def test_hdf5_files_appear_together_and_under_a_lock(dataset, tmp_path, monkeypatch):
    """None of them before all are whole; a second writer is refused."""
    monkeypatch.chdir(tmp_path)
    line = f"specdata convert {dataset} out --format hdf5"
    (tmp_path / "out").mkdir()
    with writer_lock(tmp_path / "out" / "h5"):
        busy = call(line)
    assert (busy.exit_code, "is writing it" in busy.stderr) == (2, True)
    assert not os.listdir("out")
    assert call(line).exit_code == 0
    old = contents(tmp_path / "out")

    def begun():
        return len(os.listdir("out")) > 5  # three files, a lock, and parts of new ones

    killed_at_work(f"{line} --overwrite", tmp_path, begun)
    whole = contents(tmp_path / "out")
    assert {name: whole[name] for name in old} == old
    assert call(f"{line} --overwrite").exit_code == 0
    assert contents(tmp_path / "out").keys() == old.keys()
