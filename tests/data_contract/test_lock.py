"""Locks: one writer at a time, and none that is dead keeps the next one out."""

import errno
import json
import os
import socket
import subprocess
import sys

import pytest

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.lock import writer_lock


def test_a_second_writer_is_refused(tmp_path):
    """One writer; its lock says who; it is gone afterwards."""
    path = tmp_path / "data.zarr"
    with writer_lock(path):
        with pytest.raises(DataError, match=f"process {os.getpid()} on"), writer_lock(path):
            pass
        assert (tmp_path / "data.zarr.lock").exists()
    with writer_lock(path):
        pass
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    """A crash does not lock the dataset for ever; another host's lock is respected."""
    path = tmp_path / "data.zarr"
    lock = tmp_path / "data.zarr.lock"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lock.write_text(json.dumps({"pid": dead.pid, "host": socket.gethostname()}))
    with writer_lock(path):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    lock.write_text(json.dumps({"pid": dead.pid, "host": "elsewhere"}))
    with pytest.raises(DataError, match=r"on elsewhere.*delete"), writer_lock(path):
        pass
    lock.write_text("")
    with pytest.raises(DataError, match="unknown host"), writer_lock(path):
        pass


@pytest.mark.parametrize(
    ("entry", "value"),
    [("started", "1"), ("boot", "before the power cut")],
)
def test_a_process_number_in_use_again_is_not_its_first_owner(tmp_path, entry, value):
    """In containers the next run often has the number of the one that was killed: ours, here."""
    path, lock = tmp_path / "data.zarr", tmp_path / "data.zarr.lock"
    with writer_lock(path):
        ours = json.loads(lock.read_text())
    if not ours[entry] or not ours["machine"]:
        pytest.skip("this system does not say when processes started, or what it is")
    lock.write_text(json.dumps(ours | {entry: value}))

    with writer_lock(path):
        assert json.loads(lock.read_text()) == ours


def test_a_machine_of_the_same_name_is_another_machine(tmp_path):
    """Nodes called localhost on one file server: the process may be alive over there."""
    path, lock = tmp_path / "data.zarr", tmp_path / "data.zarr.lock"
    holder = {"pid": 2**22, "host": socket.gethostname(), "machine": "another", "boot": "other"}
    lock.write_text(json.dumps(holder))

    with pytest.raises(DataError, match="is writing it; wait for it to end"), writer_lock(path):
        pass

    assert json.loads(lock.read_text()) == holder


@pytest.mark.parametrize("links", [True, False])
def test_a_full_disk_leaves_no_lock_that_nobody_holds(tmp_path, monkeypatch, links):
    """An empty lock would keep everybody out for ever: it appears with its contents or not."""
    path = tmp_path / "data.zarr"

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("pathlib.Path.write_text", full)
        with pytest.raises(OSError, match="No space"), writer_lock(path):
            pass
    assert not list(tmp_path.iterdir())
    if not links:
        monkeypatch.setattr(os, "link", full)
    with writer_lock(path):
        assert json.loads((tmp_path / "data.zarr.lock").read_text())["pid"] == os.getpid()
        with pytest.raises(DataError, match="is writing it"), writer_lock(path):
            pass
    assert not list(tmp_path.iterdir())


def test_what_killed_writers_left_half_made_is_swept(tmp_path):
    """Hidden folders in the place of this data set; nothing of a neighbour, nothing by a part."""
    path = tmp_path / "data.zarr"
    left = [
        ".data.zarr.0123456789ab.partial",
        "..data.zarr.0123456789ab.partial.ba9876543210.partial",
    ]
    kept = [".other.zarr.0123456789ab.partial", ".data.zarr.toml", "data.zarr"]
    for name in (*left, *kept):
        (tmp_path / name).mkdir()

    with writer_lock(path, range(0, 3)):
        pass
    assert len(list(tmp_path.iterdir())) == len(left) + len(kept)
    with writer_lock(path):
        pass
    assert {entry.name for entry in tmp_path.iterdir()} == set(kept)
