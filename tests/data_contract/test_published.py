"""The published HDF5 layout: others can read ours, we can read theirs, nobody unpickles."""

import builtins
import pickle

import h5py
import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.published import read_published, write_published
from tests.data_contract.example import COUNTS, make_header, true_sigma, write_example

pandas = pytest.importorskip("pandas", reason="pandas comes with starsmith[hdf5]")
pytest.importorskip("tables", reason="tables comes with starsmith[hdf5]")


@pytest.fixture(scope="module")
def dataset(pristine):
    return open_dataset(pristine)


@pytest.fixture(scope="module")
def folder(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("published")
    files = write_published(dataset, out)
    assert [file.name for file in files] == ["train.h5", "val.h5", "test.h5"]
    return out


@pytest.fixture
def no_pickle(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a pickle was opened")

    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "load", refuse)


def test_round_trip(dataset, folder, no_pickle):
    """Noiseless flux over its median, and the true noise alike, to 2^-13; labels exactly."""
    split = dataset.split("val")
    contents = read_published(folder / "val.h5")
    model = split.flux_model()
    median = np.median(model, axis=1, keepdims=True)
    np.testing.assert_allclose(contents.flux, model / median, rtol=2**-13)
    np.testing.assert_allclose(contents.error, true_sigma(split) / median, rtol=2**-13)
    np.testing.assert_array_equal(contents.wave, dataset.wave)
    for name in dataset.label_names:
        np.testing.assert_array_equal(contents.label(name), split.label(name))
    np.testing.assert_array_equal(contents.params["snr"], split.snr)
    np.testing.assert_array_equal(contents.params["snr_p95"], split.snr_p95)
    some = read_published(folder / "val.h5", slice(5, 9))
    np.testing.assert_array_equal(some.flux, contents.flux[5:9])
    np.testing.assert_array_equal(some.label("logg"), split.label("logg")[5:9])
    with pytest.raises(DataError, match=r"a_M.*T_eff"):
        contents.label("a_m")


def test_pandas_reads_it_as_the_published_code_does(dataset, folder):
    """One pandas object per file, found without naming its key; identifiers are unique."""
    tables = [pandas.read_hdf(folder / f"{name}.h5") for name in COUNTS]
    np.testing.assert_array_equal(tables[0]["log_g"], dataset.split("train").label("logg"))
    identifiers = np.concatenate([table["targetid"] for table in tables])
    assert np.unique(identifiers).size == sum(COUNTS.values())
    with h5py.File(folder / "train.h5") as root:
        assert root["dataset/arrays/flux/value"].shape == (100, dataset.wave.size)
        assert root["spectrumdataset/wave"].shape == dataset.wave.shape


def write_foreign(path, **options):
    with h5py.File(path, "w") as root:
        root["spectrumdataset/wave"] = np.linspace(8000, 8100, 20)
        root["dataset/arrays/flux/value"] = np.ones((6, 20))
    frame = pandas.DataFrame({"T_eff": np.linspace(4000, 5000, 6), "log_g": np.arange(6.0)})
    frame.to_hdf(path, key="dataset/params", mode="a", **options)


def test_fixed_format_of_others_is_read(tmp_path, no_pickle):
    """Pandas' default: column names are bytes; no error array is no error."""
    write_foreign(tmp_path / "theirs.h5", format="fixed")
    contents = read_published(tmp_path / "theirs.h5")
    np.testing.assert_array_equal(contents.label("logg"), np.arange(6.0))
    assert contents.error is None
    assert contents.flux.dtype == np.float32


def test_pickled_column_names_are_refused(tmp_path, no_pickle):
    """Table format without data columns hides the names in a pickle; the repair is named."""
    write_foreign(tmp_path / "theirs.h5", format="table")
    with pytest.raises(DataError, match="data_columns=True"):
        read_published(tmp_path / "theirs.h5")


def test_other_hdf5_and_other_files_are_refused(tmp_path):
    """What is missing is named."""
    with h5py.File(tmp_path / "other.h5", "w") as root:
        root["spectrumdataset/wave"] = np.arange(3)
    with pytest.raises(DataError, match="dataset/arrays/flux/value"):
        read_published(tmp_path / "other.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(DataError, match="HDF5"):
        read_published(tmp_path / "text.h5")


def test_a_frozen_store_has_nothing_to_export(noise, tmp_path):
    """Its noiseless flux is gone; nothing is left behind."""
    write_example(tmp_path / "frozen.zarr", make_header(noise, store="frozen"))
    with pytest.raises(DataError, match="no noiseless flux"):
        write_published(open_dataset(tmp_path / "frozen.zarr"), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_missing_extra_is_named(dataset, tmp_path, monkeypatch):
    """Without pandas the command to install it is the message."""
    honest = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pandas":
            raise ImportError("No module named 'pandas'", name="pandas")
        return honest(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install 'starsmith\[hdf5\]'"):
        write_published(dataset, tmp_path)
