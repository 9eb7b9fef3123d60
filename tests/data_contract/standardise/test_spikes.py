"""Spikes and S/N, on white noise and on simulated stars with the Ca II triplet."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.standardise.signal_to_noise import measure_snr
from starsmith.data_contract.surveys.standardise.spikes import find_spikes, printed_spikes

TRIPLET = (8500.36, 8544.44, 8664.52)
FWHM_PIXEL = 3.0


def cool_star(rng, n_wave=4096, fwhm=FWHM_PIXEL):
    """Wavelengths and flux: 400 lines and a triplet with wings, seen through the LSF."""
    fine = 7100.0 + 0.427 / 4 * (np.arange(4 * n_wave) - 1.5)
    flux = np.ones(fine.size)
    centres, depths = rng.uniform(7100, 8850, 400), rng.uniform(0, 1, 400) ** 3 * 0.8
    for centre, depth in zip(centres, depths, strict=True):
        near = slice(*np.searchsorted(fine, (centre - 2.0, centre + 2.0)))
        flux[near] *= 1.0 - depth * np.exp(-0.5 * ((fine[near] - centre) / 0.15) ** 2)
    for centre in TRIPLET:
        flux *= 1.0 - 0.75 / (1 + ((fine - centre) / 1.5) ** 2)
    seen = gaussian_filter1d(flux, 4 * fwhm / 2.3548).reshape(-1, 4).mean(axis=1)
    return fine.reshape(-1, 4).mean(axis=1), seen


@pytest.mark.parametrize(
    ("snr", "known"), [(10, True), (30, False), (100, True), (100, False), (200, True)]
)
def test_spikes_are_found_and_the_triplet_is_not(snr, known):
    """99 % of one-pixel 20 σ spikes; no pixel of a star alone, cores of Ca II above all."""
    rng = np.random.default_rng(snr)
    spikes = found = 0
    for _ in range(10):
        wave, clean = cool_star(rng)
        error = clean**0.5 / snr
        flux = clean + rng.normal(0, error)
        usable = np.ones(wave.size, bool)
        fwhm = FWHM_PIXEL if known else None
        assert not find_spikes(flux, error, usable, fwhm).any()
        at = np.arange(20, 4080, 40) + rng.integers(0, 20, 102)
        hit = flux.copy()
        hit[at] += 20.0 * error[at]
        flags = find_spikes(hit, error, usable, fwhm)
        spikes, found = spikes + at.size, found + flags[at].sum()
        assert flags.sum() <= at.size + 2
    assert found >= 0.99 * spikes


def test_without_an_error_the_scatter_stands_for_it():
    rng = np.random.default_rng(5)
    wave, clean = cool_star(rng)
    flux = clean + rng.normal(0, 0.02, wave.size)
    flux[1000] += 0.6
    found = find_spikes(flux, None, np.ones(wave.size, bool), FWHM_PIXEL)
    np.testing.assert_array_equal(np.flatnonzero(found), [1000])


@pytest.mark.parametrize("width", [2, 3])
def test_a_wider_spike_is_taken_apart(width):
    rng = np.random.default_rng(6)
    flux = 1.0 + rng.normal(0, 0.02, 1000)
    flux[500 : 500 + width] += 0.8
    found = find_spikes(flux, np.full(1000, 0.02), np.ones(1000, bool), FWHM_PIXEL)
    np.testing.assert_array_equal(np.flatnonzero(found), np.arange(500, 500 + width))


def test_unusable_pixels_are_no_spikes():
    flux = np.ones(400)
    flux[200] = np.nan
    usable = np.isfinite(flux)
    assert not find_spikes(flux, np.full(400, 0.01), usable).any()


def test_the_printed_mask_takes_cores_of_the_triplet():
    """As printed it flags Ca II at S/N 100, and nothing else; by hand with numpy."""
    rng = np.random.default_rng(7)
    wave, clean = cool_star(rng)
    quiet = np.abs(wave[:, None] - TRIPLET).min(axis=1) > 5
    flux = np.where(quiet, 1.0, clean) + rng.normal(0, 0.01, wave.size)
    flags = printed_spikes(flux, np.ones(wave.size, bool))
    assert flags.any()
    assert not flags[quiet].any()
    by_hand = np.convolve(np.pad(flux, 50, mode="edge"), np.full(101, 1 / 101), mode="valid")
    residual = flux - by_hand
    sigma = 1.4826 * np.median(np.abs(residual - np.median(residual)))
    np.testing.assert_array_equal(flags, np.abs(residual - np.median(residual)) > 10 * sigma)


def test_snr_of_white_noise():
    """Mean over 1,000 arms: 1.00 +- 0.02."""
    rng = np.random.default_rng(8)
    usable = np.ones(2048, bool)
    ratio = [measure_snr(1 + rng.normal(0, 0.1, 2048), usable, True) / 10 for _ in range(1000)]
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("snr", [10, 30, 100])
def test_snr_of_stars_with_lines(snr):
    """Within 5 %, though lines are everywhere."""
    rng = np.random.default_rng(9)
    ratio = []
    for _ in range(20):
        _, clean = cool_star(rng)
        flux = clean + rng.normal(0, 1 / snr, clean.size)
        ratio.append(measure_snr(flux, np.ones(clean.size, bool), True) / np.median(clean * snr))
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.05)


def test_snr_of_resampled_pixels_is_refused():
    """On 0.427 Å, interpolated from 0.8, the second difference gave 4.3 times too much."""
    with pytest.raises(DataError, match="native pixels"):
        measure_snr(np.ones(100), np.ones(100, bool), native=False)
    with pytest.raises(DataError, match="7 usable pixels"):
        measure_snr(np.ones(6), np.ones(6, bool), native=True)
