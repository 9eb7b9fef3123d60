"""Observed spectra as a data set: what is in it is what was in the files, and no star is parted."""

import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest
from astropy.io import fits  # noqa: TID251

from starsmith.data_contract.checks.leakage import find_shared
from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.conversion import convert_store
from starsmith.data_contract.exchange.published_observed import write_observed
from starsmith.data_contract.surveys.catalogues.catalogue import read_catalogue
from starsmith.data_contract.surveys.catalogues.star_splits import split_stars
from starsmith.data_contract.surveys.ingest import Ingest, ingest_files
from starsmith.data_contract.surveys.registry import read_spectra
from starsmith.data_contract.surveys.scan import Source
from starsmith.data_contract.surveys.standardise.preparation import Standardiser, wave_of_text
from starsmith.data_contract.surveys.standardise.recipe import StandardRecipe
from tests.data_contract.surveys import written


@pytest.fixture
def coadd(tmp_path):
    """Sixty spectra of twenty stars, and a table of them."""
    path = tmp_path / "coadd.fits"
    written.desi(path, 60)
    names = 39627866878511337 + np.arange(60)
    rows = [f"{n},{1000 + k // 3},{4000 + 10 * k},50,2.5,p{k % 4}" for k, n in enumerate(names)]
    table = tmp_path / "stars.csv"
    table.write_text("\n".join(["targetid,source_id,teff,teff_err,logg,plate", *rows]))
    return Source(files=(path,), catalogue=read_catalogue(table))


def all_of(data, read):
    return np.concatenate([read(split) for split in data.splits.values()])


def test_what_is_in_it_is_what_was_in_the_file(tmp_path, coadd):
    ingest_files(Ingest(source=coadd, shard_rows=64), tmp_path / "d.zarr")
    data = open_dataset(tmp_path / "d.zarr")
    assert verify_dataset(tmp_path / "d.zarr").problems == []
    assert data.label_names == ("teff", "logg")
    assert [arm.name for arm in data.header.arms] == ["b", "r", "z"]
    ours = {
        int(t): (view.flux[k], view.error[k], view.usable[k])
        for split in data.splits.values()
        for view in [split.observe()]
        for k, t in enumerate(split.column("targetid"))
    }
    for spectrum in read_spectra(coadd.files[0]):
        flux, error, usable = ours[int(spectrum.ids["targetid"])]
        np.testing.assert_allclose(flux, np.concatenate([a.flux for a in spectrum.arms]), rtol=1e-6)
        np.testing.assert_allclose(error, 0.1, rtol=1e-6)
        assert usable.all()
    split = data.split("train")
    assert split.names[0].startswith("desi 39627866878")
    assert split.label_errors[0].tolist() == pytest.approx([50.0, np.nan], nan_ok=True)
    assert (split.column("source_id") >= 1000).all()  # Gaia's own number
    assert data.training().train.observe(slice(0, 3)).flux.shape == (3, 120)


def test_a_mask_of_0_is_a_usable_pixel_and_nothing_else(tmp_path, coadd):
    """What training shows a model is what `Observed.usable` says; a replaced set leaves nothing."""
    ingest_files(Ingest(source=coadd), tmp_path / "d.zarr")
    before = {path.name for path in tmp_path.iterdir()}
    with fits.open(coadd.files[0], mode="update") as hdus:
        hdus["R_IVAR"].data[:, 5:9] = 0.0
        hdus["B_FLUX"].data[::2, 2] = np.nan
    with pytest.raises(DataError, match="another run"):
        ingest_files(Ingest(source=coadd, seed=4), tmp_path / "d.zarr")
    ingest_files(Ingest(source=coadd, seed=4), tmp_path / "d.zarr", overwrite=True)
    for split in open_dataset(tmp_path / "d.zarr").splits.values():
        seen = split.observe()
        np.testing.assert_array_equal(seen.mask == 0, seen.usable)
        assert (~seen.usable).sum(axis=1).min() >= 4
    assert {path.name for path in tmp_path.iterdir()} == before


