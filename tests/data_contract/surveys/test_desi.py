"""DESI coadds, held against astropy by hand."""

import numpy as np
import pytest
from astropy.io import fits  # noqa: TID251
from scipy.sparse import dia_matrix

from starsmith.data_contract.surveys.registry import read_spectra


@pytest.mark.parametrize("name", ["coadd-5-169-thru20210419.fits", "coadd-sv3-dark-26065.fits"])
def test_coadds_agree_with_astropy(shared_data, name):
    path = shared_data / "surveys" / "desi" / name
    spectra = list(read_spectra(path))
    with fits.open(path) as hdus:
        assert [s.ids["targetid"] for s in spectra] == [str(t) for t in hdus[1].data["TARGETID"]]
        for k, spectrum in enumerate(spectra):
            for arm in spectrum.arms:
                data = {n: hdus[f"{arm.name}_{n}"].data for n in ("FLUX", "IVAR", "MASK")}
                np.testing.assert_array_equal(arm.wave, hdus[f"{arm.name}_WAVELENGTH"].data)
                np.testing.assert_array_equal(arm.flux, data["FLUX"][k])
                np.testing.assert_array_equal(arm.flags, data["MASK"][k])
                good = data["IVAR"][k] > 0
                np.testing.assert_allclose(arm.error[good] ** -2, data["IVAR"][k][good], rtol=1e-6)
                assert not arm.usable[~good].any()
                assert arm.flag_counts()["SOMEBADPIX"] == (data["MASK"][k] & 1).sum()


def test_the_resolution_is_that_of_the_matrix(shared_data):
    path = shared_data / "surveys" / "desi" / "coadd-sv3-dark-26065.fits"
    arm = list(read_spectra(path))[2].arms[0]
    with fits.open(path) as hdus:
        bands = hdus["B_RESOLUTION"].data[2].astype(float)
    sparse = dia_matrix((bands, range(5, -6, -1)), shape=(bands.shape[1],) * 2).tocsr()
    rng = np.random.default_rng(0)
    model = rng.normal(size=bands.shape[1])
    padded = np.pad(model, 5)
    ours = sum(arm.matrix[k] * padded[k : k + model.size] for k in range(11))
    np.testing.assert_allclose(ours, sparse @ model, atol=1e-12)
    assert np.interp([3710.0, 4700.0, 5690.0], arm.wave, arm.resolving_power) == pytest.approx(
        [2300, 2960, 3700], rel=0.06
    )  # measured on other fibres
