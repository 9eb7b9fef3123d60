"""The noise view: slow twin, chi-squared, honest errors and what they must not reveal."""

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.kernels.noise import smooth_rows
from starsmith.data_contract.noise.view import (
    NoiseTables,
    Realisation,
    background,
    honest_error,
    median_snr,
    observe_spectra,
    sensitivity,
    snr_statistics,
    true_error,
)
from tests.data_contract.example import draw, model_flux
from tests.reference import noise as slow


@pytest.fixture(scope="module")
def stars():
    return draw(0, "train", np.arange(400))


@pytest.fixture(scope="module")
def flux_model(stars, noise):
    return model_flux(stars, noise.wave)


def test_electrons_and_variances_equal_the_pixel_loop(noise, stars):
    """Same algebra, another order of operations: 1e-12."""
    skies = stars.conditions[:4]
    fast = sensitivity(noise, skies), background(noise, skies)
    for i, conditions in enumerate(skies):
        for j in (0, 1, 62, 63, 64, 150, noise.wave.size - 1):
            assert fast[0][i, j] == pytest.approx(
                slow.pixel_sensitivity(noise, conditions, j), rel=1e-12
            )
            assert fast[1][i, j] == pytest.approx(
                slow.pixel_background(noise, conditions, j), rel=1e-12
            )


def test_error_equals_the_pixel_loop(noise, stars, flux_model):
    """Float32 output: 2^-23; a negative flux has no photons."""
    flux = flux_model[:4].copy()
    flux[:, ::7] *= -1
    fast = true_error(noise, flux, stars.conditions[:4])
    for i in range(4):
        for j in (0, 7, 63, 150, noise.wave.size - 1):
            twin = slow.pixel_error(noise, flux[i, j], stars.conditions[i], j)
            assert fast[i, j] == pytest.approx(twin, rel=2**-23)


@pytest.mark.parametrize("n_wave", [1, 7, 12, 13, 84, 90])
def test_broad_means_equal_their_twin(n_wave):
    """Differences of cumulative sums: 1e-12 of the mean. The last pixel may be a knot or not."""
    rows = np.random.default_rng(0).normal(5.0, 1.0, (2, n_wave))
    smooth = np.empty_like(rows)
    smooth_rows(smooth, rows, 12)
    np.testing.assert_allclose(smooth, [slow.broad_mean(row, 12) for row in rows], rtol=1e-12)


def test_broad_means_hold_no_pixel():
    """Straight between knots: a differencing learner finds 9 numbers in 90 pixels, not 90."""
    rows = np.random.default_rng(0).normal(5.0, 1.0, (1, 90))
    smooth = np.empty_like(rows)
    smooth_rows(smooth, rows, 12)
    bends = np.abs(np.diff(smooth[0], 2)) > 1e-12
    assert set(np.flatnonzero(bends) + 1) <= set(range(12, 89, 12))


def test_residuals_have_the_true_variance(noise, stars, flux_model):
    """(flux - flux_model) / sigma has mean 0 and variance 1, within 4 standard errors."""
    flux, _, sigma = observe_spectra(noise, flux_model, stars.conditions, stars.key)
    residual = (flux.astype(np.float64) - flux_model) / sigma
    assert abs(residual.mean()) < 4 / np.sqrt(residual.size)
    assert abs(residual.var() - 1) < 4 * np.sqrt(2 / residual.size)


def test_noise_depends_on_the_key_alone(noise, stars, flux_model):
    """One spectrum observed alone is the spectrum observed in company; epochs differ."""
    flux, _, _ = observe_spectra(noise, flux_model, stars.conditions, stars.key)
    rows = np.array([17, 3])
    few = stars.take(rows)
    again, _, _ = observe_spectra(noise, flux_model[rows], few.conditions, few.key)
    np.testing.assert_array_equal(again, flux[rows])
    fresh, _, _ = observe_spectra(
        noise, flux_model, stars.conditions, stars.key, drawn=Realisation("training", 1)
    )
    assert (fresh == flux).mean() < 1e-3


@pytest.mark.parametrize("kind", ["observed", "smooth"])
def test_honest_error_is_unbiased(noise, stars, flux_model, kind):
    """Mean honest variance over true variance is 1.

    ``observed``: variance is linear in flux except where a noisy flux falls below zero and
    counts as no photons; at S/N > 1 per pixel that adds less than 0.2 %. ``smooth``: the mean
    over the spectrum is kept where the true spectrum is flat: the line and the slope of the
    example move it by less than 3 %. Both plus 4 standard errors.
    """
    flux, _, sigma = observe_spectra(noise, flux_model, stars.conditions, stars.key)
    error = honest_error(noise, flux, stars.conditions, kind)
    ratio = (error.astype(np.float64) / sigma) ** 2
    scatter = ratio.mean(axis=1).std() / np.sqrt(len(ratio))
    assert abs(ratio.mean() - 1) < {"observed": 2e-3, "smooth": 0.03}[kind] + 4 * scatter


