"""Repair: whatever is done to the files, the dataset comes back bit for bit, or is refused."""

import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
import zarr

from starsmith.data_contract.checks.repair import repair_dataset
from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset.manifest import (
    dataset_files,
    hash_file,
    make_manifest,
    read_manifest,
    write_manifest,
)
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.noise.view import NoiseTables
from tests.data_contract.example import (
    draw,
    file_bytes,
    make_columns,
    make_header,
    write_example,
)


@dataclass(frozen=True)
class ExampleRemaker:
    """Makes the example again; ``drift`` is the relative error of other software."""

    noise: NoiseTables
    exact: bool = True
    drift: float = 0.0

    @property
    def wave(self):
        return self.noise.wave

    def draws(self, header, shard):
        return draw(header.seed, shard.split, np.arange(shard.start, shard.stop))

    def columns(self, header, shard):
        columns = make_columns(header, shard)
        bent = {k: v * (1 + self.drift) for k, v in columns.items() if np.ndim(v) == 2}
        return {**columns, **{k: v.astype(np.float32) for k, v in bent.items()}}


@pytest.fixture
def mend(noise):
    """Repair a folder with the bank it was made from, or another."""
    return lambda path, **changes: repair_dataset(
        path, lambda run: ExampleRemaker(noise, **changes)
    )


KINDS = {
    "manifest": ["manifest.json"],
    "header": ["run.json", "zarr.json", "wave/zarr.json", "wave/c/0", "DATASET.md"],
    "noise": ["noise/zarr.json", "noise/sky_rate/zarr.json", "noise/sky_rate/c/0/0"],
    "array": ["train/zarr.json", "val/flux_model/zarr.json", "test/mag/zarr.json"],
    "copy of wave": ["train/wave/zarr.json", "test/wave/c/0"],
    "sidecar": ["shards/train-00003.json", "shards/val-00000.json"],
    "labels": ["train/logg/c/2", "test/index/c/1", "val/snr/c/0", "train/seeing/c/0"],
    "spectra": ["train/flux_model/c/0/0", "val/flux_model/c/1/0"],
}


def flip_a_byte(file, rng):
    raw = bytearray(file.read_bytes())
    raw[rng.integers(len(raw))] ^= rng.integers(1, 256)
    file.write_bytes(raw)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_in_any_kind_of_file_is_undone(kind, copy, mend):
    """A random byte in every file of a kind: the same bits come back."""
    before, digest = file_bytes(copy), read_manifest(copy).digest
    rng = np.random.default_rng(len(kind))
    for name in KINDS[kind]:
        flip_a_byte(copy / name, rng)

    done = mend(copy)

    assert done.digest == digest
    assert file_bytes(copy) == before
    assert done.findings
    assert all(done.shards.values())


@pytest.mark.slow
def test_a_flipped_byte_in_any_file_is_undone(copy, mend):
    """One random byte in one random file, sixty times over."""
    before, digest = file_bytes(copy), read_manifest(copy).digest
    rng = np.random.default_rng(1)
    for name in rng.choice(sorted({*before, "manifest.json"}), 60, replace=False):
        flip_a_byte(copy / name, rng)

        assert mend(copy).digest == digest, name
        assert file_bytes(copy) == before, name


def test_missing_truncated_and_extra_files_are_put_right_together(copy, mend):
    """The report names what was made again and what was removed; nothing else is rewritten."""
    before = file_bytes(copy)
    untouched = (copy / "train/flux_model/c/0/0").stat().st_mtime_ns
    (copy / "train/flux_model/c/2/0").unlink()
    (copy / "test/mag/c/1").write_bytes(b"")
    (copy / "val/teff/c/7").write_bytes(b"stray")
    (copy / "train/teff/c/0.x.partial").write_bytes(b"left over")
    shutil.rmtree(copy / "val/logg")
    (copy / "run.json").unlink()

    done = mend(copy)

    assert done.shards == {
        "train-00002": True, "val-00000": True, "val-00001": True, "test-00001": True,
    }  # fmt: skip
    assert sorted(done.headers) == ["run.json", "val/logg/zarr.json"]
    assert sorted(done.removed) == ["train/teff/c/0.x.partial", "val/teff/c/7"]
    assert file_bytes(copy) == before
    assert (copy / "train/flux_model/c/0/0").stat().st_mtime_ns == untouched


