"""Verification: whatever is done to a dataset, it is found and named."""

import json
import shutil

import numpy as np
import pytest
import zarr

from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset.manifest import (
    dataset_files,
    hash_file,
    make_manifest,
    read_manifest,
    write_manifest,
)
from starsmith.data_contract.dataset.shards import finish_dataset, plan_shards, write_shard
from starsmith.data_contract.errors import ContractError, DataError
from tests.data_contract.example import make_columns, make_header, write_example


def said(path):
    return " | ".join(verify_dataset(path).problems)


@pytest.mark.parametrize("store", ["noiseless", "frozen", "keys"])
def test_an_untouched_dataset_is_well(noise, tmp_path, store):
    """No false alarms, and every file was read."""
    path = tmp_path / "data.zarr"
    write_example(path, make_header(noise, store=store))
    report = verify_dataset(path)
    assert report.problems == []
    report.require()
    assert report.n_files == len(read_manifest(path).files)


def test_a_flipped_bit_anywhere_is_found(pristine, tmp_path):
    """One random bit in one file after the other, the manifest included; shards by name."""
    rng = np.random.default_rng(0)
    path = shutil.copytree(pristine, tmp_path / "data.zarr")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    chosen = rng.choice(len(files), 15, replace=False)
    for file in {path / "manifest.json", path / "run.json", path / "zarr.json"} | {
        files[k] for k in chosen
    }:
        whole = file.read_bytes()
        raw = bytearray(whole)
        raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
        file.write_bytes(raw)
        report = verify_dataset(path)
        name = file.relative_to(path).as_posix()
        assert not report.ok, name
        assert any(name in problem for problem in report.problems), (name, report.problems)
        if "/c/" in name and name.split("/")[0] in ("train", "val", "test"):
            split, _, _, number, *_ = name.split("/")
            assert f"shard {split}-{int(number):05d}" in report.problems[0]
        file.write_bytes(whole)
    assert verify_dataset(path).ok


def test_missing_extra_and_truncated_files_are_named_together(copy):
    """All violations at once, with the repair; the error shows what to do."""
    (copy / "train/flux_model/c/2/0").unlink()
    (copy / "test/mag/c/1").write_bytes(b"")
    (copy / "val/teff/c/7").write_bytes(b"stray")
    (copy / "notes.txt").write_text("stray")
    report = verify_dataset(copy)
    said = " | ".join(report.problems)
    assert "shard train-00002: train/flux_model/c/2/0 is missing" in said
    assert "shard test-00001: test/mag/c/1 has 0 bytes" in said
    assert "shard val-00007: val/teff/c/7 is not in the manifest" in said
    assert "notes.txt is not in the manifest" in said
    assert f"`specdata repair {copy}` makes it again" in said
    with pytest.raises(ContractError, match="train-00002") as caught:
        report.require()
    assert caught.value.exit_code == 3


def test_an_edited_label_is_found(copy):
    """Edited through zarr, checksums and all: the file's hash gives it away."""
    array = zarr.open_array(copy / "train/logg", mode="r+")
    array[40] = 4.44
    assert "shard train-00001: train/logg/c/1" in said(copy)


def test_an_edited_label_is_found_behind_forged_hashes(copy):
    """Sidecar and file list forged too: the decoded labels still differ from the manifest's."""
    zarr.open_array(copy / "train/logg", mode="r+")[40] = 4.44
    honest = read_manifest(copy)
    (copy / "manifest.json").unlink()
    shutil.rmtree(copy / "shards")
    files = {name: hash_file(copy / name) for name in dataset_files(copy)}
    write_manifest(copy, make_manifest(honest.run, honest.content, files))
    assert said(copy) == "split train: decoded keys and labels differ from the manifest's"


