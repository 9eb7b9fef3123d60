"""Conversions lose nothing: there and back is the same dataset, to the digest."""

from itertools import permutations

import h5py
import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.schema import STORES, stored_bits
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.conversion import convert_store, restore_dataset
from starsmith.data_contract.exchange.published import write_published
from tests.data_contract.example import file_bytes, make_header, model_flux, write_example
from tests.data_contract.test_repair import ExampleRemaker


@pytest.fixture(scope="module")
def exported(pristine, tmp_path_factory):
    pytest.importorskip("tables", reason="tables comes with starsmith[hdf5]")
    folder = tmp_path_factory.mktemp("published")
    write_published(open_dataset(pristine), folder)
    return folder


def test_there_and_back_is_the_same_dataset(pristine, exported, tmp_path):
    """Every byte: 14 mantissa bits of flux over its median are enough to have 12 back."""
    manifest = restore_dataset(exported, tmp_path / "back.zarr")
    assert manifest.digest == open_dataset(pristine).digest
    assert file_bytes(tmp_path / "back.zarr") == file_bytes(pristine)


def test_files_of_others_or_of_two_datasets_are_refused(exported, noise, tmp_path):
    """Without noise tables and keys there is no dataset; and splits must belong together."""
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for file in exported.iterdir():
        (mixed / file.name).write_bytes(file.read_bytes())
    write_example(tmp_path / "other.zarr", make_header(noise, seed=6))
    write_published(open_dataset(tmp_path / "other.zarr"), tmp_path / "other")
    (mixed / "val.h5").write_bytes((tmp_path / "other/val.h5").read_bytes())
    with pytest.raises(DataError, match=r"val\.h5 was exported from another dataset"):
        restore_dataset(mixed, tmp_path / "out.zarr")
    (mixed / "val.h5").unlink()
    with pytest.raises(DataError, match=r"val\.h5 is missing"):
        restore_dataset(mixed, tmp_path / "out.zarr")
    with h5py.File(mixed / "train.h5", "r+") as root:
        del root["starsmith"]
    with pytest.raises(DataError, match="read others with read_published"):
        restore_dataset(mixed, tmp_path / "out.zarr")
    with pytest.raises(DataError, match="no train"):
        restore_dataset(tmp_path, tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()


@pytest.fixture(scope="module")
def stores(noise, tmp_path_factory):
    """The same stars in every store."""
    folder = tmp_path_factory.mktemp("stores")
    for store in STORES:
        header = make_header(noise, store=store, **stored_bits(store))
        write_example(folder / store, header)
    return folder


@pytest.mark.parametrize(("first", "second"), list(permutations(STORES, 2)))
def test_every_store_becomes_every_other(first, second, stores, noise, tmp_path):
    """The bytes are those of the store written directly, whichever it was made from."""
    dataset = open_dataset(stores / first, regenerate=lambda draws: model_flux(draws, noise.wave))

    convert_store(dataset, tmp_path / "out.zarr", second, ExampleRemaker(noise))

    assert file_bytes(tmp_path / "out.zarr") == file_bytes(stores / second)


def test_a_frozen_store_has_no_way_back_without_its_bank(stores, tmp_path):
    """Noise cannot be taken off; labels and keys can be kept."""
    dataset = open_dataset(stores / "frozen")
    with pytest.raises(DataError, match="takes the bank"):
        convert_store(dataset, tmp_path / "out.zarr", "noiseless")
    convert_store(dataset, tmp_path / "out.zarr", "keys")
    kept = open_dataset(tmp_path / "out.zarr").split("test")
    np.testing.assert_array_equal(kept.labels, dataset.split("test").labels)
    with pytest.raises(DataError, match="not one of"):
        convert_store(dataset, tmp_path / "more.zarr", "oven")