@pytest.mark.parametrize("manifest", [True, False], ids=["manifest", "no manifest"])
def test_edited_labels_are_put_back_even_behind_forged_hashes(copy, mend, manifest):
    """Whoever edits a label and every hash cannot edit what the key draws."""
    before, digest = file_bytes(copy), read_manifest(copy).digest
    zarr.open_array(copy / "train/logg", mode="r+")[40] = 4.44
    honest = read_manifest(copy)
    (copy / "manifest.json").unlink()
    sidecar = copy / "shards/train-00001.json"
    recorded = honest.files["train/logg/c/1"]["sha256"]
    forged = hash_file(copy / "train/logg/c/1")["sha256"]
    sidecar.write_text(sidecar.read_text().replace(recorded, forged))
    if manifest:
        files = {name: hash_file(copy / name) for name in dataset_files(copy)}
        write_manifest(copy, make_manifest(honest.run, honest.content, files))

    done = mend(copy)

    assert list(done.shards) == ["train-00001"]
    assert any("logg" in text and "train-00001" in text for text in done.findings)
    assert done.digest == digest
    assert file_bytes(copy) == before


def test_other_software_gives_the_values_and_says_where_bits_differ(noise, tmp_path, mend):
    """A relative drift of 3e-7 is within 1e-6: values are kept, and the shard is named."""
    path = tmp_path / "data.zarr"
    digest = write_example(path, make_header(noise, store="frozen")).digest
    before = file_bytes(path)
    (path / "val/error/c/0/0").unlink()

    done = mend(path, drift=3e-7)

    assert done.shards == {"val-00000": False}
    assert done.digest != digest == done.digest_before
    changed = {name for name, raw in file_bytes(path).items() if before[name] != raw}
    assert changed == {"val/error/c/0/0", "shards/val-00000.json"}
    assert verify_dataset(path).ok


def test_a_bank_that_makes_other_spectra_is_refused(copy, mend):
    """Neither a known bank nor an unknown one may put foreign spectra beside the old ones."""
    (copy / "train/snr/c/1").unlink()
    with pytest.raises(DataError, match=r"train-00001 made again differs.*flux_model by 0\.01"):
        mend(copy, drift=0.01)
    (copy / "train/flux_model/c/1/0").unlink()
    with pytest.raises(DataError, match="train-00000 made again differs"):
        mend(copy, exact=False, drift=0.01)
    assert mend(copy, exact=False).shards == {"train-00001": True}


def test_an_unknown_bank_needs_a_witness(copy, mend):
    """With no shard intact nothing can prove that another bank will do."""
    for file in copy.glob("*/flux_model/c/*/0"):
        file.unlink()
    with pytest.raises(DataError, match="no shard is intact"):
        mend(copy, exact=False)
    assert len(mend(copy).shards) == 8


def test_files_of_the_user_are_left_alone_and_named(copy, mend):
    """A note in the folder is not starsmith's to delete."""
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"notes\.txt.*move them elsewhere"):
        mend(copy)
    assert (copy / "notes.txt").read_text() == "mine"


def test_a_header_lost_in_every_copy_is_refused(copy, mend, tmp_path):
    """Two copies that disagree, or none: nothing is guessed."""
    (copy / "manifest.json").unlink()
    run = (copy / "run.json").read_text()
    (copy / "run.json").write_text(run.replace('"seed": 5', '"seed": 6'))
    with pytest.raises(DataError, match="seed"):
        mend(copy)
    for name in ("run.json", "zarr.json"):
        (copy / name).write_text("{")
    with pytest.raises(DataError, match="generate it again"):
        mend(copy)
    with pytest.raises(DataError, match="no dataset"):
        mend(tmp_path / "nothing")


def test_noise_tables_of_another_bank_are_refused(copy, noise, mend):
    """Damaged noise tables cannot be replaced by those of another instrument."""
    (copy / "noise/read_variance/c").unlink()
    other = replace(noise, read_variance=81.0)
    with pytest.raises(DataError, match="noise"):
        repair_dataset(copy, lambda run: ExampleRemaker(other))
    assert mend(copy).headers == ["noise/read_variance/c"]


def test_an_intact_dataset_is_not_touched(copy, mend):
    """Nothing to do is nothing done: not a file is written."""
    times = {file: file.stat().st_mtime_ns for file in copy.rglob("*") if file.is_file()}
    done = mend(copy)
    assert (done.findings, done.shards, done.headers, done.removed) == ([], {}, [], [])
    assert {f: f.stat().st_mtime_ns for f in copy.rglob("*") if f.is_file()} == times
