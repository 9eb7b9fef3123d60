"""``specdata``: what is in a file, and whether all of it is intact."""

import json
import shutil

import numpy as np
import pytest

from starsmith.data_contract.published import read_published
from tests.cli.conftest import call


def test_info_tells_data_sets_from_banks(dataset, bank_file):
    data = json.loads(call("specdata info --json", dataset).stdout)
    bank = json.loads(call("specdata info --json", bank_file).stdout)

    assert (data["kind"], bank["kind"]) == ("dataset", "bank")
    assert data["counts"] == {"train": 400, "val": 50, "test": 50}
    assert "notice" in call("specdata info", dataset).stdout


def test_an_intact_data_set_verifies(dataset):
    done = call("specdata verify --json", dataset)

    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["ok"]


def test_one_flipped_bit_is_found(dataset, tmp_path):
    """Exit code 3, and the file is named."""
    copy = tmp_path / "data.zarr"
    shutil.copytree(dataset, copy)
    chunk = next(file for file in sorted((copy / "test" / "flux_model").rglob("*/0/0")))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)

    done = call("specdata verify", copy)

    assert done.exit_code == 3
    assert "flux_model" in done.stderr


def test_published_layout_is_exported_once(dataset, tmp_path):
    pytest.importorskip("tables")

    done = call("specdata convert", dataset, tmp_path / "published")
    again = call("specdata convert", dataset, tmp_path / "published")
    kind = json.loads(call("specdata info --json", tmp_path / "published" / "val.h5").stdout)[
        "kind"
    ]

    assert done.exit_code == 0, done.stderr
    assert [line.split("/")[-1] for line in done.stdout.split()] == [
        "train.h5",
        "val.h5",
        "test.h5",
    ]
    assert again.exit_code == 2
    assert kind == "published"


def test_keys_store_finds_its_bank_and_gives_the_same_spectra(bank_file, tmp_path):
    """Storing keys costs no spectra: what is exported equals the noiseless store's export."""
    exported = []
    for store in ("noiseless", "keys"):
        out = tmp_path / f"{store}.zarr"
        line = f"specsim generate -n 20 --workers 1 --store {store}"
        assert call(line, "--bank", bank_file, "--out", out).exit_code == 0
        pytest.importorskip("tables")
        assert call("specdata convert", out, tmp_path / store).exit_code == 0
        exported.append(read_published(tmp_path / store / "val.h5").flux)

    np.testing.assert_array_equal(*exported)


def test_hdf5_format_exports_what_convert_does(bank_file, tmp_path):
    """The exported files equal those of `specdata convert`; a second run finds all complete."""
    pytest.importorskip("tables")
    out = tmp_path / "both"
    line = "specsim generate -n 20 --workers 1 --format hdf5"

    done = call(line, "--bank", bank_file, "--out", out)
    again = call(line, "--bank", bank_file, "--out", out)
    call("specdata convert", out / "dataset.zarr", tmp_path / "converted")

    assert done.exit_code == again.exit_code == 0, done.stderr
    assert "already complete" in again.stdout
    for name in ("train.h5", "val.h5", "test.h5"):
        ours, theirs = read_published(out / name), read_published(tmp_path / "converted" / name)
        np.testing.assert_array_equal(ours.flux, theirs.flux)
        np.testing.assert_array_equal(ours.label("logg"), theirs.label("logg"))
    assert call(f"{line} --store frozen", "--bank", bank_file, "--out", out).exit_code == 2
