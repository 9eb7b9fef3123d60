"""The published layout both ways: folders, medians, authors' shards, nodes of a grid."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from starsmith.data_contract import open_dataset, read_published
from starsmith.data_contract.noise.view import true_error
from starsmith.simulator.generation.node_spectra import NodeSpectra
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate
from tests.cli.conftest import call


def test_folders_and_medians_lose_nothing(dataset, tmp_path):
    """Back from train/dataset.h5 with median 0.5 it is the same data set, by its digest."""
    done = call(
        "specdata convert --format hdf5 --folders --median 0.5", dataset, tmp_path / "theirs"
    )
    assert done.exit_code == 0, done.stderr
    for split in ("train", "val", "test"):
        contents = read_published(tmp_path / "theirs" / split / "dataset.h5")
        np.testing.assert_allclose(np.median(contents.flux, axis=1), 0.5, rtol=1e-4)
    for source in (tmp_path / "theirs", tmp_path / "theirs" / "val" / "dataset.h5"):
        back = call(
            "specdata convert --format zarr --json --overwrite", source, tmp_path / "b.zarr"
        )
        assert back.exit_code == 0, back.stderr
        assert json.loads(back.stdout)["digest"] == open_dataset(dataset).digest


def test_files_of_folders_are_their_splits(dataset, tmp_path):
    """Anyone's train/dataset.h5 is ingested as train, and a model learns from it."""
    call("specdata convert --format hdf5 --folders", dataset, tmp_path / "theirs")
    done = call(
        "specdata ingest published --splits folders", tmp_path / "theirs",
        "--out", tmp_path / "d.zarr",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    ours, theirs = open_dataset(dataset), open_dataset(tmp_path / "d.zarr")
    assert theirs.header.counts == ours.header.counts
    np.testing.assert_array_equal(theirs.split("test").labels, ours.split("test").labels)
    trained = call(
        "speclearn train --model ridge --target logg", tmp_path / "d.zarr",
        "--out", tmp_path / "ridge",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.stderr
    (tmp_path / "theirs" / "train").rename(tmp_path / "theirs" / "stars")
    odd = call(
        "specdata ingest published --splits folders", tmp_path / "theirs", "--out",
        tmp_path / "e.zarr",
    )  # fmt: skip
    assert "named after train, val or test" in (tmp_path / "e.zarr.refused.txt").read_text()
    assert odd.exit_code == 0


def test_shards_of_authors_have_seeds_of_their_own(bank_file, tmp_path):
    done = call(
        "specsim generate --splits train=2000,val=32,test=48 --format hdf5 --seed 5 --workers 1",
        "--author-shards", 2, "--bank", bank_file, "--out", tmp_path / "authors",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    found = sorted(p.parent.name for p in tmp_path.rglob("dataset.h5"))
    assert found == ["test_48", "train_1k_0", "train_1k_1", "val_32"]
    first, second = (
        read_published(tmp_path / "authors" / f"train_1k_{k}" / "dataset.h5") for k in (0, 1)
    )
    assert len(first) == len(second) == 1000
    assert not np.isin(first.label("teff"), second.label("teff")).any()
    alone = call(
        "specsim generate --splits train=1000,val=1,test=1 --seed 6 --workers 1",
        "--bank", bank_file, "--out", tmp_path / "six.zarr",
    )  # fmt: skip
    assert alone.exit_code == 0
    own = open_dataset(tmp_path / "six.zarr").split("train").label("teff")
    np.testing.assert_array_equal(own, second.label("teff"))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("--splits train=7,val=1,test=1 --format hdf5 --author-shards 2", "not divisible"),
        ("-n 100 --author-shards 2", "--format hdf5"),
        ("-n 100 --nodes", "or --nodes"),
        ("--nodes --logg 1.1..1.2", "no node of the grid"),
    ],
)
def test_what_does_not_go_together_is_refused(bank_file, tmp_path, more, says):
    done = call(f"specsim generate {more}", "--bank", bank_file, "--out", tmp_path / "x")
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_nodes_are_the_grid_at_every_magnitude(toy_bank, bank_file, tmp_path):
    """6 x 5 x 5 nodes; flux is the bank's own, over its median; the error that of the magnitude."""
    done = call(
        "specsim generate --nodes --mag 21..22 --json", "--bank", bank_file,
        "--out", tmp_path / "nodes",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["n_nodes"], report["mags"]) == (150, [21.0, 21.5, 22.0])
    nodes = NodeSpectra(toy_bank, Prior.default())
    for mag in report["mags"]:
        contents = read_published(tmp_path / "nodes" / f"mag_{mag:g}" / "dataset.h5")
        labels = np.stack([contents.label(n) for n in toy_bank.label_names], axis=1)
        assert len(np.unique(labels, axis=0)) == 150
        flux = interpolate(toy_bank, labels, np.full(150, mag))
        median = np.median(flux, axis=1, keepdims=True)
        np.testing.assert_allclose(contents.flux, flux / median, rtol=1e-3)
        sigma = true_error(toy_bank.noise, flux, nodes.draws(mag).conditions)
        np.testing.assert_allclose(contents.error, sigma / median, rtol=1e-3)
    with h5py.File(tmp_path / "nodes" / "mag_21" / "dataset.h5") as root:
        assert root.attrs["notice"] == toy_bank.notice


def test_holes_of_a_grid_are_no_nodes(toy_bank):
    holed = replace(toy_bank, filled=np.arange(150) % 50 == 0)
    assert len(NodeSpectra(holed, Prior.default()).labels) == 147
    narrow = Prior.default().with_ranges(teff=(4200.0, 5100.0))
    assert len(NodeSpectra(toy_bank, narrow).labels) == 3 * 25
