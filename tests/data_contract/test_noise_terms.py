"""Optional noise terms: their variances, correlations and independence of each other."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.kernels.noise_terms import poisson_quantile
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.noise.coadd import Coadd, exposure_conditions, widest_conditions
from starsmith.data_contract.noise.cosmic_rays import EXTRACTED_CM2, lost_exposures
from starsmith.data_contract.noise.covariance import noise_modes
from starsmith.data_contract.noise.modes import (
    floor_modes,
    floor_share,
    telluric_depth,
)
from starsmith.data_contract.noise.observation import Realisation, spectrum_mask
from starsmith.data_contract.noise.view import NoiseModel, honest_error, observe_spectra, true_error
from starsmith.data_contract.random import DrawKey
from tests.data_contract.example import draw, model_flux
from tests.reference import noise_terms as slow

TERMS = {
    "correlated": {"sky_floor": "correlated"},
    "none": {"sky_floor": "none"},
    "telluric": {"telluric_residual": 0.1},
    "calibration": {"flux_calibration": 0.05},
    "poisson": {"counts": "poisson"},
    "cosmic": {"cosmic_rays": 0.5},
    "drift": {"seeing_drift": 0.1, "zenith_drift": 5.0},
    "all": {
        "sky_floor": "correlated",
        "telluric_residual": 0.1,
        "flux_calibration": 0.05,
        "counts": "poisson",
        "cosmic_rays": 0.5,
        "seeing_drift": 0.1,
        "zenith_drift": 5.0,
    },
}


@pytest.fixture(scope="module")
def stars():
    drawn = draw(0, "train", np.arange(300))
    drawn.conditions[:, 0] = np.clip(drawn.conditions[:, 0], 0.6, 1.3)  # room for a drift
    return drawn


@pytest.fixture(scope="module")
def flux_model(stars, noise):
    return model_flux(stars, noise.wave)


def observe(noise, flux_model, stars, terms, **draw_of):
    model = NoiseModel(**terms)
    return observe_spectra(noise, flux_model, stars.conditions, stars.key, model=model, **draw_of)


def test_the_default_model_is_the_calculators(noise, flux_model, stars):
    """Naming the default changes no bit."""
    named = observe(noise, flux_model, stars, {})
    plain = observe_spectra(noise, flux_model, stars.conditions, stars.key)
    for first, second in zip(named, plain, strict=True):
        np.testing.assert_array_equal(first, second)
    assert NoiseModel().recorded() == {}


@pytest.mark.parametrize("name", TERMS)
def test_noise_has_the_stated_variance(noise, flux_model, stars, name):
    """Squared residuals over the true variance have mean 1 in pixels no cosmic ray hit.

    Modes of a spectrum err together, so the scatter of the mean is taken from the scatter
    between spectra: 5 standard errors.
    """
    model = NoiseModel(**TERMS[name])
    flux, _, sigma = observe(noise, flux_model, stars, TERMS[name])
    np.testing.assert_array_equal(
        sigma, true_error(noise, flux_model, stars.conditions, model, stars.key)
    )
    mask = spectrum_mask(model, stars.conditions, stars.key, noise.wave.size)
    pull = np.ma.masked_array((flux.astype(float) - flux_model) / sigma, mask != 0)
    by_star = (pull**2).mean(axis=1)
    assert abs(by_star.mean() - 1) < 5 * by_star.std() / np.sqrt(len(by_star))
    assert abs(pull.mean(axis=1).mean()) < 5 * pull.mean(axis=1).std() / np.sqrt(len(by_star))


@pytest.mark.parametrize("name", TERMS)
def test_a_spectrum_depends_on_its_key_alone(noise, flux_model, stars, name):
    """Alone or among others, in any order; another epoch is another draw of every term."""
    flux, error, _ = observe(noise, flux_model, stars, TERMS[name])
    rows = np.array([17, 3, 250])
    few = stars.take(rows)
    again, again_error, _ = observe(noise, flux_model[rows], few, TERMS[name])
    np.testing.assert_array_equal(again, flux[rows])
    np.testing.assert_array_equal(again_error, error[rows])
    fresh, _, _ = observe(noise, flux_model, stars, TERMS[name], drawn=Realisation("training", 4))
    assert (fresh == flux).mean() < 1e-2


def test_streams_of_terms_do_not_meet():
    """The draw of record and epoch 0 are different realisations."""
    kinds = [Realisation(s, k).of_terms for s in ("noise", "training", "fisher") for k in (0, 1)]
    assert len(set(kinds)) == len(kinds)


def test_switching_a_term_on_leaves_the_others_alone(noise, flux_model, stars):
    """A calibration error adds exactly its smooth shape to the noise that was there.

    Float32 sums of numbers of order 1: 1e-6.
    """
    before, _, _ = observe(noise, flux_model, stars, TERMS["correlated"])
    both = {**TERMS["correlated"], **TERMS["calibration"]}
    after, _, _ = observe(noise, flux_model, stars, both)
    shape = NoiseModel(**both).shapes(noise)["flux_calibration"]
    change = (after.astype(float) - before) / flux_model
    fitted = change @ np.linalg.pinv(shape) @ shape
    np.testing.assert_allclose(change, fitted, atol=3e-6)
    assert change.std() == pytest.approx(0.05, rel=0.1)  # 300 stars x 4 modes: 3 %


def test_floor_modes_equal_the_pixel_loop(noise, stars):
    """Same algebra, another order: 1e-12 of the largest."""
    modes = floor_modes(noise, stars.conditions[:3])
    for i in range(3):
        twin = slow.floor_modes_plainly(noise, stars.conditions[i])
        np.testing.assert_allclose(modes[i], twin, rtol=0, atol=1e-12 * np.abs(twin).max())


def test_modes_never_exceed_the_floor(noise, stars):
    """In every pixel, so that the rest is a variance; their share of it is as stated."""
    modes = floor_modes(noise, stars.conditions[:2])
    carried = (modes**2).sum(axis=2)
    for i in range(2):
        floor = [
            slow.floor_variance(noise, stars.conditions[i], j) for j in range(carried.shape[1])
        ]
        assert np.all(carried[i] <= np.array(floor) * (1 + 1e-12))
    share = floor_share(noise, stars.conditions)
    assert np.all((share > 0.4) & (share < 0.6))


def test_sky_residuals_are_correlated_as_stated(noise, stars):
    """Covariance of 4000 draws of one sky equals D + U Uᵀ, within 5 standard errors."""
    n = 4000
    sky = np.repeat(stars.conditions[:1], n, axis=0)
    key = DrawKey(9, "train", np.arange(n))
    model = np.ones((n, noise.wave.size), np.float32)
    terms = NoiseModel(sky_floor="correlated")
    flux, _, sigma = observe_spectra(noise, model, sky, key, model=terms)
    u = noise_modes(noise, terms, model[:1], sky[:1])[0]
    sample = flux[:, 55:75].astype(float) - 1.0
    covariance = sample.T @ sample / n
    expected = u[55:75] @ u[55:75].T
    np.fill_diagonal(expected, sigma[0, 55:75].astype(float) ** 2)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.all(np.abs(covariance - expected) < 5 * scale * np.sqrt(2 / n))
    off = ~np.eye(20, dtype=bool)
    assert (np.abs(expected) / scale)[off].max() > 0.1  # else this test would see nothing


def test_without_a_floor_its_variance_is_gone(noise, flux_model, stars):
    """σ² falls by the floor's variance; float32 differences of σ²: 1e-5 of σ²."""
    sky = stars.conditions[:2]
    with_floor = true_error(noise, flux_model[:2], sky).astype(float)
    without = true_error(noise, flux_model[:2], sky, NoiseModel(sky_floor="none")).astype(float)
    for j in (0, 62, 63, 150):
        floor = slow.floor_variance(noise, sky[1], j)
        assert with_floor[1, j] ** 2 - without[1, j] ** 2 == pytest.approx(
            floor, abs=1e-5 * with_floor[1, j] ** 2
        )


