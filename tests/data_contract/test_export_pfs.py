"""PFS files: structure of a real file, units, bits, and what readers make of them."""

import numpy as np
import pytest
from astropy import units
from astropy.io import fits  # noqa: TID251

from starsmith.data_contract.arms import ArmSpan
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.export_pfs import export_pfs, njy_per_flux, visit_hash
from starsmith.data_contract.exchange.pfs_files import read_pfs_object
from starsmith.data_contract.masks import MASK_BITS, mask_value
from tests.data_contract.example import make_header, write_example

REAL = "surveys/pfs/pfsObject-00000-0,0-000-00000001-01-0x395428ab.fits"


@pytest.fixture(scope="module")
def split(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("data") / "hit.zarr"
    write_example(path, make_header(noise, noise_model={"cosmic_rays": 0.5}, mag_band="hsc2017-i"))
    return open_dataset(path).split("test")


@pytest.fixture(scope="module")
def files(split, tmp_path_factory):
    return export_pfs(split, np.array([3, 0]), tmp_path_factory.mktemp("pfs"), truth=True)


def test_flux_densities_are_converted(split):
    """f_nu = f_lambda wave² / c, by astropy; 1e-12 but for its digits of c."""
    flux = 1.7 * units.Unit("1e-17 erg / (s cm2 AA)")
    expected = flux.to(units.nJy, units.spectral_density(split.wave * units.AA)).value
    np.testing.assert_allclose(1.7 * njy_per_flux(split.wave), expected, rtol=1e-12)


def test_structure_is_that_of_a_real_file(files, shared_data):
    """The HDUs of the genuine file in their places, with its columns, kinds and cards."""
    with fits.open(shared_data / REAL) as real, fits.open(files[0]) as ours:
        for ours_hdu, real_hdu in zip(ours, real, strict=False):
            assert ours_hdu.name == real_hdu.name
            assert type(ours_hdu) is type(real_hdu)
            if isinstance(real_hdu, fits.BinTableHDU):
                assert ours_hdu.columns.names[: len(real_hdu.columns)] == real_hdu.columns.names
            elif real_hdu.data is not None:
                assert ours_hdu.data.ndim == real_hdu.data.ndim
                assert ours_hdu.data.dtype == real_hdu.data.dtype
        for card in ("PATCH", "PFSVHASH", "OBJID", "CATID", "TRACT"):
            assert card in ours[0].header
        for card in ("CRPIX1", "CRVAL1", "CD1_1"):
            assert card in ours["FLUX"].header
        assert ours["COVAR2"].data.shape == (10, 10)


def test_reading_back_gives_the_spectrum(split, files):
    """Float32 nJy and back: 1e-6; masks to the bit."""
    seen = split.observe(np.array([3, 0]))
    assert (seen.mask != 0).any()
    for i, file in enumerate(f for f in files if f.name.startswith("pfsObject")):
        again = read_pfs_object(file)
        np.testing.assert_allclose(again.wave, split.wave, rtol=1e-14)
        np.testing.assert_allclose(again.flux, seen.flux[i], rtol=1e-6)
        np.testing.assert_allclose(again.error, seen.error[i], rtol=1e-6)
        np.testing.assert_array_equal(again.mask, seen.mask[i])
        assert again.planes == dict(MASK_BITS)
        assert again.identity == {"catId": 2, "tract": 0, "patch": "0,0", "objId": (3, 0)[i]}


def test_a_real_file_is_read(shared_data):
    """The genuine example in nJy, at its native pixels."""
    star = read_pfs_object(shared_data / REAL)
    assert len(star) == 11640
    assert star.wave[0] == pytest.approx(3800.0, abs=0.01)
    with fits.open(shared_data / REAL) as real:
        flux = real["FLUXTBL"].data["flux"][100]
        assert star.flux[100] == pytest.approx(flux / njy_per_flux(star.wave[100]), rel=1e-6)


def test_images_hold_what_the_tables_hold(files):
    """FLUX, MASK, COVAR and WAVELENGTH agree with FLUX_TABLE; the sky is positive."""
    with fits.open(files[0]) as hdus:
        table = hdus["FLUX_TABLE"].data
        np.testing.assert_array_equal(hdus["FLUX"].data, table["flux"])
        np.testing.assert_array_equal(hdus["MASK"].data, table["mask"])
        np.testing.assert_allclose(np.sqrt(hdus["COVAR"].data[0]), table["error"], rtol=1e-6)
        assert not hdus["COVAR"].data[1:].any()  # no resampling, so no covariance
        np.testing.assert_array_equal(hdus["WAVELENGTH"].data, table["wavelength"])
        assert hdus["SKY"].data.min() > 0
        header = hdus["FLUX"].header
        last = header["CRVAL1"] + (table.size - header["CRPIX1"]) * header["CDELT1"]
        assert last == pytest.approx(table["wavelength"][-1], rel=1e-9)
        assert hdus["MASK"].header["MP_CR"] == 3
        assert set(np.unique(hdus["MASK"].data)) <= {0, mask_value("CR")}
        assert len(hdus["CONFIG"].data) == 12
        assert hdus["OBSERVATIONS"].data["expTime"].sum() == 12 * 900
        flux = hdus["TARGET"].data["fiberFlux"][0]
    assert 3631e9 * 10 ** (-0.4 * 22.5) < flux < 3631e9 * 10 ** (-0.4 * 20.5)


def test_truth_is_apart(split, files):
    """The noiseless flux is in a file of its own and nowhere in the pfsObject."""
    truth = next(f for f in files if f.name.startswith("pfsSimObject"))
    with fits.open(truth) as hdus:
        flux = hdus["FLUX"].data / njy_per_flux(10 * hdus["WAVELENGTH"].data)
    np.testing.assert_allclose(flux, split.flux_model([3])[0], rtol=1e-6)


def test_specutils_reads_the_files(files, tmp_path):
    """Its own loader knows the names of the first datamodel: flux, uncertainty and mask."""
    specutils = pytest.importorskip("specutils")
    old = tmp_path / "pfsObject-00000-0,0-002-00000003-12-0x12345678.fits"
    old.write_bytes(files[0].read_bytes())
    spectrum = specutils.Spectrum.read(str(old))
    again = read_pfs_object(files[0])
    assert spectrum.flux.unit == units.nJy
    np.testing.assert_allclose(
        spectrum.uncertainty.array / njy_per_flux(again.wave), again.error, rtol=1e-6
    )
    np.testing.assert_array_equal(spectrum.mask, again.mask != 0)


FORMAT = (
    "pfsObject-%(catId)05d-%(tract)05d-%(patch)s-%(objId)016x-%(nVisit)03d-0x%(pfsVisitHash)016x"
    ".fits"
)


def test_the_present_datamodel_finds_the_files(split, files):
    """Its file name of an identity is there, and what it reads of it: HDUs, columns, cards."""
    visits = list(range(1, 13))
    for index in (3, 0):
        identity = {
            "catId": 2, "tract": 0, "patch": "0,0", "objId": index,
            "nVisit": len(visits) % 1000, "pfsVisitHash": visit_hash(visits),
        }  # fmt: skip
        path = files[0].parent / (FORMAT % identity)
        assert path in files
        with fits.open(path) as hdus:
            assert hdus["FLUX"].data.shape == hdus["MASK"].data.shape
            assert hdus[1].header["DAMD_VER"] == 1  # without notes
            for name in ("SKY", "COVAR", "COVAR2", "WAVELENGTH"):
                assert hdus[name].data is not None
            target = hdus["TARGET"]
            assert {n: target.header[n.upper()] for n in ("catId", "tract", "patch", "objId")} == {
                n: identity[n] for n in ("catId", "tract", "patch", "objId")
            }
            assert {"RA", "DEC", "TARGETTYPE"} <= set(target.header)
            assert set(target.columns.names) == {"filterName", "fiberFlux"}
            seen = hdus["OBSERVATIONS"].data
            assert sorted(set(seen["visit"])) == visits
            assert hdus["FLUX_TABLE"].columns["mask"].format == "K"
    truth = {f.name for f in files if "Sim" in f.name}
    assert truth == {f"pfsSimObject-00002-00000-0,0-{index:016x}.fits" for index in (3, 0)}


@pytest.mark.parametrize(
    ("name", "letter"),
    [("red-mr", "m"), ("red", "r"), ("blue", "b"), ("nir", "n"), ("", "m"), ("Medium red", "m")],
)
def test_arms_have_the_letters_of_the_datamodel(name, letter):
    """The red arm at medium resolution is m."""
    assert ArmSpan(name, 0, 1).letter == letter


def test_files_are_not_replaced_unasked(split, files):
    """Nothing is written where one of the files is there already."""
    folder = files[0].parent
    before = {f: f.stat().st_mtime_ns for f in folder.iterdir()}
    with pytest.raises(DataError, match="exists already"):
        export_pfs(split, np.array([1, 3]), folder)
    assert {f: f.stat().st_mtime_ns for f in folder.iterdir()} == before
    assert export_pfs(split, np.array([3]), folder, overwrite=True)


def test_other_fits_files_are_refused(tmp_path):
    """By name of what is missing."""
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "empty.fits")
    with pytest.raises(DataError, match="FLUX_TABLE or FLUXTBL"):
        read_pfs_object(tmp_path / "empty.fits")
    (tmp_path / "text.fits").write_text("no FITS")
    with pytest.raises(DataError, match="cannot be read as a pfsObject"):
        read_pfs_object(tmp_path / "text.fits")
