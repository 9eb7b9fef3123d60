"""Reading: the right rows in the right order, whatever the store, and no damage unnoticed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.split_spectra import CACHED_SHARDS, ShardCache
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.noise.view import (
    honest_error,
    observe_spectra,
    snr_statistics,
    true_error,
)
from tests.data_contract.example import COUNTS, draw, make_header, model_flux, write_example


@pytest.fixture(scope="module")
def dataset(pristine):
    return open_dataset(pristine)


def test_draws_come_back_exactly(dataset):
    """Labels, conditions and keys are float64 and int64 bits, not approximations."""
    for name, count in COUNTS.items():
        split = dataset.split(name)
        expected = draw(5, name, np.arange(count))
        assert len(split) == count
        np.testing.assert_array_equal(split.labels, expected.labels)
        np.testing.assert_array_equal(split.draws.conditions, expected.conditions)
        np.testing.assert_array_equal(split.draws.mag, expected.mag)
        np.testing.assert_array_equal(split.draws.index, expected.index)
        assert (split.draws.key.seed, split.draws.key.split) == (5, name)


def test_flux_and_snr_come_back_exactly(dataset):
    """The store is lossless for spectra rounded as declared."""
    split = dataset.split("val")
    expected = model_flux(split.draws, dataset.wave)
    np.testing.assert_array_equal(split.flux_model(), expected)
    sigma = true_error(dataset.noise, expected, split.draws.conditions)
    for name, values in snr_statistics(expected, sigma).items():
        np.testing.assert_array_equal(getattr(split, name), values)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, 99), max_size=120), start=st.integers(0, 99))
def test_any_rows_in_any_order(dataset, rows, start):
    """Repeated, scattered or sliced: row k of the answer is row rows[k] of the split."""
    split = dataset.split("train")
    everything = split.flux_model()
    np.testing.assert_array_equal(split.flux_model(np.array(rows, dtype=int)), everything[rows])
    np.testing.assert_array_equal(split.flux_model(slice(start, None, 3)), everything[start::3])


def test_few_rows_do_not_decode_whole_shards(pristine):
    """A chunk of 16 rows is read on its own; asking for more reads and keeps the shard."""
    header = open_dataset(pristine).header
    split = open_dataset(pristine).split("train")
    everything = split.flux_model()
    assert header.shard_rows == 32
    fresh = open_dataset(pristine).split("train")
    mask = np.zeros(100, bool)
    mask[[3, 40]] = True
    np.testing.assert_array_equal(fresh.flux_model(mask), everything[mask])
    np.testing.assert_array_equal(fresh.load().flux_model(mask), everything[mask])


def test_memory_holds_a_bounded_number_of_shards():
    """Decoded once while kept, the least recently used dropped first, all kept after load."""
    decoded = []

    class Counting:
        def read(self, rows):
            decoded.append(rows.start // 16)
            return np.full((rows.stop - rows.start, 3), rows.start // 16, np.float32)

    cache = ShardCache(Counting(), n_rows=16 * 20, n_wave=3, shard_rows=16)
    for number in (*range(CACHED_SHARDS), 0, CACHED_SHARDS, 0, 1):
        rows = np.arange(16 * number, 16 * number + 16)
        assert (cache.read(rows) == number).all()
    assert decoded == [*range(CACHED_SHARDS + 1), 1]  # 0 was in use, 1 was dropped
    cache.load()
    before = len(decoded)
    cache.read(np.arange(16 * 20))
    assert len(decoded) == before


def test_observed_flux_is_the_pure_function_of_the_file(dataset):
    """Observe = observe_spectra and honest_error of flux_model, conditions and key."""
    split = dataset.split("test")
    view = split.observe()
    flux, _, _ = observe_spectra(
        dataset.noise, split.flux_model(), split.draws.conditions, split.draws.key
    )
    np.testing.assert_array_equal(view.flux, flux)
    error = honest_error(dataset.noise, flux, split.draws.conditions)
    np.testing.assert_array_equal(view.error, error)
    assert view.mask.dtype == np.uint32
    assert not view.mask.any()
    few = split.observe(np.array([31, 2]))
    np.testing.assert_array_equal(few.flux, flux[[31, 2]])


def test_epochs_differ_and_repeat(dataset):
    """Epoch k is the same noise every time it is asked for, and not that of epoch j."""
    split = dataset.split("train")
    first = split.observe(stream="training", sub=1).flux
    np.testing.assert_array_equal(split.observe(stream="training", sub=1).flux, first)
    assert (split.observe(stream="training", sub=2).flux == first).mean() < 1e-3


def test_error_kinds(dataset):
    """The kind may be chosen on reading; the header's is the default."""
    split = dataset.split("val")
    smooth = split.observe(error="smooth")
    expected = honest_error(dataset.noise, smooth.flux, split.draws.conditions, "smooth")
    np.testing.assert_array_equal(smooth.error, expected)
    assert (smooth.error != split.observe().error).mean() > 0.9