@pytest.mark.parametrize("mean", [0.05, 0.7, 3.0, 29.9, 30.1, 200.0, 1000.0, 1e5])
def test_counts_are_poisson(mean):
    """The quantile is scipy's, but for single counts in 1e-3 of draws where it is expanded.

    One of the 4001 numbers tried stands for up to 9e-4 of the draws.
    """
    normal = np.linspace(-4.5, 4.5, 4001)
    ours = np.array([poisson_quantile(mean, z) for z in normal])
    exact = stats.poisson.ppf(stats.norm.cdf(normal), mean)
    assert np.abs(ours - exact).max() <= 1
    drawn = stats.norm.pdf(normal)  # how often each normal number occurs
    assert drawn[ours != exact].sum() / drawn.sum() <= (0.0 if mean < 30 else 1e-3)


def test_faint_light_is_counted_in_whole_electrons(noise, stars):
    """Without read noise a pixel's electrons are integers, star and sky together."""
    quiet = dataclasses.replace(noise, read_variance=0.0, variance_factor=1.0)
    sky = stars.conditions[:20].copy()
    model = np.full((20, noise.wave.size), 0.3, np.float32)
    terms = NoiseModel(counts="poisson", sky_floor="none")
    flux, _, _ = observe_spectra(quiet, model, sky, DrawKey(1, "test", np.arange(20)), model=terms)
    coadd = Coadd.of(quiet, sky, terms, None)
    electrons = 12 * (coadd.response.sensitivity * flux + coadd.photons)
    # the variance left over for Gaussian noise is float32 rounding of 3000: sqrt(2e-4) electron
    np.testing.assert_allclose(electrons, np.round(electrons), rtol=0, atol=0.1)