def test_smooth_error_carries_no_line(noise, stars):
    """Stars alike but for a line: their smooth errors agree, their true errors do not.

    The line takes flux from the running mean too; divided out by giving both stars the
    same broadband flux. What is left is float32 rounding, 1e-6.
    """
    sky = np.repeat(stars.conditions[:1], 2, axis=0)
    flat = np.ones(noise.wave.size)
    lined = flat.copy()
    lined[140:160] -= 0.6
    lined += 0.6 * 20 / lined.size
    flux = np.array([flat, lined], dtype=np.float32)
    error = honest_error(noise, flux, sky, "smooth")
    # 300 pixels: every mean over 801 covers the whole spectrum
    np.testing.assert_allclose(error[1], error[0], rtol=1e-6)
    sigma = true_error(noise, flux, sky)
    assert np.abs(sigma[1] / sigma[0] - 1)[140:160].max() > 0.03  # between sky lines


def test_errors_do_not_tell_gravity_at_equal_broadband_flux(noise):
    """Leak: the true error tells the line's label; the smooth error tells nothing.

    Correlation of each star's error in the line (relative to its neighbourhood) with log g.
    For 400 stars chance reaches 0.2 at 4 sigma.
    """
    stars = draw(1, "train", np.arange(400))
    sky = np.repeat(stars.conditions[:1], 400, axis=0)
    model = model_flux(stars, noise.wave)
    model /= model.mean(axis=1, keepdims=True)
    flux, _, sigma = observe_spectra(noise, model, sky, stars.key)
    line, beside = slice(147, 153), slice(120, 126)

    def tell(error):
        contrast = error[:, line].mean(axis=1) / error[:, beside].mean(axis=1)
        return abs(np.corrcoef(contrast, stars.label("logg"))[0, 1])

    assert tell(sigma) > 0.95
    assert tell(honest_error(noise, flux, sky, "smooth")) < 0.2


def test_brighter_stars_have_larger_snr_and_exposures_add_up(noise, stars, flux_model):
    """S/N rises with flux; four times the exposures doubles it where no floor is left."""
    sky = stars.conditions[:50].copy()
    tables = NoiseTables.from_arrays({**noise.arrays(), "floor_fraction": np.array(0.0)})
    snr = median_snr(flux_model[:50], true_error(tables, flux_model[:50], sky))
    brighter = median_snr(2 * flux_model[:50], true_error(tables, 2 * flux_model[:50], sky))
    assert (brighter > snr).all()
    sky[:, 7] *= 4
    longer = median_snr(flux_model[:50], true_error(tables, flux_model[:50], sky))
    np.testing.assert_allclose(longer, 2 * snr, rtol=1e-6)  # float32


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [(0, 9.0, "seeing"), (1, 80.0, "zenith_angle"), (2, 1.0, "field_angle"), (5, 0.5, "moon")],
)
def test_skies_outside_the_tables_are_refused(noise, stars, column, value, name):
    """No silent extrapolation."""
    sky = stars.conditions[:3].copy()
    sky[1, column] = value
    with pytest.raises(DataError, match=name):
        true_error(noise, np.ones((3, noise.wave.size), np.float32), sky)


def test_unknown_error_kind_and_tables_are_refused(noise, stars, flux_model):
    """Names are checked, not guessed."""
    with pytest.raises(ValueError, match="perfect"):
        honest_error(noise, flux_model, stars.conditions, "perfect")
    arrays = noise.arrays()
    arrays["dark"] = arrays.pop("dark_rate")
    with pytest.raises(DataError, match="dark"):
        NoiseTables.from_arrays(arrays)


@pytest.mark.parametrize("n_wave", [1, 2, 5, 4096, 4097])
def test_median_snr_is_the_median(n_wave):
    """The same bits as numpy's median, for even and odd numbers of pixels."""
    rng = np.random.default_rng(n_wave)
    flux = rng.normal(5.0, 2.0, (20, n_wave)).astype(np.float32)
    sigma = rng.uniform(0.5, 2.0, (20, n_wave)).astype(np.float32)
    expected = np.median(flux / sigma, axis=1).astype(np.float64)
    np.testing.assert_array_equal(median_snr(flux, sigma), expected)


@pytest.mark.parametrize("n_wave", [1, 2, 5, 21, 4096, 4097])
def test_the_95th_percentile_is_numpys(n_wave):
    """With ties on the rank, equal pixels, negative ones and infinities as without."""
    rng = np.random.default_rng(n_wave)
    flux = rng.normal(1.0, 2.0, (20, n_wave)).astype(np.float32)
    flux[0], flux[1] = 3.0, np.round(flux[1])
    flux[2, : n_wave // 2], flux[3, 0], flux[4] = 7.0, np.inf, -np.abs(flux[4])
    sigma = np.full_like(flux, 1.3)
    with np.errstate(invalid="ignore"):
        expected = np.percentile((flux / sigma).astype(np.float64), 95, axis=1)
    kept = np.isfinite(expected)
    found = snr_statistics(flux, sigma)["snr_p95"]
    assert kept.sum() >= 19
    np.testing.assert_allclose(found[kept], expected[kept], rtol=1e-12)
    double = (flux[5:].astype(np.float64), sigma[5:].astype(np.float64))
    for name, percent in (("snr", 50), ("snr_p95", 95)):
        expected = np.percentile(double[0] / double[1], percent, axis=1)
        np.testing.assert_allclose(snr_statistics(*double)[name], expected, rtol=1e-12)
