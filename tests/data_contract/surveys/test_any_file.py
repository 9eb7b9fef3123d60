"""Tables of the user's as spectra, with what their metadata say."""

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.any_file import read_any


def table(path, **meta):
    wave = np.arange(8500.0, 8600.0, 0.5)
    Table({"wave": wave, "flux": np.ones(wave.size)}, meta=meta).write(path, overwrite=True)
    return path


@pytest.mark.parametrize(
    ("meta", "fwhm", "shift"),
    [
        ({}, None, None),
        ({"fwhm": 2.5, "rv": -32.5}, 2.5, -32.5),
        ({"RESOLUTION": 4000.0, "VRAD": 0.0}, 8500.0 / 4000.0, 0.0),
        ({"resolution": "high", "frame": "rest", "rv": 80.0}, None, 0.0),
    ],
)
def test_what_a_table_says(tmp_path, meta, fwhm, shift):
    (spectrum,) = read_any(table(tmp_path / "star.ecsv", **meta))
    (arm,) = spectrum.arms
    assert spectrum.velocity.shift == shift
    if fwhm is None:
        assert arm.fwhm is None
    else:
        assert np.broadcast_to(arm.fwhm, arm.wave.shape)[0] == pytest.approx(fwhm)


def test_air_is_told_or_said(tmp_path):
    told = next(read_any(table(tmp_path / "a.ecsv"), air=True))
    said = next(read_any(table(tmp_path / "b.ecsv", medium="air")))
    np.testing.assert_array_equal(told.arms[0].wave, said.arms[0].wave)
    assert told.arms[0].wave[0] == pytest.approx(8502.335, abs=1e-3)


def test_what_is_no_spectrum_is_refused(tmp_path):
    path = tmp_path / "no.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"no\.csv: "):
        next(read_any(path))