def test_cosmic_rays_hit_as_often_as_stated(noise, stars):
    """Mean number of lost exposures: rate x area x time x 3 pixels; 5 standard errors.

    Each hit counts in three pixels, which widens the scatter by sqrt(3).
    """
    lost = lost_exposures(0.5, stars.conditions, stars.key, noise.wave.size)
    expected = 0.5 * EXTRACTED_CM2 * 900.0 * 12.0 * 3.0
    inner = lost[:, 1:-1].astype(float)
    assert inner.mean() == pytest.approx(expected, abs=5 * np.sqrt(3 * expected / inner.size))


def test_a_hit_pixel_is_flagged_and_noisier(noise, flux_model, stars):
    """Error over the error without hits is sqrt(n / (n - k)); the mask names the cause."""
    terms = NoiseModel(cosmic_rays=0.5)
    _, error, _ = observe_spectra(noise, flux_model, stars.conditions, stars.key, model=terms)
    _, unhit, _ = observe_spectra(noise, flux_model, stars.conditions, stars.key)
    lost = lost_exposures(0.5, stars.conditions, stars.key, noise.wave.size)
    mask = spectrum_mask(terms, stars.conditions, stars.key, noise.wave.size)
    np.testing.assert_array_equal(mask != 0, lost > 0)
    one = (lost == 1) & (flux_model > 0.2)
    assert mask[one].max() == mask_value("CR")
    ratio = error[one] / unhit[one]
    # the pixel's noise draw is stretched too, which moves its honest error a little
    assert np.median(ratio) == pytest.approx(np.sqrt(12 / 11), rel=5e-3)


def test_pixels_without_any_exposure_are_interpolated(noise, stars):
    """One exposure and a hit: flux between its neighbours', bits that say so."""
    sky = stars.conditions[:40].copy()
    sky[:, 7] = 1.0
    model = np.ones((40, noise.wave.size), np.float32)
    terms = NoiseModel(cosmic_rays=1.0)
    key = DrawKey(4, "val", np.arange(40))
    flux, error, _ = observe_spectra(noise, model, sky, key, model=terms)
    mask = spectrum_mask(terms, sky, key, noise.wave.size)
    gone = mask == mask_value("CR", "INTRP", "NO_DATA")
    assert gone.sum() > 20
    assert np.isfinite(flux).all()
    assert error.min() > 0
    i, j = np.argwhere(gone[:, 2:-2])[0] + (0, 2)
    left = j - 1 - np.argmin(gone[i, :j][::-1])
    right = j + 1 + np.argmin(gone[i, j + 1 :])
    low, high = sorted((flux[i, left], flux[i, right]))
    assert low <= flux[i, j] <= high


