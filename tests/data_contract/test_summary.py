"""Descriptions: four kinds of file told apart and counted."""

import json

import numpy as np
import pytest

from starsmith.data_contract.checks.summary import describe, identify
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.shards import plan_shards
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.grid.grid_file import GridData, write_grid
from tests.data_contract.example import COUNTS, make_header, write_example


def test_a_dataset_is_counted(pristine):
    """Counts, label ranges, S/N histogram and size agree with the data themselves."""
    summary = describe(pristine)
    dataset = open_dataset(pristine)
    assert (summary["kind"], summary["counts"], summary["finished"]) == ("dataset", COUNTS, True)
    for name, split in dataset.splits.items():
        histogram = summary["snr"][name]
        assert sum(histogram.values()) == len(split)
        assert histogram["5..7"] == ((split.snr >= 5) & (split.snr < 7)).sum()
    assert summary["bytes_per_spectrum"] == pytest.approx(summary["bytes"] / 180)
    low, high = summary["ranges"]["teff"]
    assert 4000 <= low < high <= 6000
    assert summary["digest"] == dataset.digest
    json.dumps(summary)


def test_an_unfinished_dataset_says_so(noise, tmp_path):
    """Half a dataset is described without being opened."""
    header = make_header(noise)
    plan = plan_shards(header.counts, header.shard_rows)
    write_example(tmp_path / "data.zarr", header, shards=plan[:3])
    summary = describe(tmp_path / "data.zarr")
    assert not summary["finished"]
    assert summary["shards"] == {"written": 3, "planned": 8, "rows": 32}
    assert summary["bytes_per_spectrum"] == pytest.approx(summary["bytes"] / 96)
    write_example(tmp_path / "empty.zarr", header, shards=[])
    assert describe(tmp_path / "empty.zarr")["bytes_per_spectrum"] is None


def test_grid_bank_and_hdf5(toy_bank, pristine, tmp_path):
    """Each says what it is."""
    toy_bank.save(tmp_path / "bank.zarr")
    summary = describe(tmp_path / "bank.zarr")
    assert (summary["kind"], summary["nodes"]) == ("bank", 150)
    assert summary["axes"]["teff"] == {"n": 6, "range": [3750.0, 6000.0]}
    valid = np.array([True, False, True])
    write_grid(
        tmp_path / "grid.zarr",
        GridData(
            name="tiny",
            axes={"teff": np.array([4000.0, 5000.0, 6000.0])},
            wave=np.arange(8000.0, 8010.0),
            flux=np.ones((3, 10), np.float32),
            resolution=1e4,
            valid=valid,
        ),
    )
    summary = describe(tmp_path / "grid.zarr")
    assert (summary["kind"], summary["nodes"], summary["holes"]) == ("grid", 3, 1)
    json.dumps(summary)


def test_a_published_file_is_described(pristine, tmp_path):
    """Columns under their published names."""
    pytest.importorskip("tables", reason="tables comes with starsmith[hdf5]")
    from starsmith.data_contract.exchange.published import write_published

    write_published(open_dataset(pristine), tmp_path)
    summary = describe(tmp_path / "test.h5")
    assert summary["counts"] == {"spectra": 40}
    assert summary["ranges"]["log_g"][0] >= 1.0


def test_anything_else_is_refused(tmp_path):
    """Nothing, a folder, a text file."""
    (tmp_path / "a.txt").write_text("text")
    for path in (tmp_path / "nothing", tmp_path, tmp_path / "a.txt"):
        with pytest.raises(DataError, match=str(path)):
            identify(path)
