"""Spectra of other pixels, frames and arms brought to a model, and what is said of them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from scipy.interpolate import CubicSpline

from starsmith.data_contract import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quality import quality_value
from starsmith.data_contract.snr_units import PIXEL_IN_FWHM2
from starsmith.data_contract.surveys.ingest import Ingest, ingest_files
from starsmith.data_contract.surveys.scan import Source
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum, Velocity
from starsmith.learners import fit, load_checkpoint
from starsmith.learners.prediction.matching import SpectrumMatcher, predict_any
from starsmith.learners.prediction.radial_velocity import VelocityMeter
from starsmith.simulator import Prior, write_dataset
from tests.conftest import star_flux

LIGHT_SPEED = 299792.458
LABELS = (4800.0, 3.0, -0.5)
FWHM = 0.43 * np.sqrt(3.0**2 + PIXEL_IN_FWHM2)  # Å, of the toy instrument below, with its pixel


@pytest.fixture(scope="module")
def matcher(toy_bank, tmp_path_factory):
    """A ridge regression of log g on bright toy stars at rest, of known line width."""
    work = tmp_path_factory.mktemp("matching")
    arm = {"lsf_wave_nm": [850.0, 863.0], "lsf_fwhm_pixel": [3.0, 3.0]}
    bank = replace(toy_bank, instrument={"name": "toy", "arms": [arm]})
    prior = Prior.default().with_ranges(
        teff=(4500.0, 5100.0), logg=(2.0, 4.0), m_h=(-1.0, 0.0), mag=(16.0, 19.0)
    )
    write_dataset(bank, prior, {"train": 400, "val": 100, "test": 1}, work / "toy.zarr", seed=9)
    fit("ridge", open_dataset(work / "toy.zarr").training(), "logg", None, work / "ridge")
    return SpectrumMatcher(load_checkpoint(work / "ridge"))


WAVE = 8500.0 + 0.43 * np.arange(300)
OTHER = np.arange(8503.0, 8626.0, 0.31)


def spectrum(*waves, rv=0.0, fwhm=FWHM, snr=150.0, stated=None, frame="barycentric"):
    """A toy star on one or several arms, moving, its noise white."""
    rng = np.random.default_rng(4)
    stretch = np.sqrt((1 + rv / LIGHT_SPEED) / (1 - rv / LIGHT_SPEED))
    whole = star_flux(*LABELS, WAVE)
    arms = []
    for wave in waves:
        flux = CubicSpline(WAVE, whole)(wave / stretch)
        error = flux / snr
        arms.append(
            SpectrumArm(wave=wave, flux=flux + rng.normal(0, error), error=error, fwhm=fwhm)
        )
    velocity = Velocity(frame=frame, rv=stated)
    return SurveySpectrum(survey="toy", arms=tuple(arms), ids={"star": "a"}, velocity=velocity)


def logg_of(matcher, *given, **more):
    (estimate,), matched = matcher.predict(spectrum(*given, **more))
    return estimate.value, estimate.flags, matched


@pytest.fixture(scope="module")
def plain(matcher):
    value, flags, matched = logg_of(matcher, WAVE, frame="rest")
    assert not flags
    assert not matched.done
    return value


SAME = 0.15  # dex; what noise of S/N 150 does to log g here, four times over


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ([OTHER], {"frame": "rest"}),
        ([OTHER], {"rv": 80.0, "stated": 80.0}),
        ([OTHER], {"rv": 80.0}),
        ([OTHER], {"rv": -120.0}),
        ([WAVE], {"rv": 80.0}),
        ([OTHER[:220], OTHER[200:]], {"rv": 80.0}),
        ([OTHER[:150], OTHER[160:]], {"frame": "rest"}),
        ([np.arange(8503.0, 8626.0, 0.6)], {"frame": "rest"}),
        ([OTHER], {"frame": "rest", "fwhm": FWHM / 1.01}),
    ],
    ids=["sampling", "stated", "measured", "blue", "own", "arms", "gap", "coarse", "sharper"],
)
def test_what_is_done_to_a_spectrum_does_not_change_its_label(matcher, plain, given, more):
    value, flags, matched = logg_of(matcher, *given, **more)
    assert value == pytest.approx(plain, abs=SAME)
    assert set(flags) <= {"few_pixels"}
    if "rv" in more:
        assert matched.rv == pytest.approx(more["rv"], abs=3.0)


def test_a_measured_velocity_has_its_error(matcher):
    _, _, matched = logg_of(matcher, OTHER, rv=80.0)
    assert re.fullmatch(r"velocity \+\d+\.\d ± \d\.\d km/s measured", matched.done[0])


def test_what_cannot_be_mended_is_flagged(matcher):
    assert "broad_lines" in logg_of(matcher, OTHER, frame="rest", fwhm=3.0)[1]
    assert "unknown_resolution" in logg_of(matcher, OTHER, frame="rest", fwhm=None)[1]
    noise = spectrum(OTHER, snr=0.05)
    assert "unknown_velocity" in matcher.predict(noise)[0][0].flags


def test_uncovered_pixels_are_masked(matcher):
    _, flags, matched = logg_of(matcher, OTHER[:200], frame="rest")
    assert "few_pixels" in flags
    assert matched.seen.usable.sum() == pytest.approx(62 / 0.43, abs=3)
    with pytest.raises(DataError, match="needs 25%"):
        logg_of(matcher, OTHER[:40], frame="rest")
    with pytest.raises(DataError, match="no usable pixel in 8500"):
        matcher.match(far(4000.0), 0.0)
    with pytest.raises(DataError, match="nanometres"):
        matcher.match(far(850.0), 0.0)


def far(start):
    wave = start + np.arange(0.0, 10.0, 0.03)
    arm = SpectrumArm(wave=wave, flux=np.ones(wave.size), error=np.full(wave.size, 0.1))
    return SurveySpectrum(survey="toy", arms=(arm,), ids={})


def test_velocities_are_measured_as_well_as_they_say(matcher):
    """30 stars between -300 and 300 km/s: pulls scatter by 1 to 1.6 (resampled noise, 30 stars)."""
    rng = np.random.default_rng(1)
    meter = VelocityMeter(matcher.predictor.statistics)
    pulls = []
    for true in rng.uniform(-300.0, 300.0, 30):
        stretch = np.sqrt((1 + true / LIGHT_SPEED) / (1 - true / LIGHT_SPEED))
        flux = CubicSpline(WAVE, star_flux(*LABELS, WAVE))(WAVE / stretch)
        error = flux / 100.0
        found = meter.measure(Observed(WAVE, flux + rng.normal(0, error), error))
        assert found.significant
        pulls.append((found.rv - true) / found.error)
    assert 0.6 < 1.4826 * np.median(np.abs(pulls)) < 1.8


def test_a_data_set_on_other_pixels_is_predicted(matcher, plain, tmp_path):
    """Twelve tables of a star at +80 km/s, which they say, as one data set without labels."""
    for k in range(12):
        (arm,) = spectrum(OTHER, rv=80.0).arms
        columns = {"wave": arm.wave, "flux": arm.flux, "error": arm.error}
        meta = {"fwhm": FWHM, "rv": 80.0}
        Table(columns, meta=meta).write(tmp_path / f"star{k}.ecsv")
    files = tuple(sorted(tmp_path.glob("*.ecsv")))
    request = Ingest(source=Source(files=files, labels=()), shares=(0.0, 0.0, 1.0))
    ingest_files(request, tmp_path / "d.zarr")
    found = predict_any(matcher.predictor, open_dataset(tmp_path / "d.zarr").split("test"))
    np.testing.assert_allclose(found.value[:, 0], plain, atol=SAME)
    assert np.isnan(found.truth).all()
    assert not (found.quality & quality_value("unknown_velocity", "unknown_resolution")).any()


def test_a_velocity_is_a_product_with_its_error(matcher):
    """A star far from rest is found; without lines nothing is, and other modes are told."""
    found = matcher.velocity(spectrum(OTHER, rv=-120.0, stated=40.0))
    assert found.known
    assert not found.at_rest
    assert found.rv == pytest.approx(-120.0, abs=5.0 * max(found.error, 0.2))
    assert found.share > 0.99
    drowned = matcher.velocity(spectrum(OTHER, rv=-120.0, snr=0.3))
    assert not drowned.known
    assert drowned.others
    assert drowned.share + sum(share for _, share in drowned.others) <= 1.0 + 1e-9


def test_a_velocity_of_few_pixels_is_unknown(matcher):
    meter = matcher.predictor.meter
    flux = star_flux(*LABELS, WAVE)
    mask = (np.arange(WAVE.size) > 60).astype(np.uint32)
    for seen in (Observed(WAVE, flux, flux / 50.0, mask), Observed(WAVE, -flux, flux / 50.0)):
        found = meter.measure(seen)
        assert np.isnan(found.rv)
        assert not found.known
