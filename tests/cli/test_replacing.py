"""``--overwrite`` and conversions over what is there: all of it or nothing."""

import errno
import shutil

import pytest

from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.dataset.manifest import read_manifest
from starsmith.data_contract.files.lock import writer_lock
from tests.cli.conftest import call


def contents(path):
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_overwrite_loses_nothing_it_cannot_replace(bank_file, tmp_path, monkeypatch):
    """Where the folder may not be renamed, or somebody is writing it, every byte stays."""
    out = tmp_path / "data.zarr"
    line = ("specsim generate -n 20 --workers 1 --bank", bank_file, "--out", out)
    assert call(*line).exit_code == 0
    before = contents(out)

    with writer_lock(out):
        busy = call(*line, "--seed", 3, "--overwrite")
    monkeypatch.setattr("os.rename", refused_by_the_disk)
    forbidden = call(*line, "--seed", 3, "--overwrite")

    assert (busy.exit_code, "is writing it" in busy.stderr) == (2, True)
    assert (forbidden.exit_code, "Permission denied" in forbidden.stderr) == (1, True)
    assert contents(out) == before


def refused_by_the_disk(source, target):
    raise PermissionError(errno.EACCES, "Permission denied", str(target))


def test_overwrite_replaces_data_sets_only(bank_file, tmp_path):
    """A bank, or whatever zarr of somebody's, is not deleted for a data set."""
    bank = shutil.copytree(bank_file, tmp_path / "bank.zarr")
    line = ("specsim generate -n 20 --workers 1 --overwrite --bank", bank_file, "--out", bank)

    done = call(*line)

    assert (done.exit_code, "is not a data set" in done.stderr) == (2, True)
    assert load_bank(bank).digest == load_bank(bank_file).digest


@pytest.mark.parametrize("target", ["data.zarr", "data.zarr/test/keys.zarr", "./x/../data.zarr"])
def test_a_data_set_is_not_converted_into_itself(dataset, tmp_path, target):
    """However its own place is spelled: the source is read while the target is written."""
    source = shutil.copytree(dataset, tmp_path / "data.zarr")
    (tmp_path / "x").mkdir()

    done = call("specdata convert --store keys --overwrite", source, tmp_path / target)

    assert (done.exit_code, "choose another target" in done.stderr) == (2, True)
    assert contents(source).keys() == {source / f.relative_to(dataset) for f in contents(dataset)}


def test_a_conversion_that_cannot_be_made_deletes_nothing(dataset, bank_file, tmp_path):
    """Noiseless flux of a frozen store whose bank is gone: refused before the old one goes."""
    bank = shutil.copytree(bank_file, tmp_path / "bank.zarr")
    frozen = tmp_path / "frozen.zarr"
    line = "specsim generate -n 20 --workers 1 --store frozen"
    assert call(line, "--bank", bank, "--out", frozen).exit_code == 0
    shutil.rmtree(bank)
    target = shutil.copytree(dataset, tmp_path / "target.zarr")

    done = call("specdata convert --store noiseless --overwrite", frozen, target)

    assert (done.exit_code, "not there any more" in done.stderr) == (2, True)
    assert read_manifest(target).digest == read_manifest(dataset).digest


def test_a_disk_that_refuses_a_conversion_is_told_in_one_line(dataset, tmp_path, monkeypatch):
    """What is kept and how to go on; no hidden name of a file that was never finished."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "/disk/.x.1234.partial")

    monkeypatch.setattr("starsmith.data_contract.exchange.conversion.write_shard", full)

    done = call("specdata convert --store keys", dataset, tmp_path / "keys.zarr")

    assert done.exit_code == 1
    assert "keys.zarr: No space left on device (while writing); finished shards" in done.stderr
    assert "free some space, then run the same command again" in done.stderr
