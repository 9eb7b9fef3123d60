"""Files and folders that replace others: only their own kind, without a gap, nothing left."""

import errno
import os
import resource
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace

import h5py
import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract import open_dataset
from starsmith.data_contract.bank.bank_file import BANK_SCHEMA, load_bank
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.published import read_published, write_published
from starsmith.data_contract.files.atomic import (
    partial_name,
    replace_folder,
    staged_file,
    staged_folder,
    sweep_partials,
)
from starsmith.data_contract.files.disk_errors import disk_story
from starsmith.data_contract.files.hdf5_write import write_hdf5
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.tables.table_files import write_table


@contextmanager
def files_no_larger_than(n_bytes):
    """A limit of the system on the size of files, while the block runs."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_bank_replaces_banks_alone(toy_bank, copy, tmp_path):
    """Not a data set, not a folder of the user's, not a file."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in (copy, precious, tmp_path / "file"):
        with pytest.raises(DataError, match="only one of these is replaced"):
            toy_bank.save(place)
    assert open_dataset(copy).header.seed == 5
    assert (precious / "thesis.tex").read_text() == "mine"
    toy_bank.save(tmp_path / "bank.zarr")
    toy_bank.save(tmp_path / "bank.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bank.zarr",
        "data.zarr",
        "file",
        "precious",
    ]


def test_readers_of_a_bank_that_is_being_replaced_get_one_or_the_other(toy_bank, tmp_path):
    """Never nothing, never a mixture."""
    path = tmp_path / "bank.zarr"
    other = replace(toy_bank, coef=2.0 * toy_bank.coef)
    known = {toy_bank.digest, other.digest}
    toy_bank.save(path)
    seen, problems, done = set(), [], threading.Event()

    def read():
        while not done.is_set():
            try:
                seen.add(load_bank(path).digest)
            except Exception as problem:
                problems.append(problem)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for bank in (other, toy_bank):
        bank.save(path)
    done.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert seen <= known


def test_without_an_exchange_the_old_folder_comes_back(tmp_path, monkeypatch):
    """Where names cannot be exchanged, and the new folder cannot be moved in."""
    from starsmith.data_contract.files import atomic

    monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["new"]
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "nowhere", tmp_path / "old")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["new"]


def test_two_writers_do_not_meet(toy_bank, tmp_path):
    """The second is refused in one line."""
    with writer_lock(tmp_path / "bank.zarr"), pytest.raises(DataError, match="is writing it"):
        toy_bank.save(tmp_path / "bank.zarr")


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    """By whoever writes the same file next."""
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from starsmith.data_contract.files.atomic import partial_name\n"
        "partial_name(Path(sys.argv[1])).write_text('half')\n"
        "partial_name(Path(sys.argv[1])).mkdir()\n"
        "os._exit(9)"
    )
    path = tmp_path / "x.ecsv"
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    ours = partial_name(path)
    ours.write_text("being written")
    foreign = tmp_path / ".x.ecsv.0123456789ab.partial"
    foreign.write_text("of another host")
    assert len(list(tmp_path.iterdir())) == 4
    with staged_file(path, sweep=True) as partial:
        partial.write_text("whole")
    assert set(tmp_path.iterdir()) == {path, ours, foreign}
    sweep_partials(path, alone=True)
    assert set(tmp_path.iterdir()) == {path}


def test_what_the_disk_refuses_names_the_file(tmp_path):
    """And nothing half-written is left, nor what was there lost."""
    with (
        pytest.raises(OSError, match=str(tmp_path)) as caught,
        files_no_larger_than(1000),
        staged_file(tmp_path / "x.json") as partial,
    ):
        partial.write_bytes(bytes(2000))
    assert disk_story(caught.value).startswith(f"{tmp_path}/x.json: File too large;")
    with (
        pytest.raises(OSError, match=r"bank\.zarr") as caught,
        files_no_larger_than(1000),
        staged_folder(tmp_path / "bank.zarr", BANK_SCHEMA) as staging,
    ):
        (staging / "c").write_bytes(bytes(2000))
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("error")
def test_a_table_the_disk_refuses_is_named(tmp_path):
    """Also in FITS, where astropy hides the system's number in its text; no other warning."""
    table = Table({"flux": np.ones(5000)}, meta={"a long keyword": 1})
    for name in ("star.fits", "star.ecsv"):
        with pytest.raises(OSError, match=name) as caught, files_no_larger_than(1000):
            write_table(tmp_path / name, table)
        assert disk_story(caught.value).startswith(f"{tmp_path}/{name}: File too large;")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [1_000, 20_000, 60_000, 100_000])
def test_a_full_disk_does_not_end_the_process_that_writes_hdf5(pristine, tmp_path, limit):
    """The library would, as it closes what it could not flush."""
    data = open_dataset(pristine)
    data.split("train").load()
    with pytest.raises(OSError, match="File too large"), files_no_larger_than(limit):
        write_published(data, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_hdf5_is_what_it_would_be(pristine, tmp_path):
    """Written through our own file: the same arrays, and readable by name."""
    values = np.random.default_rng(0).normal(size=(1000, 40))
    with write_hdf5(tmp_path / "x.h5") as (root, disk):
        root.create_dataset("a/b", data=values, chunks=(16, 40), compression="gzip")
        disk.require()
    with h5py.File(tmp_path / "x.h5") as root:
        np.testing.assert_array_equal(root["a/b"][...], values)
    (file, *_) = write_published(open_dataset(pristine), tmp_path / "out")
    assert len(read_published(file)) == 100
    assert sorted(os.listdir(tmp_path / "out")) == ["test.h5", "train.h5", "val.h5"]
