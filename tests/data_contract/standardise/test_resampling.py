"""Spectra on other pixels: light conserved, lines kept, and noise with its neighbours."""

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.surveys.standardise.line_spread import match_lines
from starsmith.data_contract.surveys.standardise.resampling import (
    arms_of,
    pixel_edges,
    resample,
    resampling_matrix,
)

WAVE = np.arange(8000.0, 8400.0, 0.4)
OTHER = np.arange(8010.0, 8390.0, 1.0 / 3.0)


def line(wave, fwhm):
    return 1.0 - 0.6 * fwhm**-1 * np.exp(-4 * np.log(2) * ((wave - 8201.13) / fwhm) ** 2)


def noisy(rng=None, wave=WAVE):
    error = 0.01 * (1.0 + 0.3 * np.sin(wave / 20.0))
    flux = np.ones(wave.size) if rng is None else rng.normal(0.0, error)
    return Observed(wave, flux, error)


def test_linear_is_numpys():
    flux = np.random.default_rng(1).normal(size=WAVE.size)
    found = resample(Observed(WAVE, flux), OTHER, "linear")
    np.testing.assert_allclose(found.flux, np.interp(OTHER, WAVE, flux), rtol=0, atol=1e-12)


def test_conserving_keeps_the_light_of_what_both_cover():
    """By hand: the integral of a histogram between the edges of each new pixel."""
    flux = np.random.default_rng(1).uniform(1, 2, size=WAVE.size)
    found = resample(Observed(WAVE, flux), OTHER, "conserving")
    edge = pixel_edges(WAVE)
    light = np.concatenate([[0.0], np.cumsum(flux * np.diff(edge))])
    new = pixel_edges(OTHER)
    expected = np.diff(np.interp(new, edge, light)) / np.diff(new)
    np.testing.assert_allclose(found.flux, expected, rtol=1e-10)


def test_conserving_agrees_with_specutils():
    specutils = pytest.importorskip("specutils")
    from astropy import units
    from astropy.nddata import InverseVariance
    from specutils.manipulation import FluxConservingResampler

    seen = noisy(np.random.default_rng(2))
    theirs = FluxConservingResampler()(
        specutils.Spectrum(
            flux=seen.flux * units.Jy,
            spectral_axis=WAVE * units.AA,
            uncertainty=InverseVariance(seen.error**-2 * units.Jy**-2),
        ),
        OTHER * units.AA,
    )
    ours = resample(seen, OTHER, "conserving")
    np.testing.assert_allclose(ours.flux, theirs.flux.value, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.error, theirs.uncertainty.array**-0.5, rtol=1e-9)


def test_a_quintic_keeps_a_line_of_three_pixels():
    """Interpolation between samples of a Gaussian 3 pixels wide: 1 % of its depth."""
    found = resample(Observed(WAVE, line(WAVE, 1.2)), OTHER)
    assert np.abs(found.flux - line(OTHER, 1.2)).max() < 0.01 * 0.5


@pytest.mark.parametrize("method", ["quintic", "linear", "conserving"])
def test_noise_is_as_stated(method):
    """Monte Carlo of 1,500: errors to 4 % (4 x its scatter), the mean of many pixels too."""
    rng = np.random.default_rng(3)
    stated = resample(noisy(), OTHER, method)
    matrix = resampling_matrix(WAVE, OTHER, method)
    drawn = rng.normal(0.0, noisy().error, size=(1500, WAVE.size)) @ matrix.T.toarray()
    inner = slice(100, 1000)
    assert np.mean(drawn.std(axis=0)[inner] / stated.error[inner]) == pytest.approx(1.0, abs=0.01)
    neighbour = (drawn[:, 1:] * drawn[:, :-1]).mean(axis=0)
    assert neighbour[inner].mean() == pytest.approx(
        stated.neighbour_covariance[inner].mean(), rel=0.04
    )
    own = (stated.error**2 * stated.correlation_length)[inner]
    assert drawn[:, inner].mean(axis=1).std() == pytest.approx(
        np.sqrt(own.mean() / own.size), rel=0.08
    )


def test_the_covariance_is_the_whole_matrix():
    """Closed form: A diag(σ²) Aᵀ, its diagonal, its neighbours and its rows."""
    seen, wave = noisy(wave=WAVE[:60]), OTHER[:40]
    matrix = resampling_matrix(seen.wave, wave, "quintic").toarray()
    whole = matrix @ np.diag(seen.error**2) @ matrix.T
    found = resample(seen, wave)
    inside = slice(5, 20)
    np.testing.assert_allclose(found.error[inside] ** 2, np.diag(whole)[inside], rtol=1e-10)
    np.testing.assert_allclose(found.neighbour_covariance[inside], np.diag(whole, 1)[inside])
    length = whole.sum(axis=1) / np.diag(whole)
    np.testing.assert_allclose(found.correlation_length[inside], length[inside], rtol=1e-10)


def test_unusable_pixels_and_the_outside_are_masked():
    seen = noisy()
    flux = seen.flux.copy()
    flux[500] = np.nan
    found = resample(Observed(WAVE, flux, seen.error), np.arange(7999.0, 8401.0, 0.4))
    where = np.flatnonzero(~found.usable)
    assert np.all(np.diff(found.wave[where]) > 0)
    near = np.abs(found.wave - WAVE[500]) < 0.4
    assert not found.usable[near].any()
    assert not found.usable[(found.wave < WAVE[0]) | (found.wave > WAVE[-1])].any()
    assert found.usable.mean() > 0.98


def test_arms_part_where_wavelengths_jump_or_go_back():
    joined = np.concatenate([WAVE, WAVE[500:] + 0.1, WAVE + 600.0])
    assert [arm.size for arm in arms_of(joined)] == [1000, 500, 1000]


def test_an_unknown_method_is_refused():
    with pytest.raises(DataError, match="'sinc' is not one of quintic"):
        resample(noisy(), OTHER, "sinc")


@pytest.mark.parametrize("target", [1.21, 1.25, 1.3, 1.5, 2.0, 3.0])
def test_a_line_gets_the_targets_width(target):
    """Closed form: a Gaussian of 1.2 Å becomes one of the target's; 0.1 % of its depth."""
    match = match_lines(WAVE, 1.2, target)
    assert np.abs(match.matrix @ line(WAVE, 1.2) - line(WAVE, target)).max() < 1e-3 * 0.5
    assert not match.broader.any()


def test_widths_vary_along_the_arm():
    wide = np.linspace(1.3, 2.6, WAVE.size)
    found = match_lines(WAVE, np.full(WAVE.size, 1.2), wide).matrix @ line(WAVE, 1.2)
    near = np.abs(WAVE - 8201.13) < 3.0
    expected = line(WAVE, np.interp(8201.13, WAVE, wide))
    assert np.abs(found - expected)[near].max() < 0.02 * 0.5


def test_what_is_broader_is_said_and_left():
    match = match_lines(WAVE, np.where(WAVE > 8200.0, 3.0, 1.21), 1.2)
    assert match.matrix is None
    np.testing.assert_array_equal(match.broader, WAVE > 8200.0)
