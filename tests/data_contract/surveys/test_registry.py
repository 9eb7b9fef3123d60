"""A survey is one file: a toy one, recognised by content, read, refused where it is damaged."""

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.outside_file import OutsideFile
from starsmith.data_contract.surveys.registry import (
    SpectraFile,
    Survey,
    list_surveys,
    read_spectra,
    register_survey,
)
from starsmith.data_contract.surveys.spectrum import (
    RELATIVE,
    SpectrumArm,
    SurveySpectrum,
    Velocity,
    our_mask,
)


def toy(file: OutsideFile) -> SpectraFile:
    lines = [line.split() for line in file.path.read_text().splitlines()[1:]]

    def get(k: int) -> SurveySpectrum:
        wave = 5000.0 + np.arange(len(lines[k]) - 1)
        flux = np.array(lines[k][1:], dtype=float)
        arm = SpectrumArm(wave=wave, flux=flux, name="one", fwhm=2.0)
        return SurveySpectrum(survey="toy", arms=(arm,), ids={"toy": lines[k][0]}, unit=RELATIVE)

    return SpectraFile(len(lines), get)


@pytest.fixture
def toy_file(tmp_path):
    known = Survey(
        "toy",
        "lines of text",
        lambda f: "toy" if f.kind == "text" and f.path.read_bytes()[:5] == b"#toy\n" else "",
        toy,
    )
    register_survey(known)
    path = tmp_path / "stars.txt"
    path.write_text("#toy\na 1 2 3\nb 4 nan 6\n")
    yield path
    from starsmith.data_contract.surveys import registry

    registry._SURVEYS.pop("toy")


def test_a_toy_survey_costs_one_file(toy_file):
    first, second = read_spectra(toy_file)
    assert "toy" in list_surveys()
    assert first.source_id == "toy a"
    assert first.arms[0].resolving_power[0] == 2500.0
    assert second.arms[0].usable.tolist() == [True, False, True]


def test_what_a_damaged_file_raises_is_one_line(toy_file):
    toy_file.write_text("#toy\na 1 two 3\n")
    with pytest.raises(DataError, match=r"stars.txt is damaged.*two") as caught:
        list(read_spectra(toy_file))
    assert "\n" not in str(caught.value)


def test_another_surveys_file_is_refused_by_name(toy_file):
    with pytest.raises(DataError, match=r"no file of desi .* read it as toy"):
        list(read_spectra(toy_file, "desi"))
    with pytest.raises(DataError, match="survey 'nobody' is not one of desi"):
        list(read_spectra(toy_file, "nobody"))


def test_the_most_widely_known_name_is_the_stars():
    arm = SpectrumArm(wave=np.array([1.0, 2.0]), flux=np.ones(2))
    ids = {"targetid": "5", "gaia_dr2": "7", "spectrum": "x"}
    assert SurveySpectrum(survey="s", arms=(arm,), ids=ids).source_id == "gaia_dr2 7"


def test_only_bits_with_a_meaning_condemn_a_pixel():
    flags = np.array([0, 1, 2, 3])
    mask = our_mask(flags, {"told": 0, "bad": 1}, {"bad": "BAD"})
    assert (mask != 0).tolist() == [False, False, True, True]
    arm = SpectrumArm(
        wave=np.arange(1.0, 5.0), flux=np.ones(4), flags=flags, planes={"told": 0, "bad": 1}
    )
    assert arm.flag_counts() == {"told": 2, "bad": 2}


def test_a_topocentric_spectrum_is_shifted_by_what_the_earth_adds():
    assert Velocity(frame="topocentric", rv=50.0, correction=-20.0).shift == 70.0
    assert Velocity(frame="rest", rv=50.0).shift == 0.0
    assert Velocity(frame="heliocentric").shift is None


@pytest.mark.parametrize("wave", [[1.0, np.nan], [2.0, 1.0], [0.0, 1.0]])
def test_wavelengths_that_cannot_be_are_refused(wave):
    with pytest.raises(DataError, match="wavelengths"):
        SpectrumArm(wave=np.array(wave), flux=np.ones(2))


def test_numbers_that_nobody_measures_are_no_pixels():
    flux, error = np.array([1.0, 1e35, 1.0, 1.0]), np.array([0.1, 0.1, 1e-40, 1e35])
    arm = SpectrumArm(wave=np.arange(1.0, 5.0), flux=flux, error=error)
    assert arm.usable.tolist() == [True, False, False, False]