def test_no_star_is_in_two_splits(tmp_path, coadd):
    ingest_files(Ingest(source=coadd, shares=(0.5, 0.25, 0.25)), tmp_path / "d.zarr")
    data = open_dataset(tmp_path / "d.zarr")
    stars = [set(split.column("source_id").tolist()) for split in data.splits.values()]
    assert len(stars) == 3
    assert sum(map(len, stars)) == 20
    assert data.header.counts["train"] % 3 == 0


def test_groups_of_a_column_stay_together_or_are_refused(tmp_path, coadd):
    with pytest.raises(DataError, match=r"--split-by plate: \d+ star"):
        ingest_files(Ingest(source=replace(coadd, split_by="plate")), tmp_path / "d.zarr")
    assert not (tmp_path / "d.zarr").exists()


def test_a_column_of_splits_is_taken_at_its_word(tmp_path, coadd):
    path = tmp_path / "named.csv"
    names = 39627866878511337 + np.arange(60)
    rows = [f"{n},{'test' if k < 6 else 'train'}" for k, n in enumerate(names)]
    path.write_text("\n".join(["targetid,part", *rows]))
    source = Source(files=coadd.files, catalogue=read_catalogue(path), split_by="part")
    ingest_files(Ingest(source=source), tmp_path / "d.zarr")
    assert open_dataset(tmp_path / "d.zarr").header.counts == {"train": 54, "test": 6}


def test_stratified_splits_have_alike_labels():
    rng = np.random.default_rng(2)
    teff = rng.uniform(3500, 7000, 4000)
    shares = {"train": 0.8, "val": 0.1, "test": 0.1}
    splits = split_stars(np.arange(4000), shares, 0, teff)
    assert np.bincount(splits).tolist() == [3200, 400, 400]
    assert abs(teff[splits == 2].mean() - teff.mean()) < 10.0


def test_more_stars_leave_the_others_where_they_are():
    shares = {"train": 0.8, "val": 0.1, "test": 0.1}
    few, more = (split_stars(np.arange(n), shares) for n in (50, 90))
    assert np.array_equal(few, more[:50])


def test_an_interrupted_run_goes_on(tmp_path, coadd):
    written.desi(tmp_path / "more.fits", 200)
    files = (*coadd.files, tmp_path / "more.fits")
    request = Ingest(source=Source(files=files, labels=()), shard_rows=64)
    whole = ingest_files(request, tmp_path / "whole.zarr")[0]

    def stop(what, done, total):
        if what == "spectra" and done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest_files(request, tmp_path / "d.zarr", progress=stop)
    with pytest.raises(DataError, match="not finished"):
        open_dataset(tmp_path / "d.zarr")
    assert ingest_files(request, tmp_path / "d.zarr")[0].digest == whole.digest


def test_spectra_without_errors_make_a_set_without_them(tmp_path):
    written.local_hdf5(tmp_path / "local.h5")
    ingest_files(Ingest(source=Source(files=(tmp_path / "local.h5",))), tmp_path / "d.zarr")
    data = open_dataset(tmp_path / "d.zarr")
    assert not data.header.has_error
    assert data.split("train").observe().error is None
    assert np.isnan(data.split("train").snr).all()
    assert verify_dataset(tmp_path / "d.zarr").problems == []


def test_grids_that_continue_one_another_are_one(tmp_path):
    """LAMOST's spectra are of several lengths on one grid; those of another grid are refused."""
    for k, n in enumerate((30, 25, 40)):
        rows = f"{'wave'},flux,error\n" + "\n".join(f"{5000.0 + x},1,0.1" for x in range(k, n))
        (tmp_path / f"s{k}.csv").write_text(rows)
    (tmp_path / "other.csv").write_text(
        "wave,flux,error\n" + "\n".join(f"{5000.37 + x},1,0.1" for x in range(30))
    )
    files = tuple(sorted(tmp_path.glob("*.csv"), reverse=True))
    source = Source(files=files, labels=())
    _, scan = ingest_files(Ingest(source=source), tmp_path / "d.zarr")
    data = open_dataset(tmp_path / "d.zarr")
    assert (scan.size, scan.n_refused) == (3, 1)
    assert "--wave" in (tmp_path / "d.zarr.refused.txt").read_text()
    np.testing.assert_allclose(data.wave, 5000.0 + np.arange(40))
    usable = all_of(data, lambda split: split.observe().usable.sum(axis=1))
    assert sorted(usable.tolist()) == [24, 30, 38]
    straight = StandardRecipe(spikes="", rest=False, resample="linear")
    source = replace(source, prepare=Standardiser(straight, wave_of_text("5002:5020:2")))
    _, scan = ingest_files(Ingest(source=source), tmp_path / "all.zarr")
    assert (scan.size, scan.grid.wave.size) == (4, 10)