def test_values_that_break_the_schema_are_found(noise, tmp_path):
    """A writer that passes finite nonsense: each promise it broke, with its shard."""
    path = tmp_path / "data.zarr"
    header = make_header(noise)
    write_example(path, header)
    plan = {shard.name: shard for shard in plan_shards(header.counts, header.shard_rows)}
    columns = make_columns(header, plan["val-00001"])
    columns["teff"] = columns["teff"] + 5000
    write_shard(path, header, plan["val-00001"], columns)
    columns = make_columns(header, plan["train-00002"])
    columns["flux_model"] = columns["flux_model"] * np.float32(2)
    write_shard(path, header, plan["train-00002"], columns)
    finish_dataset(path)
    problems = verify_dataset(path).problems
    assert len(problems) == 2
    assert problems[0].startswith("shard train-00002: snr is not that of flux_model")
    assert problems[1].startswith("shard val-00001: teff 9")
    assert "4000..6000 in 8 row(s)" in problems[1]


def test_every_way_to_break_the_schema_is_named_at_once(noise, tmp_path):
    """Labels out of range, NaN, negative errors, other wavelengths, a lost column: one report."""
    path = tmp_path / "data.zarr"
    write_example(path, make_header(noise, store="frozen"))
    zarr.open_array(path / "train/logg", mode="r+")[40] = 9.0
    zarr.open_array(path / "train/mag", mode="r+")[3] = np.nan
    zarr.open_array(path / "train/flux", mode="r+")[70, 12] = np.nan
    zarr.open_array(path / "val/error", mode="r+")[35, 7] = -1.0
    zarr.open_array(path / "wave", mode="r+")[5] += 0.1
    zarr.open_array(path / "test/wave", mode="r+")[5] += 0.1
    shutil.rmtree(path / "val/teff")
    (path / "manifest.json").unlink()
    for sidecar in (path / "shards").iterdir():  # hashes would tell first: leave only values
        content = json.loads(sidecar.read_text())
        content["files"] = {n: hash_file(path / n) for n in content["files"] if (path / n).exists()}
        sidecar.write_text(json.dumps(content))

    problems = said(path)

    for words in (
        "wave differs from the wave of the noise tables",
        "test/wave is not the wavelength grid",
        "shard train-00001: logg 1",
        "leaves the declared 1..5 in 1 row(s)",
        "shard train-00000: mag holds NaN",
        "shard train-00002: flux holds NaN",
        "shard val-00001: error is not positive everywhere",
        "array val/teff cannot be opened",
    ):
        assert words in problems, (words, problems)


def test_shared_spectra_between_splits_are_found(noise, tmp_path):
    """The same stars in train and val: keys differ, the spectra do not."""
    path = tmp_path / "data.zarr"
    header = make_header(noise)
    write_example(path, header)
    plan = {shard.name: shard for shard in plan_shards(header.counts, header.shard_rows)}
    write_shard(path, header, plan["val-00000"], make_columns(header, plan["train-00000"]))
    finish_dataset(path)
    assert verify_dataset(path).problems == ["splits train and val share 32 spectra"]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("data_type", "float64"),
        ("dimension_names", ["wavelength", "spectrum"]),
        ("attributes", {"units": "Jy"}),
        ("shape", [40, 300]),
    ],
)
def test_an_array_that_leaves_the_schema_is_found(copy, entry, value):
    """Metadata changed and re-hashed by a later writer: dtype, dimensions, unit or shape."""
    file = copy / "train/flux_model/zarr.json"
    metadata = json.loads(file.read_text())
    metadata[entry] = value
    file.write_text(json.dumps(metadata))
    finish_dataset(copy)
    assert "train/flux_model" in said(copy)


def test_an_unfinished_dataset_is_not_well(noise, tmp_path):
    """The manifest is what makes it one; what is there is checked all the same."""
    path = tmp_path / "data.zarr"
    header = make_header(noise)
    plan = plan_shards(header.counts, header.shard_rows)
    write_example(path, header, shards=plan[:2])
    problems = verify_dataset(path).problems
    assert "manifest.json is missing" in problems[0]
    file = path / "train/teff/c/0"
    file.write_bytes(file.read_bytes()[:-1])
    assert any("shard train-00000: train/teff/c/0 has" in p for p in verify_dataset(path).problems)
    with pytest.raises(DataError, match="no dataset"):
        verify_dataset(tmp_path / "nothing")
