"""Precision ``noise``: fluxes in steps of the noise, decoded and held against those written."""

import json
from itertools import permutations

import numpy as np
import pytest
import zarr

from starsmith.data_contract.checks.remade import compare_with_keys
from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset.manifest import hash_file
from starsmith.data_contract.dataset.precision import STEPS_PER_SIGMA, stored_bits
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.shards import Shard, finish_dataset
from starsmith.data_contract.dataset.split_columns import check_column
from starsmith.data_contract.dataset.stored_spectra import background_sigma
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.conversion import convert_store
from tests.data_contract.example import file_bytes, make_columns, make_header, write_example
from tests.data_contract.test_repair import ExampleRemaker, mend

__all__ = ["mend"]

KINDS = [(store, p) for store in STEPS_PER_SIGMA for p in ("relative", "noise")]


@pytest.fixture(scope="module")
def stores(noise, tmp_path_factory):
    """The same stars in both stores that hold flux, in both precisions."""
    folder = tmp_path_factory.mktemp("precisions")
    for store, precision in KINDS:
        header = make_header(noise, store=store, **stored_bits(store, precision))
        write_example(folder / f"{store}-{precision}", header)
    return folder


@pytest.mark.parametrize(("store", "name"), [("noiseless", "flux_model"), ("frozen", "flux")])
def test_decoded_flux_is_within_half_a_step_of_the_noise(store, name, stores):
    """A step is at most 1/32 (1/16) of the sigma without a star, which is below the star's own."""
    coarse = open_dataset(stores / f"{store}-noise")
    header = coarse.header
    made = make_columns(header, Shard("train", 0, 0, 32))
    columns = {key: values[:32] for key, values in made.items()}

    stored = zarr.open_array(stores / f"{store}-noise" / "train" / name, mode="r")[:32]

    part = STEPS_PER_SIGMA[store]
    sigma = background_sigma(header, "train", columns)
    rounding = np.abs(made[name]) * 2.0 ** -(header.kept_bits(name) + 1)
    assert (np.abs(stored - made[name]) <= 0.5 * sigma / part + rounding).all()
    step = 2.0 ** np.floor(np.log2(sigma.astype(np.float64) / part))  # a power of two
    assert np.array_equal(stored / step, np.rint(stored / step))


def test_the_steps_add_no_variance_that_is_seen(stores):
    """Uniform within a step of 1/32 sigma at most: 0.008 % of the noise's variance."""
    fine = open_dataset(stores / "noiseless-relative").split("train")
    coarse = open_dataset(stores / "noiseless-noise").split("train")
    sigma = background_sigma(fine.header, "train", fine.draws.columns | {"index": fine.draws.index})

    moved = (coarse.flux_model() - fine.flux_model()) / sigma

    assert moved.var() < 1.0 / 12.0 / 32.0**2


@pytest.mark.parametrize("store", STEPS_PER_SIGMA)
def test_keys_labels_and_signal_to_noise_keep_their_bits(store, stores):
    """Rounding acts on the spectra alone, after everything was computed from them."""
    first, second = (open_dataset(stores / f"{store}-{p}") for p in ("relative", "noise"))
    for name in first.header.columns:
        if not first.header.columns[name].is_flux:
            for split in first.header.counts:
                one, other = (data.split(split).column(name) for data in (first, second))
                assert np.array_equal(one, other), name


@pytest.mark.parametrize("store", STEPS_PER_SIGMA)
def test_a_store_in_steps_is_verified_repaired_and_made_again(store, stores, noise, mend, tmp_path):
    """Its shards come back to the byte, and a flux that is off the steps is found."""
    write_example(tmp_path / "data", make_header(noise, store=store, **stored_bits(store, "noise")))
    before = file_bytes(tmp_path / "data")
    assert before == file_bytes(stores / f"{store}-noise")
    assert not verify_dataset(tmp_path / "data").findings
    assert not compare_with_keys(tmp_path / "data", ExampleRemaker(noise))
    name = "flux_model" if store == "noiseless" else "flux"
    file = tmp_path / "data" / "train" / name / "c" / "1" / "0"
    file.write_bytes(file.read_bytes()[:-900])
    assert verify_dataset(tmp_path / "data").findings
    mend(tmp_path / "data")
    assert file_bytes(tmp_path / "data") == before


WAYS = [way for way in permutations(KINDS, 2) if ("noiseless", "noise") in way]


@pytest.mark.parametrize(("first", "second"), WAYS)
def test_conversions_give_what_would_be_written_directly(first, second, stores, noise, tmp_path):
    """Steps cannot be undone: what is finer comes from the bank, else conversion is refused."""
    dataset = open_dataset(stores / "-".join(first))
    if first != ("noiseless", "relative"):
        with pytest.raises(DataError, match="takes the bank"):
            convert_store(dataset, tmp_path / "no.zarr", second[0], precision=second[1])
    remaker = ExampleRemaker(noise)
    out = tmp_path / "out.zarr"
    convert_store(dataset, out, second[0], remaker, precision=second[1])
    assert file_bytes(out) == file_bytes(stores / "-".join(second))


def test_a_flux_off_its_steps_is_found(stores, noise, tmp_path):
    """Written past the rounding, with hashes that fit: verify computes the steps itself."""
    header = make_header(noise, **stored_bits("noiseless", "noise"))
    write_example(tmp_path / "data", header)
    fine = open_dataset(stores / "noiseless-relative").split("train").flux_model(slice(32))
    array = zarr.open_array(tmp_path / "data" / "train" / "flux_model", mode="r+")
    array[:32] = fine
    sidecar = tmp_path / "data" / "shards" / "train-00000.json"
    told = json.loads(sidecar.read_text())
    told["files"]["train/flux_model/c/0/0"] = hash_file(tmp_path / "data/train/flux_model/c/0/0")
    sidecar.write_text(json.dumps(told))
    (tmp_path / "data" / "manifest.json").unlink()
    finish_dataset(tmp_path / "data")
    texts = [finding.text for finding in verify_dataset(tmp_path / "data").findings]
    assert any("not in the declared steps of its noise" in text for text in texts), texts


def test_a_codec_is_not_the_file_s_choice(stores, noise, tmp_path):
    """A spectrum packed otherwise than its header says is refused before a byte is decoded."""
    write_example(tmp_path / "data", make_header(noise, **stored_bits("noiseless", "noise")))
    about = tmp_path / "data" / "train" / "flux_model" / "zarr.json"
    other = stores / "noiseless-relative" / "train" / "flux_model" / "zarr.json"
    about.write_bytes(other.read_bytes())
    header = open_dataset(stores / "noiseless-noise").header
    with pytest.raises(DataError, match="codec lz4, expected zstd"):
        check_column(tmp_path / "data", "train", header.columns["flux_model"], header)


def test_keys_have_no_precision(noise):
    """Nothing is stored that could be rounded."""
    with pytest.raises(DataError, match="holds no simulated flux"):
        make_header(noise, store="keys", **stored_bits("keys", "noise"))
