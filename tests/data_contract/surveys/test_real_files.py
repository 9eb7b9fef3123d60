"""Real files of surveys, held against astropy by hand to 1e-6."""

import json
import warnings

import numpy as np
import pytest
from astropy.io import fits  # noqa: TID251

from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.registry import read_spectra
from starsmith.data_contract.surveys.spectrum import FLUX_CGS, RELATIVE

LAMOST = (
    "spec-55859-F5902_sp01-001_dr7.fits.gz",
    "spec-55916-B5591606_sp01-001.fits",
    "spec-55919-B5591903_sp01-001.fits",
    "spec-56257-GAC089N38V2_sp01-001.fits",
    "spec-56257-GAC089N38V2_sp01-004.fits",
)


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def of_ivar(arm, ivar):
    good = ivar > 0
    close(arm.error[good] ** -2, ivar[good])
    assert not arm.usable[~good].any()


@pytest.mark.parametrize("name", LAMOST)
def test_lamost_images(shared_data, name):
    path = shared_data / "surveys" / "lamost" / name
    (spectrum,) = read_spectra(path)
    (arm,) = spectrum.arms
    rows, cards = fits.getdata(path), fits.getheader(path)
    close(arm.flux, rows[0])
    close(arm.wave, rows[2])
    of_ivar(arm, rows[1])
    for bit, name in ((1, "BADCCD"), (4, "BRIGHTSKY"), (6, "NODATA")):
        assert arm.flag_counts()[name] == (rows[3].astype(int) >> bit & 1).sum()
    assert (spectrum.unit, spectrum.velocity.frame) == (RELATIVE, "heliocentric")
    if cards["CLASS"] == "STAR":
        assert spectrum.velocity.rv == pytest.approx(cards["Z"] * 299792.458)
    assert spectrum.ids["designation"] == cards["DESIG"]


def test_lamost_table(shared_data):
    path = shared_data / "surveys" / "lamost" / "spec-55859-F5902_sp01-013_dr8.fits.gz"
    (spectrum,) = read_spectra(path)
    (arm,) = spectrum.arms
    row = fits.getdata(path, 1)[0]
    close(arm.flux, row["FLUX"])
    close(arm.wave, row["WAVELENGTH"])
    of_ivar(arm, row["IVAR"])
    assert spectrum.source_id == "designation LAMOST J220917.16-020719.2"


@pytest.mark.parametrize(
    "name", ["apVisit-r13-5095-55844-128.fits", "apVisit-r13-9518-57729-104.fits"]
)
def test_apogee_visits(shared_data, name):
    path = shared_data / "surveys" / "apogee" / name
    (spectrum,) = read_spectra(path)
    with fits.open(path) as hdus:
        cards = hdus[0].header
        for arm, chip in zip(spectrum.arms, (2, 1, 0), strict=True):
            close(arm.wave, hdus[4].data[chip][::-1])
            close(arm.flux, hdus[1].data[chip][::-1])
            told = hdus[2].data[chip][::-1]
            close(arm.error[told < 1e10], told[told < 1e10])
            flags = hdus[3].data[chip][::-1]
            for bit, plane in ((0, "BADPIX"), (7, "NOSKY"), (12, "SIG_SKYLINE")):
                assert arm.flag_counts()[plane] == (flags.astype(int) >> bit & 1).sum()
            assert not arm.usable[(flags & 0b11111111) != 0].any()
            assert arm.usable[flags == 1 << 12].any()  # a sky line tells, and does not condemn
    assert spectrum.velocity.shift == pytest.approx(cards["VRAD"], abs=1e-3)
    assert spectrum.source_id == f"apogee_id {cards['OBJID']}"


def test_sdss(shared_data):
    path = shared_data / "surveys" / "sdss" / "spec-0266-51602-0031.fits"
    (spectrum,) = read_spectra(path)
    (arm,) = spectrum.arms
    rows = fits.getdata(path, 1)
    close(arm.wave, 10.0 ** rows["loglam"].astype(float))
    close(arm.flux, rows["flux"])
    of_ivar(arm, rows["ivar"])
    assert arm.flag_counts()["BRIGHTSKY"] == (rows["and_mask"] >> 23 & 1).sum()
    assert np.median(arm.resolving_power) == pytest.approx(1900, rel=0.1)
    assert spectrum.source_id == "sdss_objid 1237648721216405598"  # of the star, not the spectrum