def test_a_keys_store_is_the_noiseless_store(noise, dataset, tmp_path):
    """Regenerated spectra are bit for bit those a noiseless store would hold."""
    path = tmp_path / "keys.zarr"
    write_example(path, make_header(noise, store="keys"))

    def forward(draws):
        exact = model_flux(draws, noise.wave)
        return exact * np.float32(1 + 2**-20)  # unrounded, as a forward model gives it

    keys = open_dataset(path, regenerate=forward).split("train")
    stored = dataset.split("train")
    rows = np.array([70, 3, 41])
    np.testing.assert_array_equal(keys.flux_model(rows), stored.flux_model(rows))
    np.testing.assert_array_equal(keys.observe(rows).flux, stored.observe(rows).flux)
    np.testing.assert_array_equal(keys.snr, stored.snr)
    assert keys.labels.shape == (100, 3)
    closed = open_dataset(path).split("train")
    np.testing.assert_array_equal(closed.labels, stored.labels)
    with pytest.raises(DataError, match="regenerate="):
        closed.flux_model()


def test_a_frozen_store_holds_one_noise_draw(noise, dataset, tmp_path):
    """Its flux is the draw of record to 2^-11; other draws and the noiseless flux are refused."""
    path = tmp_path / "frozen.zarr"
    write_example(path, make_header(noise, store="frozen", keep_bits=10, error_kind="smooth"))
    frozen = open_dataset(path).split("train")
    view, expected = frozen.observe(), dataset.split("train").observe(error="smooth")
    np.testing.assert_allclose(view.flux, expected.flux, rtol=2**-11)
    np.testing.assert_allclose(view.error, expected.error, rtol=2**-11)
    for wrong in ({"stream": "training", "sub": 1}, {"sub": 1}, {"error": "observed"}):
        with pytest.raises(DataError, match="one noise draw"):
            frozen.observe(**wrong)
    with pytest.raises(DataError, match="no noiseless flux"):
        frozen.flux_model()


def test_a_truncated_or_missing_shard_is_one_error_on_opening(copy):
    """Named files with sizes, before any training starts."""
    file = copy / "train/flux_model/c/1/0"
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-7])
    (copy / "val/logg/c/1").unlink()
    with pytest.raises(DataError) as caught:
        open_dataset(copy)
    message = str(caught.value)
    assert f"train/flux_model/c/1/0 has {size - 7} bytes, expected {size}" in message
    assert "val/logg/c/1 is missing" in message
    assert "2 file(s)" in message


def test_changed_metadata_is_refused_on_opening(copy):
    """Chunks have checksums, metadata have none: a unit or shape edited in place is found."""
    file = copy / "train/mag/zarr.json"
    file.write_text(file.read_text().replace("mag(AB)", "mag(ST)"))
    with pytest.raises(DataError, match=r"train/mag/zarr\.json was changed"):
        open_dataset(copy)


def test_a_flipped_bit_is_an_error_on_reading(copy):
    """Same size, other bits: the chunk's checksum notices when it is decoded."""
    file = copy / "train/flux_model/c/1/0"
    raw = bytearray(file.read_bytes())
    raw[200] ^= 1
    file.write_bytes(raw)
    split = open_dataset(copy).split("train")
    split.flux_model(np.arange(32))
    with pytest.raises(DataError, match=r"specdata (verify|repair)"):
        split.flux_model(np.array([33]))


def test_what_is_not_there_is_named(dataset, tmp_path):
    """Paths, splits, labels and rows that do not exist."""
    with pytest.raises(DataError, match=r"expected a starsmith\.dataset, found nothing"):
        open_dataset(tmp_path / "nothing.zarr")
    with pytest.raises(DataError, match=r"'holdout'.*test"):
        dataset.split("holdout")
    with pytest.raises(DataError, match=r"'a_m'.*teff"):
        dataset.split("train").label("a_m")
    for rows in ([100], [-1]):
        with pytest.raises(DataError, match=r"rows 0\.\.99"):
            dataset.split("train").observe(np.array(rows))
