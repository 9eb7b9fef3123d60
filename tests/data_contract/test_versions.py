"""Files of earlier versions: read, verified and repaired; those of later ones refused."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr

from starsmith.data_contract.checks.repair import repair_dataset
from starsmith.data_contract.checks.summary import describe
from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import DataError
from tests.conftest import make_noise_tables
from tests.data_contract.test_repair import ExampleRemaker

V1 = Path(__file__).with_name("dataset_v1.zip")
V1_DIGEST = "00d38ffed9e128ea0021a3e791489a3dc1a31eb52e9c8ae86ebba678ad5a1ead"


@pytest.fixture
def first_version(tmp_path):
    """A dataset of schema version 1 as the first release wrote it, and what it held."""
    with zipfile.ZipFile(V1) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "data.zarr", np.load(tmp_path / "expected.npz")


def test_the_first_version_is_read_to_the_same_values(first_version):
    """Labels and noiseless flux exactly, noisy flux and error to 1e-6 whatever machine reads."""
    path, expected = first_version
    dataset = open_dataset(path)
    test = dataset.split("test")
    view = test.observe()

    assert dataset.digest == V1_DIGEST
    assert dataset.header.schema_version == 1
    np.testing.assert_array_equal(test.labels, expected["labels"])
    np.testing.assert_array_equal(test.snr, expected["snr"])
    assert test.snr_p95 is None
    np.testing.assert_array_equal(test.flux_model(), expected["flux_model"])
    np.testing.assert_allclose(view.flux, expected["flux"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(view.error, expected["error"], rtol=1e-6)


def test_the_first_version_verifies_is_described_and_repaired(first_version):
    """Nothing asks it for what came later; a lost shard comes back bit for bit."""
    path, _ = first_version
    assert verify_dataset(path).problems == []
    assert describe(path)["finished"]
    (path / "train/mag/c/1").unlink()
    wave = 8500.0 + 0.43 * np.arange(48)

    done = repair_dataset(path, lambda run: ExampleRemaker(make_noise_tables(wave)))

    assert done.shards == {"train-00001": True}
    assert done.digest == V1_DIGEST
    assert not (path / "DATASET.md").exists()


def test_a_later_version_is_refused_by_number(copy):
    """A file from the future says what it is and what is read here."""
    group = zarr.open_group(copy, mode="r+")
    group.attrs["schema_version"] = 99
    with pytest.raises(DataError, match="version 99, this starsmith reads version 1 and 2"):
        open_dataset(copy)
    group.attrs["schema_version"] = 2
    run = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**run, "schema_version": 99}))
    with pytest.raises(DataError, match="schema_version 99 is not one of"):
        open_dataset(copy)
