"""The header: complete at birth, equal after a round trip, refused when it contradicts itself."""

import json

import numpy as np
import pytest

from starsmith.data_contract.dataset.schema import DatasetHeader, stored_bits
from starsmith.data_contract.dataset.split_columns import is_rounded, open_column, read_rows
from starsmith.data_contract.differing_keys import differing_keys
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.noise.view import NoiseTables
from tests.data_contract.example import make_header, write_example


def test_header_survives_json(noise):
    """What is read back equals what was written, entry by entry."""
    header = make_header(noise, config={"mag": (20.5, 22.5), "out": "data.zarr"})
    run = json.loads(json.dumps(header.run()))
    again = DatasetHeader.from_run(run, header.wave, noise)
    assert differing_keys(again.run(), header.run()) == []


def test_header_names_what_it_was_given_wrong(noise):
    """All faults in one message."""
    with pytest.raises(DataError) as caught:
        make_header(
            noise,
            store="noisy",
            keep_bits=23,
            shard_rows=100,
            error_kind="true",
            label_names=("logg", "teff"),
            prior={"teff": (6000, 4000)},
            counts={"train": 10, "holdout": 3},
        )
    for word in ("noisy", "23", "100", "'true'", "logg", "teff", "holdout"):
        assert word in str(caught.value)


def test_entries_that_earlier_files_lack_have_what_those_files_have(noise):
    """Chunks of 16 spectra, and errors that keep the bits of their flux."""
    run = make_header(noise, store="frozen", keep_bits=10).run()
    assert not {"chunk_rows", "error_bits"} & set(run)
    again = DatasetHeader.from_run(run, noise.wave, noise)
    assert (again.chunk_rows, again.kept_bits("flux"), again.kept_bits("error")) == (16, 10, 10)


def test_a_frozen_error_keeps_the_bits_declared_for_it(noise, tmp_path):
    """Seven for the error, ten for the flux; decoded 64 spectra at a time."""
    settings = {"counts": {"train": 64}, "shard_rows": 64, "chunk_rows": 64}
    header = make_header(noise, store="frozen", **stored_bits("frozen"), **settings)
    write_example(tmp_path / "frozen.zarr", header)
    for name, bits in (("flux", 10), ("error", 7)):
        column = open_column(tmp_path / "frozen.zarr", "train", name)
        assert column.chunks[0] == 64
        assert is_rounded(read_rows(column), bits)
        assert not is_rounded(read_rows(column), bits - 1)


def test_header_refuses_a_seed_that_wraps(noise):
    """Seed 2^32 would be seed 0."""
    with pytest.raises(ConfigError, match="seed"):
        make_header(noise, seed=2**32)


def test_header_refuses_foreign_noise_tables(noise):
    """Tables of another instrument do not pass for the run's own."""
    run = make_header(noise).run()
    other = NoiseTables.from_arrays({**noise.arrays(), "read_variance": np.array(81.0)})
    with pytest.raises(DataError, match="noise_sha256"):
        DatasetHeader.from_run(run, noise.wave, other)
    with pytest.raises(DataError, match="seed"):
        DatasetHeader.from_run({k: v for k, v in run.items() if k != "seed"}, noise.wave, noise)


def test_differing_keys_are_dotted():
    """The message says which entry of which table."""
    first = {"config": {"mag": [20, 21], "n": 5}, "seed": 0}
    second = {"config": {"mag": [20, 22], "n": 5}, "seed": 0, "extra": 1}
    assert differing_keys(first, second) == ["config.mag", "extra"]
    assert differing_keys(first, first) == []
