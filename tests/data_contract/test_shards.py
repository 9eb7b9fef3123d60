"""Writing: every row once, the same bits however it was interrupted, one writer at a time."""

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from starsmith.data_contract.dataset.manifest import read_manifest
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.shards import (
    Shard,
    create_dataset,
    finish_dataset,
    finished_shards,
    open_run,
    plan_shards,
    write_shard,
)
from starsmith.data_contract.dataset.split_columns import create_column, write_rows
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import SPLITS
from tests.data_contract.example import (
    COUNTS,
    file_bytes,
    make_columns,
    make_header,
    write_example,
)


@given(
    st.dictionaries(st.sampled_from(list(SPLITS)), st.integers(1, 500), min_size=1),
    st.integers(1, 64),
)
def test_a_plan_covers_every_row_once(counts, rows):
    """No gap, no overlap, no shard larger than asked; numbers count up from 0."""
    plan = plan_shards(counts, rows)
    for split, count in counts.items():
        shards = [shard for shard in plan if shard.split == split]
        covered = [row for shard in shards for row in range(shard.start, shard.stop)]
        assert covered == list(range(count))
        assert [shard.number for shard in shards] == list(range(len(shards)))
        assert all(shard.start == shard.number * rows for shard in shards)
    assert {shard.split for shard in plan} == set(counts)


@pytest.mark.parametrize("store", ["noiseless", "frozen", "keys"])
def test_two_runs_give_the_same_bytes(noise, tmp_path, store):
    """Any order of shards, any process: file for file identical, and one digest."""
    header = make_header(noise, store=store)
    first = write_example(tmp_path / "a.zarr", header)
    plan = plan_shards(COUNTS, header.shard_rows)
    write_example(tmp_path / "b.zarr", header, shards=plan[::-1])
    second = finish_dataset(tmp_path / "b.zarr")
    assert file_bytes(tmp_path / "a.zarr") == file_bytes(tmp_path / "b.zarr")
    assert first.digest == second.digest


@pytest.mark.parametrize("store", ["noiseless", "frozen", "keys"])
def test_arrays_of_every_split_are_described_as_zarr_describes_them(noise, tmp_path, store):
    """Those of later splits are copied, not created: byte for byte the same."""
    header = make_header(noise, store=store)
    create_dataset(tmp_path / "a.zarr", header)
    twin = zarr.open_group(tmp_path / "twin.zarr", mode="w")
    for split, n_rows in header.counts.items():
        group = twin.create_group(split)
        for name, column in header.columns.items():
            create_column(group, column, n_rows, header)
            own, zarrs = (tmp_path / store / split / name for store in ("a.zarr", "twin.zarr"))
            assert (own / "zarr.json").read_bytes() == (zarrs / "zarr.json").read_bytes()


def test_an_interrupted_run_resumes_to_the_same_bits(noise, copy):
    """Lost sidecars and a half-written shard are written again; nothing else is touched."""
    before = file_bytes(copy)
    digest = read_manifest(copy).digest
    (copy / "shards/train-00001.json").unlink()
    (copy / "train/teff/c/2").write_bytes(b"half")
    (copy / "val/flux_model/c/0/0").unlink()
    header = open_run(copy)
    plan = plan_shards(header.counts, header.shard_rows)
    todo = [shard for shard in plan if shard not in finished_shards(copy)]
    assert [shard.name for shard in todo] == ["train-00001", "train-00002", "val-00000"]
    for shard in todo:
        write_shard(copy, header, shard, make_columns(header, shard))
    assert finish_dataset(copy).digest == digest
    assert file_bytes(copy) == before


@pytest.mark.parametrize("survived", [0, 5, 14])
def test_a_crash_inside_a_shard_leaves_it_undone(noise, copy, monkeypatch, survived):
    """Whichever array the writer died at, even on rewriting: the shard does not count."""
    before = file_bytes(copy)
    header = open_run(copy)
    shard = plan_shards(header.counts, header.shard_rows)[2]
    calls = []

    def die_later(*args):
        calls.append(args)
        if len(calls) > survived:
            raise OSError("disk full")
        write_rows(*args)

    monkeypatch.setattr("starsmith.data_contract.dataset.shards.write_rows", die_later)
    columns = make_columns(header, shard)
    with pytest.raises(OSError, match="disk full"):
        write_shard(copy, header, shard, {**columns, "mag": columns["mag"] + 0.1})
    assert shard not in finished_shards(copy)
    monkeypatch.undo()
    write_shard(copy, header, shard, columns)
    finish_dataset(copy)
    assert file_bytes(copy) == before


def test_leftovers_of_a_crash_are_swept(noise, copy):
    """Partial files of a killed writer vanish at the end; strangers are refused by name."""
    (copy / "train/teff/c/1.1234.partial").write_bytes(b"x")
    (copy / "shards/.train-00000.json.9.partial").write_bytes(b"x")
    finish_dataset(copy)
    assert not list(copy.rglob("*.partial"))
    (copy / "train/teff/c/9").write_bytes(b"x")
    with pytest.raises(DataError, match="train/teff/c/9"):
        finish_dataset(copy)


def test_an_unfinished_dataset_is_not_a_dataset(noise, tmp_path):
    """Finishing and opening both say how much is missing and how to go on."""
    header = make_header(noise)
    path = tmp_path / "data.zarr"
    plan = plan_shards(header.counts, header.shard_rows)
    write_example(path, header, shards=plan[:3])
    assert finished_shards(path) == set(plan[:3])
    with pytest.raises(DataError, match=r"5 of 8 shards.*train-00003.*resumes"):
        finish_dataset(path)
    with pytest.raises(DataError, match=r"3 of 8 shards.*resumes"):
        open_dataset(path)


def test_writing_a_shard_reopens_the_dataset(noise, copy):
    """A manifest never stands beside a shard written after it."""
    header = open_run(copy)
    shard = plan_shards(header.counts, header.shard_rows)[0]
    write_shard(copy, header, shard, make_columns(header, shard))
    assert not (copy / "manifest.json").exists()


def test_another_run_is_refused_by_the_keys_that_differ(noise, copy):
    """Resume only what is the same; the message names the difference."""
    create_dataset(copy, open_run(copy))
    changed = make_header(noise, seed=6, config={"mag": [20, 21]})
    with pytest.raises(DataError, match=r"config\.mag, seed differ.*--overwrite"):
        create_dataset(copy, changed)


def test_a_folder_of_something_else_is_refused(noise, tmp_path):
    """Nothing of the user's is overwritten."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"expected a starsmith\.dataset"):
        create_dataset(tmp_path, make_header(noise))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_columns_that_cannot_be_right_are_refused(noise, tmp_path):
    """Missing, unknown, misshapen, NaN, or rows of another shard: all named, none written."""
    header = make_header(noise)
    path = tmp_path / "data.zarr"
    create_dataset(path, header)
    shard = plan_shards(header.counts, header.shard_rows)[1]
    good = make_columns(header, shard)
    bad = {
        **good,
        "index": good["index"] + 1,
        "mag": np.full(32, np.nan),
        "snr": good["snr"][:-1],
        "flux": good["flux_model"],
    }
    del bad["teff"]
    with pytest.raises(DataError) as caught:
        write_shard(path, header, shard, bad)
    for word in ("train-00001", "'flux', 'teff'", "index", "mag holds NaN", "snr has shape"):
        assert word in str(caught.value)
    with pytest.raises(DataError, match="not a shard"):
        write_shard(path, header, Shard("train", 0, 0, 16), make_columns(header, shard))
    assert finished_shards(path) == set()
