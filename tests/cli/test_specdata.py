"""``specdata``: what is in a file, and whether all of it is intact."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import zarr

from starsmith.cli.data.info import dataset_page
from starsmith.data_contract.dataset.manifest import hash_file, read_manifest
from starsmith.data_contract.exchange.published import read_published
from starsmith.data_contract.text_tables import text_tree
from tests.cli.conftest import call


def test_info_tells_data_sets_from_banks(dataset, bank_file):
    data = json.loads(call("specdata info --json", dataset).stdout)
    bank = json.loads(call("specdata info --json", bank_file).stdout)

    assert (data["kind"], bank["kind"]) == ("dataset", "bank")
    assert data["counts"] == {"train": 400, "val": 50, "test": 50}
    assert "notice" in call("specdata info", bank_file).stdout


def test_info_prints_the_card_and_draws_distributions(dataset, bank_file, tmp_path):
    """A page a person reads: origin, ranges, S/N; a figure of data sets only."""
    done = call("specdata info", dataset, "--plot", tmp_path / "data.png")
    page = done.stdout

    assert done.exit_code == 0, done.stderr
    assert (dataset / "DATASET.md").read_text() in page
    assert "kB per spectrum" in page
    assert (tmp_path / "data.png").stat().st_size > 10_000
    refused = call("specdata info", bank_file, "--plot", tmp_path / "bank.png")
    assert refused.exit_code == 2
    assert not (tmp_path / "bank.png").exists()


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


def test_info_prints_instruments_as_a_block(dataset, bank_file):
    """A line for each arm of a data set; every entry of a bank's arms on lines of its own."""
    page = dataset_page(
        json.loads(call("specdata info --json", dataset).stdout) | {"instrument": INSTRUMENT}
    )
    tree = text_tree({"instrument": INSTRUMENT})

    assert "toy: one arm\n  red      710-885 nm, 3 pixels, LSF FWHM 3-3.1 pixels" in page
    assert "{" not in tree
    assert "\n    red\n      wave_min_nm     710\n" in tree
    assert max(len(line) for line in tree.splitlines()) <= 100


INSTRUMENT = {
    "name": "toy",
    "description": "one arm",
    "arms": [
        {
            "name": "red",
            "wave_min_nm": 710.0,
            "wave_max_nm": 885.0,
            "n_pixel": 3,
            "lsf_fwhm_pixel": [3.0, 3.1],
            "throughput": [0.25] * 50,
        }
    ],
}


def test_an_unfinished_data_set_says_how_far_it_is_and_how_to_go_on(bank_file, tmp_path):
    """Part of the shards: a page, not every number of the header; one finding for each split."""
    out = tmp_path / "part.zarr"
    line = "specsim generate -n 200 --shard-rows 16 --workers 1 --shards 0:2"
    assert call(line, "--bank", bank_file, "--out", out).exit_code == 0

    page, verified = call("specdata info", out).stdout, call("specdata verify --json", out)

    assert "unfinished  2 of 14 shards of 16 rows" in page
    assert f"`specdata finish {out}`" in page
    assert verified.exit_code == 3
    assert json.loads(verified.stdout)["problems"][1:] == [
        f"split {split}: {n} shard(s) are not written yet"
        for split, n in {"train": 8, "val": 2, "test": 2}.items()
    ]


def test_rows_that_are_not_what_their_keys_make_are_found_and_put_back(dataset, tmp_path):
    """Labels and spectra edited and every hash written again: only making them again tells."""
    path = shutil.copytree(dataset, tmp_path / "data.zarr")
    zarr.open_array(path / "val/logg", mode="r+")[3] = 2.5
    flux = zarr.open_array(path / "train/flux_model", mode="r+")
    flux[399, 10] = 2 * flux[399, 10]
    (path / "manifest.json").unlink()
    for sidecar in (path / "shards").iterdir():
        content = json.loads(sidecar.read_text())
        content["files"] = {name: hash_file(path / name) for name in content["files"]}
        sidecar.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    assert call("specdata finish", path).exit_code == 0

    plain, again = call("specdata verify", path), call("specdata verify --remake", path)
    mended = call("specdata repair --remake", path)

    assert (plain.exit_code, again.exit_code) == (0, 3)
    assert "shard train-00000: flux_model (by 1) not what its keys make" in again.stderr
    assert "shard val-00000: logg" in again.stderr
    assert mended.exit_code == 0, mended.stderr
    assert read_manifest(path).digest == read_manifest(dataset).digest
    assert "every row what its key makes" in call("specdata verify --remake", path).stdout


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


def test_repair_finds_the_recorded_bank_and_gives_the_recorded_bits(dataset, tmp_path):
    """A lost shard and an edited header come back from what the data set says of itself."""
    copy = shutil.copytree(dataset, tmp_path / "data.zarr")
    (copy / "train/flux_model/c/0/0").unlink()
    (copy / "run.json").write_text("{}")

    done = call("specdata repair", copy)
    again = json.loads(call("specdata repair --json", copy).stdout)

    assert done.exit_code == 0, done.stderr
    assert "train/flux_model/c/0/0 is missing" in done.stderr
    assert "1 shard(s) and 1 other file(s) made again; the bits that were recorded" in done.stdout
    assert call("specdata verify", copy).exit_code == 0
    assert read_manifest(copy).digest == read_manifest(dataset).digest == again["digest"]
    assert again["findings"] == again["shards"] == []


def test_repair_takes_another_bank_only_if_it_makes_the_same_spectra(
    dataset, toy_bank, bank_file, tmp_path
):
    """A bank with other noise tables is refused, the right one under another name is not."""
    copy = shutil.copytree(dataset, tmp_path / "data.zarr")
    (copy / "test/flux_model/c/0/0").unlink()
    other = replace(toy_bank, coef=toy_bank.coef * np.float32(1.001), band_coef=toy_bank.band_coef)
    other.save(tmp_path / "other.zarr")
    same = shutil.copytree(bank_file, tmp_path / "same.zarr")

    refused = call("specdata repair", copy, "--bank", tmp_path / "other.zarr")
    done = call("specdata repair", copy, "--bank", same)

    assert refused.exit_code == 2
    assert "differs from what is intact" in refused.stderr
    assert done.exit_code == 0, done.stderr


def test_splits_are_fixed_once_and_for_all(dataset, bank_file):
    """Another division of the same data set is refused; nothing is moved between splits."""
    line = "specsim generate --splits train=300,val=100,test=100 --seed 7 --workers 1"
    done = call(line, "--bank", bank_file, "--out", dataset)
    assert done.exit_code == 2
    assert "counts" in done.stderr
    assert read_manifest(dataset).run["counts"] == {"train": 400, "val": 50, "test": 50}


def test_leakage_is_told_by_exit_code(dataset, tmp_path):
    """Nothing wrong with a copy; a test file under the name of a training file is a leak."""
    pytest.importorskip("tables")
    copy = shutil.copytree(dataset, tmp_path / "copy.zarr")
    call("specdata convert", dataset, tmp_path / "published")
    moved = (tmp_path / "published" / "test.h5").rename(tmp_path / "train.h5")

    apart = call("specdata check-leakage", dataset, copy)
    leak = call("specdata check-leakage", dataset, moved)

    assert apart.exit_code == 0
    assert "LEAK" not in apart.stdout
    assert leak.exit_code == 3
    assert "share 50 spectra by draw key" in leak.stderr
    assert call("specdata check-leakage", dataset).exit_code == 2
