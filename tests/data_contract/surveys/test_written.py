"""Files of which no real sample is at hand, written as the surveys' documents say."""

import zipfile

import numpy as np
import pytest
from astropy.io import fits  # noqa: TID251

from starsmith.data_contract.surveys.readers import gaia_xp
from starsmith.data_contract.surveys.registry import read_spectra
from tests.data_contract.surveys import written


@pytest.fixture
def spectra(tmp_path):
    def read(name):
        path = tmp_path / name
        written.WRITERS[name](path)
        return list(read_spectra(path))

    return read


@pytest.mark.parametrize("name", written.WRITERS)
def test_every_file_is_read(spectra, name):
    for spectrum in spectra(name):
        assert spectrum.source_id
        assert all(arm.usable.any() for arm in spectrum.arms)


def test_ap_star_has_the_combination_and_the_visits(spectra):
    found = spectra("apStar.fits")
    assert [s.arms[0].flux[0] for s in found] == [1.0, 3.0, 4.0]
    assert {s.source_id for s in found} == {"apogee_id 2M02"}
    assert found[0].velocity.shift == 0.0
    assert not found[0].arms[0].usable[5]
    assert found[0].arms[0].wave[0] == pytest.approx(15100.8, abs=0.1)


def test_aspcap_star_has_labels_with_errors(spectra):
    (found,) = spectra("aspcapStar.fits")
    assert (found.labels["teff"].value, found.labels["teff"].error) == (4500.0, 50.0)
    assert "m_h" not in found.labels  # -9999 stands for none
    assert found.unit == "relative"


def test_merged_fibres_find_their_config(spectra, tmp_path):
    columns = {"fiberId": ("J", [12]), "objId": ("K", [99]), "catId": ("J", [3])}
    design = written.table("DESIGN", columns)
    path = tmp_path / "pfsConfig-0x0000000000000abc.fits"
    fits.HDUList([fits.PrimaryHDU(), design]).writeto(path)
    found = spectra("pfsMerged.fits")
    assert [s.ids.get("obj_id") for s in found] == [None, "99"]
    assert found[1].arms[0].error[0] == pytest.approx(0.1)


def test_a_constant_error_is_none(spectra):
    found = spectra("published.h5")
    assert not any(s.has_error for s in found)
    assert found[1].ids == {"targetid": "101"}
    assert {n: v.value for n, v in found[1].labels.items()} == {"teff": 5000, "logg": 2.5, "m_h": 0}


def test_the_local_file_is_at_rest_without_errors(spectra):
    found = spectra("local.h5")
    assert not found[0].has_error
    assert found[0].velocity.frame == "rest"
    assert found[0].arms[0].wave[[0, -1]] == pytest.approx([3600.0, 9824.0])
    assert found[0].labels["m_h"].value == -1.0


def test_the_wheel_is_read_member_by_member(tmp_path):
    flux = np.ones(30)
    flux[0] = 0.0
    base = "mangadap/data/spectral_templates"
    with zipfile.ZipFile(tmp_path / "sdss_mangadap-9-py3-none-any.whl", "w") as wheel:
        for name, cards in (
            ("miles/MILES_res2.50_star_m0007V.fits", {}),
            (
                "stelib/STELIB_v3.2_HD002857.fits",
                {"OBJECT": "HD002857", "TEFF": 7611},
            ),
        ):
            scale = {"CRVAL1": 6900.0, "CDELT1": 0.9, "CRPIX1": 1, **cards}
            fits.PrimaryHDU(flux, fits.Header(scale)).writeto(tmp_path / "one.fits", overwrite=True)
            wheel.write(tmp_path / "one.fits", f"{base}/{name}")
        row = f"{'HD 002857':<23}0007   {'':<8}{'A2':<13}7600   2.60    --    111"
        wheel.writestr(f"{base}/miles/paramsMILES_v9.1.txt", f"Name\n{row}\n")
    miles, stelib = read_spectra(next(tmp_path.glob("*.whl")))
    assert miles.source_id == stelib.source_id == "name HD002857"
    assert {n: v.value for n, v in miles.labels.items()} == {"teff": 7600.0, "logg": 2.6}
    assert stelib.labels["teff"].source.startswith("STELIB")
    assert not miles.arms[0].usable[0]
    assert not stelib.arms[0].usable.any()  # 6900-6926 Å lie in a telluric band


@pytest.fixture
def xp_model(tmp_path, monkeypatch):
    """An instrument model of GaiaXPy's layout: its bases are Hermite functions themselves."""
    folder = tmp_path / "config"
    folder.mkdir()
    nm = np.arange(300.0, 1100.0, 5.0)
    for name in gaia_xp.BANDS.values():
        pseudo = (nm - 300.0) / 800.0 * 60.0
        for kind, row in (("dispersion", pseudo), ("response", np.full(nm.size, 0.5))):
            np.savetxt(folder / f"{name}_{kind}.csv", np.stack([nm, row]), delimiter=",")
        eye = ",".join(f"{x:g}" for x in np.eye(55).ravel())
        head = "nBases,pwlRangeMin,pwlRangeMax,normRangeMin,normRangeMax,nInverseBasesCoefficients,"
        head += "inverseBasesCoefficients,nTransformedBases,transformationMatrix"
        row = f'55,0.0,60.0,-5.0,5.0,55,"({eye})",55,"({eye})"'
        (folder / f"{name}_bases.csv").write_text(f"{head}\n{row}\n")
    monkeypatch.setenv(gaia_xp.PLACE, str(folder))


def xp_file(path, value, error, correlation):
    names = [f"{band}_{name}" for band in gaia_xp.BANDS for name in gaia_xp.WANTED]
    cells = [",".join(map(str, x)) for x in (value, error, correlation)] * 2
    row = ",".join(f'"({cell})"' for cell in cells)
    path.write_text(f"source_id,{','.join(names)}\n123,{row}\n")


def test_xp_coefficients_are_amplitudes_of_hermite_functions(tmp_path, xp_model):
    value, error = np.zeros(55), np.full(55, 1e-3)
    value[0] = 2.0
    xp_file(tmp_path / "xp.csv", value, error, np.zeros(55 * 54 // 2))
    (found,) = read_spectra(tmp_path / "xp.csv")
    (arm,) = found.arms
    nm = gaia_xp.SAMPLES
    x = -5.0 + (nm - 300.0) / 80.0
    hc = 6.62607004e-34 * 2.99792458e8
    flux = 2.0 * np.pi**-0.25 * np.exp(-0.5 * x**2) * 1e9 * hc / (0.7278 * 0.5 * nm)  # W/m²/nm
    np.testing.assert_allclose(arm.flux, flux * 100.0 * 1e17, rtol=1e-6)
    np.testing.assert_allclose(arm.error**2, np.diag(found.covariance), rtol=1e-12)
    assert (found.source_id, arm.wave.size) == ("gaia_dr3 123", 343)


def test_xp_pixels_are_correlated_as_the_coefficients_say(tmp_path, xp_model):
    """Coefficients that move together by one amount: every pixel does, and none alone."""
    xp_file(tmp_path / "xp.csv", np.ones(55), np.ones(55), np.ones(55 * 54 // 2))
    (found,) = read_spectra(tmp_path / "xp.csv")
    scatter = np.sqrt(np.diag(found.covariance))
    alone = found.covariance[:140, :140] / np.outer(scatter, scatter)[:140, :140]
    np.testing.assert_allclose(np.abs(alone), 1.0, rtol=1e-6)