def test_a_star_of_another_survey_is_found(tmp_path, coadd):
    shares = Ingest(source=coadd, shares=(0.0, 0.0, 1.0))
    ingest_files(shares, tmp_path / "test.zarr")
    written.ap_star(tmp_path / "apStar.fits")
    (tmp_path / "cross.csv").write_text("apogee_id,source_id,teff\n2M02,1007,5000\n")
    source = Source(
        files=(tmp_path / "apStar.fits",), catalogue=read_catalogue(tmp_path / "cross.csv")
    )
    ingest_files(Ingest(source=source, shares=(1.0, 0.0, 0.0)), tmp_path / "train.zarr")
    shared = find_shared([tmp_path / "test.zarr", tmp_path / "train.zarr"])
    assert [(entry.by, entry.n_spec, entry.leak) for entry in shared] == [("source_id", 3, True)]


def test_changed_files_are_another_run(tmp_path, coadd):
    ingest_files(Ingest(source=coadd), tmp_path / "d.zarr")
    written.local_hdf5(tmp_path / "local.h5")
    with pytest.raises(DataError, match="another run"):
        ingest_files(Ingest(source=Source(files=(tmp_path / "local.h5",))), tmp_path / "d.zarr")


@pytest.mark.slow
def test_spectra_are_streamed(tmp_path):
    """Four times the spectra take no more memory."""
    peaks = []
    for k, n in enumerate((128, 640, 2560)):
        with h5py.File(tmp_path / f"{n}.h5", "w") as root:
            root["spectra"] = np.ones((n, 512), "f4")
            root["targetid"] = np.arange(n)
            root["wave"] = 5000.0 + np.arange(512)
        source = Source(files=(tmp_path / f"{n}.h5",), labels=())
        tracemalloc.start()
        ingest_files(Ingest(source=source, shard_rows=64), tmp_path / f"{k}.zarr")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1]


def test_published_files_of_observed_spectra_come_back(tmp_path, coadd):
    pytest.importorskip("tables")
    ingest_files(Ingest(source=coadd), tmp_path / "d.zarr")
    data = open_dataset(tmp_path / "d.zarr")
    (file, *_) = write_observed(data, tmp_path / "pub")
    with pytest.raises(DataError, match="observed spectra have one store"):
        convert_store(data, tmp_path / "k.zarr", "keys")
    view, split = data.split("train").observe(), data.split("train")
    for k, spectrum in enumerate(read_spectra(file)):
        arms = np.concatenate([arm.flux for arm in spectrum.arms])
        median = np.median(view.flux[k])
        np.testing.assert_allclose(arms * median, view.flux[k], rtol=1e-6)
        assert spectrum.labels["teff"].value == split.label("teff")[k]
        assert spectrum.ids["gaia_dr3"] == str(split.column("source_id")[k])


def test_signal_to_noise_is_that_of_native_pixels(tmp_path, coadd):
    """Straight lines at a third of the step would make it 1.2 times too high."""
    straight = StandardRecipe(spikes="", rest=False, resample="linear")
    finer = Standardiser(straight, wave_of_text("5000:5239:0.33"))
    for name, source in (("native", coadd), ("finer", replace(coadd, prepare=finer))):
        ingest_files(Ingest(source=source, shares=(1, 0, 0)), tmp_path / name)
    native, fine = (open_dataset(tmp_path / n).split("train").snr for n in ("native", "finer"))
    assert np.median(fine / native) == pytest.approx(1.0, rel=0.05)
