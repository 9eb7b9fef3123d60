"""Leakage: the same spectrum in training here and in a test there is found, by any identity."""

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract.checks.leakage import find_shared
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.shards import finish_dataset, plan_shards, write_shard
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.published import write_published
from tests.data_contract.example import make_columns, make_header, write_example


def test_the_same_run_twice_shares_splits_but_leaks_nothing(pristine, copy):
    """Train with train and test with test: a star is never on both sides."""
    shared = find_shared([pristine, copy])
    assert {(s.first.split()[-1], s.second.split()[-1]) for s in shared} == {
        (name, name) for name in ("train", "val", "test")
    }
    assert {s.by for s in shared} == {"draw key", "star and sky"}
    assert not any(s.leak for s in shared)


def test_other_seeds_share_nothing(pristine, noise, tmp_path):
    write_example(tmp_path / "other.zarr", make_header(noise, seed=6))
    assert find_shared([pristine, tmp_path / "other.zarr"]) == []


def test_stars_of_a_test_split_under_training_keys_are_found(pristine, noise, tmp_path):
    """A copy with keys of its own: contents give it away."""
    path = tmp_path / "mixed.zarr"
    header = make_header(noise, seed=6)
    write_example(path, header)
    stolen = plan_shards(header.counts, header.shard_rows)[-2]
    columns = make_columns(make_header(noise), stolen)  # 32 test stars of seed 5
    write_shard(path, header, plan_shards(header.counts, header.shard_rows)[0], columns)
    finish_dataset(path)
    (leak,) = find_shared([pristine, path])
    assert (leak.leak, leak.n_spec, leak.by) == (True, 32, "star and sky")
    assert str(leak).endswith("mixed.zarr train share 32 spectra by star and sky")


def test_exported_files_are_known_by_draw_key(pristine, tmp_path):
    """A test file renamed to train.h5 is caught, also against the dataset it came from."""
    pytest.importorskip("tables", reason="tables comes with starsmith[hdf5]")
    write_published(open_dataset(pristine), tmp_path)
    (tmp_path / "test.h5").rename(tmp_path / "moved.h5")
    (tmp_path / "moved.h5").rename(tmp_path / "train.h5")
    leaks = [s for s in find_shared([pristine, tmp_path / "train.h5"]) if s.leak]
    assert [(s.first.split()[-1], s.n_spec) for s in leaks] == [("test", 40)]


def test_surveys_are_compared_by_identifier(tmp_path):
    """Gaia source_id in any case of letters; without a common identity nothing is claimed."""
    Table({"SOURCE_ID": np.arange(10, 20), "x": np.ones(10)}).write(tmp_path / "a.ecsv")
    Table({"source_id": np.arange(17, 30)}).write(tmp_path / "b.csv")
    Table({"targetid": np.arange(5)}).write(tmp_path / "c.fits")
    Table({"name": ["sun"]}).write(tmp_path / "d.ecsv")
    (leak,) = find_shared([tmp_path / "a.ecsv", tmp_path / "b.csv"])
    assert (leak.by, leak.n_spec, leak.leak) == ("source_id", 3, True)
    with pytest.raises(DataError, match="no identity in common"):
        find_shared([tmp_path / "a.ecsv", tmp_path / "c.fits"])
    with pytest.raises(DataError, match="none of the identifiers"):
        find_shared([tmp_path / "a.ecsv", tmp_path / "d.ecsv"])


def test_a_survey_star_is_the_same_however_its_name_is_stored(tmp_path):
    """FITS keeps bytes with blanks, ECSV text; whole numbers may be text; any column may tell."""
    Table({"APOGEE_ID": ["2M1 ", "2M2"], "targetid": [7, 8]}).write(tmp_path / "a.fits")
    Table({"apogee_id": ["2M1", ""], "source_id": [5, 6]}).write(tmp_path / "b.ecsv")
    Table({"TARGETID": ["8", " 9"], "source_id": [6.0, 4.0]}).write(tmp_path / "c.ecsv")

    def found(first, second):
        shared = find_shared([tmp_path / first, tmp_path / second])
        return [(entry.by, entry.n_spec) for entry in shared]

    assert found("a.fits", "b.ecsv") == [("apogee_id", 1)]
    assert found("a.fits", "c.ecsv") == [("targetid", 1)]
    assert found("b.ecsv", "c.ecsv") == [("source_id", 1)]


def test_rounded_identifiers_are_refused(tmp_path):
    """Gaia's source_id has 19 digits: as floating-point numbers different stars look alike."""
    Table({"source_id": np.array([2**53 + 1])}).write(tmp_path / "a.ecsv")
    Table({"source_id": np.array([2.0**53])}).write(tmp_path / "b.fits")
    with pytest.raises(DataError, match=r"b.fits: source_id .* whole numbers or text"):
        find_shared([tmp_path / "a.ecsv", tmp_path / "b.fits"])
