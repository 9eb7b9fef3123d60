"""Columns of many shards in one file: the same numbers under the same names, in few files."""

import shutil

import numpy as np
import pytest
import zarr

from starsmith.data_contract.checks.repair import repair_dataset
from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset.manifest import read_manifest
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.shards import (
    create_dataset,
    finish_dataset,
    finished_shards,
    plan_shards,
    write_shard,
)
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file
from tests.data_contract.example import file_bytes, make_columns, make_header, write_example
from tests.data_contract.test_repair import ExampleRemaker

ROWS = 64  # in a file of a column: two shards


@pytest.fixture(scope="module")
def gathered(noise, tmp_path_factory):
    """Path of a finished store with columns of two shards in a file; never written to."""
    path = tmp_path_factory.mktemp("gathered") / "data.zarr"
    write_example(path, make_header(noise, column_rows=ROWS))
    return path


@pytest.fixture
def copy(gathered, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(gathered, tmp_path / "data.zarr")


def mend(path, noise):
    """Repair with the bank it was made from."""
    return repair_dataset(path, lambda run: ExampleRemaker(noise))


def test_every_column_is_what_it_was_with_a_file_per_shard(gathered, pristine):
    """Keys, labels, conditions and S/N to the bit, by any reader, under the same names."""
    old, new = open_dataset(pristine), open_dataset(gathered)
    assert new.manifest.content == old.manifest.content
    for split in old.header.counts:
        for name in old.header.columns:
            a, b = (zarr.open_array(path / split / name, mode="r") for path in (pristine, gathered))
            np.testing.assert_array_equal(a[:], b[:])
            assert (a.dtype, a.attrs.asdict()) == (b.dtype, b.attrs.asdict())
        np.testing.assert_array_equal(old.split(split).snr, new.split(split).snr)
        np.testing.assert_array_equal(old.split(split).draws.labels, new.split(split).draws.labels)


def test_xarray_opens_gathered_columns_by_name(gathered):
    xarray = pytest.importorskip("xarray", reason="xarray comes with starsmith[view]")
    opened = xarray.open_zarr(gathered, group="train", consolidated=False)
    stored = open_dataset(gathered).split("train")
    assert opened["logg"].dims == ("spectrum",)
    np.testing.assert_array_equal(opened["logg"], stored.label("logg"))
    np.testing.assert_array_equal(opened["index"][70:80], np.arange(70, 80))


@pytest.mark.parametrize("store", ["noiseless", "frozen", "keys"])
def test_a_shard_adds_two_files_or_three(noise, tmp_path, store):
    """A file of each spectrum and a sidecar; labels and conditions in files of many shards."""
    header = make_header(noise, column_rows=ROWS, store=store)
    write_example(tmp_path / "data", header)
    shards = len(plan_shards(header.counts, header.shard_rows))
    files = [*(tmp_path / "data").rglob("*")]
    spectra = [file for file in files if file.parent.parent.name == "c" and file.is_file()]
    assert len([f for f in files if f.parent.name == "shards"]) == shards
    assert len([f for f in spectra if f.parents[3].name in header.counts]) == shards * sum(
        column.is_flux for column in header.columns.values()
    )
    groups = sum(-(-count // ROWS) for count in header.counts.values())
    wide = [file for name in header.counts for file in (tmp_path / "data" / name).glob("*/c/?")]
    assert len([f for f in wide if f.is_file() and f.parts[-3] != "wave"]) == groups * len(
        header.gathered
    )


def test_shards_in_any_order_and_twice_give_the_same_bytes(gathered, noise, tmp_path):
    """Made in two parts, finished, made again in part, finished again."""
    path, header = tmp_path / "data.zarr", make_header(noise, column_rows=ROWS)
    plan = plan_shards(header.counts, header.shard_rows)
    write_example(path, header, plan[::-2])
    assert finished_shards(path) == set(plan[::-2])
    with pytest.raises(DataError, match="shards are not written yet"):
        finish_dataset(path)
    problems = verify_dataset(path).problems
    assert [text for text in problems if "not written yet" not in text] == problems[:1]
    write_example(path, header, plan)
    assert finish_dataset(path).digest == read_manifest(gathered).digest
    write_example(path, header, plan[1:2])
    finish_dataset(path)
    assert file_bytes(path) == file_bytes(gathered)


@pytest.mark.parametrize("survived", [0, 20, 50])
def test_a_crash_while_columns_are_gathered_loses_nothing(
    gathered, noise, tmp_path, monkeypatch, survived
):
    """Whichever file the last pass died at, the next one gives the same bytes."""
    path, header = tmp_path / "data.zarr", make_header(noise, column_rows=ROWS)
    create_dataset(path, header)
    plan = plan_shards(header.counts, header.shard_rows)
    for shard in plan:
        write_shard(path, header, shard, make_columns(header, shard))
    calls = []

    def die_later(file):
        calls.append(file)
        if len(calls) > survived:
            raise OSError("disk full")
        return staged_file(file)

    monkeypatch.setattr("starsmith.data_contract.dataset.gathered.staged_file", die_later)
    with pytest.raises(OSError, match="disk full"):
        finish_dataset(path)
    monkeypatch.undo()
    assert finished_shards(path) == set(plan)
    finish_dataset(path)
    assert file_bytes(path) == file_bytes(gathered)


DAMAGE = {
    "edited": lambda path: zarr.open_array(path / "train/logg", mode="r+").__setitem__(40, 4.44),
    "lost": lambda path: (path / "train/snr/c/1").unlink(),
    "cut": lambda path: (path / "val/mag/c/0").write_bytes(b"half"),
    "index": lambda path: (path / "val/teff/c/0").write_bytes(
        (path / "val/teff/c/0").read_bytes()[:-3] + b"abc"
    ),
    "stray": lambda path: (path / "test/mag/c/7").write_bytes(b"x"),
    "piece": lambda path: (path / "shards/train-00001.columns").write_bytes(b"x"),
    "sidecar": lambda path: (path / "shards/train-00001.json").write_text("{}"),
    "both": lambda path: [(path / f"train/{name}/c/0").unlink() for name in ("teff", "index")],
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize(
    "sealed", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["manifest", "no manifest"]
)
def test_whatever_is_damaged_is_named_and_comes_back(copy, gathered, noise, kind, sealed):
    DAMAGE[kind](copy)
    if not sealed:
        (copy / "manifest.json").unlink()
    assert not verify_dataset(copy).ok
    mend(copy, noise)
    assert file_bytes(copy) == file_bytes(gathered)
    assert read_manifest(copy).digest == read_manifest(gathered).digest


def test_an_edited_label_names_its_shard_and_no_other(copy, noise):
    DAMAGE["edited"](copy)
    (text,) = [text for text in verify_dataset(copy).problems if "train/logg/c/0" in text]
    assert text.startswith("shard train-00001: train/logg/c/0 ")
    done = mend(copy, noise)
    assert list(done.shards) == ["train-00001"]


def test_an_unfinished_store_with_a_damaged_piece_is_not_finished(noise, tmp_path):
    """Its checksum tells, and repair makes the shard again."""
    path, header = tmp_path / "data.zarr", make_header(noise, column_rows=ROWS)
    write_example(path, header, plan_shards(header.counts, header.shard_rows))
    piece = path / "shards/val-00001.columns"
    content = bytearray(piece.read_bytes())
    content[50] ^= 1
    piece.write_bytes(content)
    with pytest.raises(DataError, match="shard val-00001 lacks index; `specdata repair"):
        finish_dataset(path)
    assert any("val-00001" in text for text in verify_dataset(path).problems)
    mend(path, noise)
    assert verify_dataset(path).ok


@pytest.mark.parametrize("rows", [0, 33, -32])
def test_column_rows_must_hold_whole_shards(noise, rows):
    with pytest.raises(DataError, match="column_rows"):
        make_header(noise, column_rows=rows)