def test_pfs_object(shared_data):
    path = next((shared_data / "surveys" / "pfs").glob("pfsObject*"))
    (spectrum,) = read_spectra(path)
    rows = fits.getdata(path, "FLUXTBL")
    wave = np.concatenate([arm.wave for arm in spectrum.arms])
    flux = np.concatenate([arm.flux for arm in spectrum.arms])
    error = np.concatenate([arm.error for arm in spectrum.arms])
    nm = rows["lambda"].astype(float)
    close(wave, 10.0 * nm)
    to_cgs = 299792458.0 * 1e-9 * 1e-23 / (nm**2 * 1e-9) * 1e9 / 10 / 1e-17  # 1 nJy at nm
    close(flux, rows["flux"] * to_cgs * (flux[0] / (rows["flux"][0] * to_cgs[0])))
    close((error / flux)[10:20], (np.sqrt(rows["fluxVariance"]) / rows["flux"])[10:20])
    assert (spectrum.unit, spectrum.ids["pfs"]) == (FLUX_CGS, "0-1")


def test_pfs_arm_and_its_config(shared_data):
    path = shared_data / "surveys" / "pfs" / "pfsArm-000001-m1.fits"
    (spectrum,) = read_spectra(path)
    (arm,) = spectrum.arms
    with fits.open(path) as hdus:
        close(arm.wave, 10.0 * hdus["WAVELENGTH"].data[0])
        close(arm.flux, hdus["FLUX"].data[0])
        variance = hdus["COVAR"].data[0, 0]
        close(arm.error[variance > 0] ** 2, variance[variance > 0])
    assert (spectrum.ids["obj_id"], spectrum.meta["ra"], spectrum.unit) == ("1", 150.0, RELATIVE)


def test_a_config_alone_holds_no_spectra(shared_data):
    with pytest.raises(DataError, match="holds no spectra"):
        list(read_spectra(shared_data / "surveys" / "pfs" / "pfsConfig-0x52327a27.fits"))


@pytest.mark.parametrize(
    ("name", "n_star", "n_labelled"), [("miles_v9.1", 984, 944), ("stelib_v3.2", 255, 203)]
)
def test_libraries(shared_data, name, n_star, n_labelled):
    path = shared_data / "libraries" / f"{name}.npz"
    spectra = list(read_spectra(path))
    held = np.load(path)
    assert len(spectra) == n_star
    assert sum(len(s.labels) == 3 for s in spectra) == pytest.approx(n_labelled, abs=1)
    for k in (0, 17, n_star - 1):
        arm, size = spectra[k].arms[0], spectra[k].arms[0].wave.size
        close(arm.flux, held["flux"][k][:size])
        if "wave_air" in held.files:
            air = held["wave_air"].astype(float)
        else:
            air = held["crval_air"][k] + held["cdelt"][k] * np.arange(size)
        close(arm.wave, air_to_vacuum(air))
        assert not spectra[k].has_error
        assert not arm.usable[arm.flux == 0.0].any()


def test_libraries_know_the_same_star(shared_data):
    sets = [
        {s.source_id for s in read_spectra(shared_data / "libraries" / f"{name}.npz")}
        for name in ("miles_v9.1", "stelib_v3.2")
    ]
    assert len(sets[0] & sets[1]) >= 63


def test_xp_without_a_model_says_what_to_install(shared_data, monkeypatch):
    pytest.importorskip("scipy")
    monkeypatch.setenv("STARSMITH_GAIAXPY", str(shared_data / "nothing"))
    path = shared_data / "surveys" / "gaiaxp" / "XP_CONTINUOUS_RAW.csv"
    with pytest.raises(DataError, match="pip install gaiaxpy"):
        list(read_spectra(path))


def test_every_file_is_recognised(shared_data):
    from starsmith.data_contract.surveys.outside_file import open_outside
    from starsmith.data_contract.surveys.registry import recognise

    names = {"gaiaxp": "gaia_xp"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for path in sorted((shared_data / "surveys").glob("*/*")):
            if path.name.startswith("pfsConfig"):
                continue
            with open_outside(path) as file:
                known = recognise(file)
            assert known is not None, path
            assert known[0].name == names.get(path.parent.name, path.parent.name)


def test_a_saved_sparcl_answer(tmp_path):
    wave = 3600.0 + 0.8 * np.arange(50)
    record = {
        "sparcl_id": "a-b",
        "targetid": 39633300968442591,
        "wavelength": wave.tolist(),
        "flux": np.linspace(1, 2, 50).tolist(),
        "ivar": [0.0] + [4.0] * 49,
        "mask": [0, 2] + [0] * 48,
        "redshift": 1e-4,
        "spectype": "STAR",
    }
    path = tmp_path / "answer.json"
    path.write_text(json.dumps([{"status": {"warnings": []}}, record]))
    (spectrum,) = read_spectra(path)
    assert spectrum.ids["targetid"] == "39633300968442591"
    assert spectrum.arms[0].usable.tolist() == [False, False] + [True] * 48
    assert spectrum.arms[0].error[5] == 0.5
    assert spectrum.velocity.rv == pytest.approx(29.979, abs=1e-3)
