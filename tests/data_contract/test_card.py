"""The dataset card, and what other programs see: names, units, coordinates."""

from pathlib import Path

import numpy as np
import pytest

from starsmith.data_contract.checks.summary import describe
from starsmith.data_contract.checks.verify import fingerprints, verify_dataset
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.schema import MEANINGS, stored_bits
from starsmith.data_contract.dataset.shards import (
    create_dataset,
    finish_dataset,
    plan_shards,
    write_shard,
)
from starsmith.data_contract.quantities import CONDITIONS, UNITS
from tests.data_contract.example import (
    COUNTS,
    LABELS,
    PRIOR,
    make_columns,
    make_header,
    write_example,
)


def test_the_card_tells_origin_ranges_and_signal_to_noise(pristine):
    """It is a file of the dataset, and its numbers are those of the data."""
    text = (pristine / "DATASET.md").read_text()
    dataset = open_dataset(pristine)

    assert "EXAMPLE" in text
    for name in (*LABELS, "mag", *CONDITIONS):
        assert f"| {name} " in text
    for word in ("Licence", "Citation", "seed 5", "vacuum", "100 train, 40 val, 40 test"):
        assert word in text
    medians = [f"{np.median(dataset.split(name).snr):.2f}" for name in COUNTS]
    assert medians == text.split("| median ")[-1].split("\n")[0].replace("|", " ").split()
    assert describe(pristine)["card"]["text"] == text


def test_velocities_and_dust_are_on_the_card_where_stars_have_them(noise, tmp_path):
    """Every column of the draws is told, with its meaning; and both decide whose star it is."""
    prior = PRIOR | {"rv": (-100.0, 100.0), "ebv": (0.0, 0.3)}
    header = make_header(noise, prior=prior)
    create_dataset(tmp_path / "data.zarr", header)
    for shard in plan_shards(header.counts, header.shard_rows):
        key = np.arange(shard.start, shard.stop)
        own = {"rv": 10.0 - key, "ebv": 0.3 * key / 1000}
        write_shard(tmp_path / "data.zarr", header, shard, make_columns(header, shard) | own)
    finish_dataset(tmp_path / "data.zarr")

    text = (tmp_path / "data.zarr/DATASET.md").read_text()

    assert "| rv  " in text
    assert "| ebv  " in text
    assert "reddening E(B-V)" in text
    assert verify_dataset(tmp_path / "data.zarr").ok
    prints = fingerprints(tmp_path / "data.zarr", "train", header)
    still = fingerprints(tmp_path / "data.zarr", "train", make_header(noise))
    assert not np.isin(prints[11:], still).any()


def test_the_card_is_the_same_bytes_whoever_makes_it(noise, pristine, tmp_path):
    """No date, host or path: two runs have one digest."""
    digest = write_example(tmp_path / "elsewhere.zarr", make_header(noise)).digest
    assert digest == open_dataset(pristine).digest


def test_every_column_has_a_meaning_and_a_unit(pristine):
    columns = open_dataset(pristine).header.columns
    assert set(columns) <= set(MEANINGS)
    assert set(columns) <= set(UNITS)


@pytest.mark.parametrize("split", list(COUNTS))
def test_xarray_opens_a_split_with_wave_as_its_coordinate(pristine, split):
    """Dimensions, units and the vacuum are in the file; no reader of ours is needed."""
    xarray = pytest.importorskip("xarray", reason="xarray comes with starsmith[view]")

    opened = xarray.open_zarr(pristine, group=split, consolidated=False)

    flux = opened["flux_model"]
    assert flux.dims == ("spectrum", "wavelength")
    assert flux.attrs["units"] == UNITS["flux_model"]
    assert flux.coords["wave"].dims == ("wavelength",)
    assert flux.coords["wave"].attrs["units"] == "Angstrom"
    assert flux.coords["wave"].attrs["medium"] == "vacuum"
    assert flux.coords["wave"].attrs["standard_name"] == "radiation_wavelength"
    assert opened["logg"].attrs == {"units": "dex(cm s-2)", "long_name": "surface gravity"}
    stored = open_dataset(pristine).split(split)
    np.testing.assert_array_equal(opened["index"], stored.draws.index)
    assert opened["index"].dtype == np.int64
    np.testing.assert_array_equal(flux[5].compute(), stored.flux_model(np.array([5]))[0])
    np.testing.assert_array_equal(flux.coords["wave"], stored.wave)


@pytest.mark.parametrize("store", ["noiseless", "frozen", "keys"])
def test_the_card_is_the_golden_file(noise, tmp_path, store):
    """A person reads it whole, so it is compared whole; each store says what it keeps."""
    write_example(tmp_path / "data.zarr", make_header(noise, store=store, **stored_bits(store)))
    text = (tmp_path / "data.zarr/DATASET.md").read_text()
    assert text == (Path(__file__).parent / f"golden_card_{store}.txt").read_text()


def test_the_card_of_a_data_set_of_version_2_keeps_its_bytes(noise, tmp_path):
    """It is hashed, and a repair writes it again: its sentence by letters stays."""
    write_example(tmp_path / "data.zarr", make_header(noise, schema_version=2))

    text = (tmp_path / "data.zarr/DATASET.md").read_text()

    assert "Stored: n with 12 mantissa bits (relative rounding 2^-13) and o with 12" in text
    assert verify_dataset(tmp_path / "data.zarr").ok