def test_drifting_exposures_are_added_up(noise, flux_model, stars):
    """σ of the coadd equals that of the electrons of all exposures added up one by one."""
    terms = NoiseModel(seeing_drift=0.2, zenith_drift=6.0)
    few = stars.take(slice(0, 2))
    sigma = true_error(noise, flux_model[:2], few.conditions, terms, few.key)
    exposures = list(exposure_conditions(terms, few.conditions, few.key))
    assert len(exposures) == 12
    for i in range(2):
        single = [conditions[i] for _, conditions in exposures]
        assert np.ptp([c[0] for c in single]) > 0.001
        for j in (0, 63, 150):
            twin = slow.coadd_error(noise, flux_model[i, j], single, j)
            assert sigma[i, j] == pytest.approx(twin, rel=2**-22)


def test_drifts_stay_within_what_is_announced(stars):
    """Every exposure lies between the widest conditions, which are what priors are checked by."""
    terms = NoiseModel(seeing_drift=0.2, zenith_drift=6.0)
    widest = widest_conditions(terms, stars.conditions)
    for rows, conditions in exposure_conditions(terms, stars.conditions, stars.key):
        assert np.all(conditions[:, 0] >= widest[2 * rows, 0])
        assert np.all(conditions[:, 0] <= widest[2 * rows + 1, 0])
        assert np.all(conditions[:, 1] <= widest[2 * rows + 1, 1])
        np.testing.assert_array_equal(conditions[:, 2:], stars.conditions[rows, 2:])


def test_spectra_with_fewer_exposures_drift_alike(noise, flux_model, stars):
    """Mixed numbers of exposures: each spectrum as if it were alone."""
    terms = NoiseModel(seeing_drift=0.2)
    mixed = stars.take(slice(0, 3))
    mixed.conditions[:, 7] = (1.0, 5.0, 12.0)
    together = true_error(noise, flux_model[:3], mixed.conditions, terms, mixed.key)
    for i in range(3):
        one = mixed.take(slice(i, i + 1))
        alone = true_error(noise, flux_model[i : i + 1], one.conditions, terms, one.key)
        np.testing.assert_array_equal(alone[0], together[i])


def test_telluric_residuals_are_where_the_lines_are(noise):
    """A band drawn into the conversion is found again, to the curvature of the continuum.

    The toy's conversion bends by 2e-3 over the band.
    """
    wave = 7500.0 + 0.8 * np.arange(noise.wave.size)
    depth = np.exp(-0.5 * ((wave - 7650.0) / 10.0) ** 2)
    smooth = 0.005 * (1 + 1e-5 * (wave - 7600.0))
    knots = noise.knot_wave - noise.knot_wave[0] + wave[0] - 1
    tables = dataclasses.replace(
        noise, wave=wave, conversion=smooth * np.exp(-depth), knot_wave=knots
    )
    found = telluric_depth(tables)
    inside = (wave > 7600) & (wave < 7700)
    np.testing.assert_allclose(found[0, inside], depth[inside], atol=2e-3)
    assert not found[:, (wave < 7580) | (wave > 7745)].any()
    assert not found[1].any()


def test_observers_do_not_know_calibration_errors(noise, flux_model, stars):
    """The honest error is the same function of the flux with and without them."""
    terms = {**TERMS["calibration"], **TERMS["telluric"]}
    flux, error, sigma = observe(noise, flux_model, stars, terms)
    np.testing.assert_array_equal(error, honest_error(noise, flux, stars.conditions))
    assert np.all(sigma >= true_error(noise, flux_model, stars.conditions))


def test_a_model_is_recorded_and_read_back():
    """Only what differs is recorded; what is unknown or impossible is refused by name."""
    model = NoiseModel(**TERMS["all"])
    assert NoiseModel.from_recorded(model.recorded()) == model
    assert NoiseModel(counts="poisson").recorded() == {"counts": "poisson"}
    with pytest.raises(DataError, match="aurora"):
        NoiseModel.from_recorded({"aurora": 1})
    with pytest.raises(DataError, match="--sky-floor red"):
        NoiseModel.from_recorded({"sky_floor": "red"})
    with pytest.raises(ConfigError, match="--telluric-residual 2 is outside"):
        NoiseModel(telluric_residual=2.0)
