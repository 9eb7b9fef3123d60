"""Reading fast: the same numbers by every way, damage found by every way."""

import shutil

import numpy as np
import pytest
import zarr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.shuffle import shuffled_batches
from starsmith.data_contract.dataset.split_columns import open_column, read_rows
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.shard_file import read_array
from starsmith.data_contract.files.zarr_check import array_layout
from tests.data_contract.example import COUNTS


@pytest.mark.parametrize("name", ["flux_model", "teff", "index"])
@pytest.mark.parametrize("split", list(COUNTS))
def test_rows_decoded_are_those_of_zarr(split, name, pristine):
    """Whole shards and the shorter last one, parts of them, and rows in any order, to the bit."""
    array = open_column(pristine, split, name)
    expected = zarr.open_array(array.folder, mode="r")[...]
    shards = [read_rows(array, slice(k, k + 32)) for k in range(0, len(expected), 32)]
    np.testing.assert_array_equal(np.concatenate(shards), expected)
    for rows in (slice(3, 19), slice(1, None, 3), slice(7, 7), np.array([5, 2, 5, -1]) % 8):
        np.testing.assert_array_equal(read_rows(array, rows), expected[rows])


@pytest.mark.parametrize("shape", [(), (5,), (7, 11), (4, 3, 5)])
@pytest.mark.parametrize("sharded", [False, True])
def test_arrays_of_any_shape_are_those_of_zarr(shape, sharded, tmp_path):
    """Chunks that overhang, shards of several chunks on every axis, and files never written."""
    blosc = zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=8)
    kept = zarr.create_array(
        tmp_path / "x",
        shape=shape,
        dtype="float64",
        chunks=(2,) * len(shape),
        shards=(4,) * len(shape) if sharded and shape else None,
        compressors=[blosc, zarr.codecs.Crc32cCodec()],
        fill_value=-1.0,
    )
    kept[...] = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    layout = array_layout(tmp_path / "x")
    np.testing.assert_array_equal(read_array(layout), kept[...])
    if shape:
        first = layout.file((0,) * len(shape))
        first.unlink()
        np.testing.assert_array_equal(read_array(layout), kept[...])
        assert read_array(layout).ravel()[0] == -1.0
        with pytest.raises(FileNotFoundError):
            read_array(layout, whole=True)


@pytest.mark.parametrize("name", ["flux_model", "teff", "index"])
def test_files_are_to_the_byte_what_zarr_writes(name, pristine, copy):
    """Full shards, the shorter last one, columns of numbers and of integers."""
    before = {
        file: file.read_bytes()
        for file in (copy / "train" / name / "c").rglob("*")
        if file.is_file()
    }
    rows = read_rows(open_column(copy, "train", name))
    shutil.rmtree(copy / "train" / name / "c")
    with zarr.config.set({"array.write_empty_chunks": True}):
        array = zarr.open_array(copy / "train" / name, mode="r+")
        for start in range(0, len(rows), 32):
            array[start : start + 32] = rows[start : start + 32]
    assert len(rows) % 32
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_damage_is_found_without_zarr(damage, copy):
    """Every chunk and the index carry a checksum, and both are looked at."""
    rng = np.random.default_rng(3)
    array = open_column(copy, "train", "flux_model")
    file = copy / "train/flux_model/c/1/0"
    whole = file.read_bytes()
    for _ in range(20):
        raw = bytearray(whole)
        if damage == "flip":
            raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
        file.write_bytes({"cut": raw[: rng.integers(len(raw))], "empty": b""}.get(damage, raw))
        if damage == "gone":
            file.unlink()
        with pytest.raises(DataError, match="a chunk of it is damaged"):
            read_rows(array, slice(32, 64), whole=True)


@settings(deadline=None)  # the first call compiles
@given(st.integers(1, 500), st.integers(1, 64), st.integers(1, 40), st.integers(1, 9))
@example(169, 21, 36, 2)
def test_an_epoch_reads_every_row_once(n_rows, shard_rows, size, buffer_shards):
    """Batches are full but for the last; each meets two buffers at most.

    Three, where the one in the middle is smaller than a batch for holding the short last shard.
    """
    batches = list(shuffled_batches(n_rows, shard_rows, size, 3, 1, buffer_shards))
    rows = np.concatenate(batches)
    assert sorted(rows) == list(range(n_rows))
    assert {batch.size for batch in batches[:-1]} <= {size}
    if size <= buffer_shards * shard_rows:
        met = [set(batch // shard_rows) for batch in batches]
        last = (n_rows - 1) // shard_rows
        assert all(len(shards) <= (2 + (last in shards)) * buffer_shards for shards in met)


def test_epochs_and_seeds_have_orders_of_their_own():
    """And the same order for the same two, whoever asks."""
    first, again, later, other = (
        np.concatenate(list(shuffled_batches(1000, 100, 64, epoch, seed)))
        for epoch, seed in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    np.testing.assert_array_equal(first, again)
    assert (first == later).mean() < 0.02
    assert (first == other).mean() < 0.02
    assert abs(np.corrcoef(first, np.arange(1000))[0, 1]) < 0.5


def test_rows_are_the_same_from_disk_memory_and_cache(pristine, tmp_path):
    """Noiseless flux and the observed view; a cache is found again, not written again."""
    plain = open_dataset(pristine).split("train")
    loaded = open_dataset(pristine).split("train").load()
    cached = open_dataset(pristine).split("train").load(tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    written = file.stat().st_mtime_ns
    again = open_dataset(pristine).split("train").load(tmp_path / "cache")
    assert file.stat().st_mtime_ns == written
    for rows in plain.batches(17, epoch=2):
        for split in (loaded, cached, again):
            np.testing.assert_array_equal(split.flux_model(rows), plain.flux_model(rows))
    rows = np.array([3, 99, 41])
    np.testing.assert_array_equal(cached.observe(rows).flux, plain.observe(rows).flux)


def test_a_cache_belongs_to_its_dataset(pristine, tmp_path):
    """Its name holds the digest; a file that is not what it says is refused."""
    split = open_dataset(pristine).split("val").load(tmp_path)
    (file,) = tmp_path.iterdir()
    assert split.digest in file.name
    np.save(file, np.zeros((3, 3), np.float32))
    with pytest.raises(DataError, match="is not a cache"):
        open_dataset(pristine).split("val").load(tmp_path)


def test_learners_read_batches_through_their_view(pristine, tmp_path):
    """Fresh noise in every epoch, from a cache as from the shards."""
    train = open_dataset(pristine).training().train
    rows = next(train.batches(16, epoch=1))
    before = train.observe(rows, epoch=1).flux
    train.load(cache=tmp_path)
    np.testing.assert_array_equal(train.observe(rows, epoch=1).flux, before)
    assert not np.array_equal(train.observe(rows, epoch=2).flux, before)
