"""Noise that errs in many pixels at once, and stars of a table instead of a box."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import covariance_of, noise_modes
from starsmith.data_contract.noise.view import NoiseModel, true_error
from starsmith.fisher.ceilings.ceiling import ceiling
from starsmith.fisher.information.bounds import fisher_information
from starsmith.fisher.information.jacobian import label_columns
from starsmith.fisher.posterior.basis import Stars
from starsmith.fisher.posterior.posterior_mean import PosteriorOptions, posterior_mean
from starsmith.simulator.observe import draw_stars, model_flux, observe
from starsmith.simulator.rendering.interpolate import interpolate
from tests.reference.fisher import moments_dense, schur_dense

MODEL = NoiseModel(sky_floor="correlated", flux_calibration=0.03)
NAMES = ("teff", "logg", "m_h")


@pytest.fixture(scope="module")
def dirty_bank(toy_bank):
    """The toy bank with five times the sky residual, so that its correlation matters."""
    noise = dataclasses.replace(toy_bank.noise, floor_fraction=0.05)
    return dataclasses.replace(toy_bank, noise=noise)


@pytest.fixture(scope="module")
def draws(dirty_bank, prior):
    return draw_stars(dirty_bank, prior, 3, "test", np.arange(40))


def dense_covariance(bank, draws, row):
    """C of one star, written out: diagonal of the rest of the variance, plus U U'."""
    flux = model_flux(bank, draws.take(slice(row, row + 1)))
    conditions = draws.conditions[row : row + 1]
    modes = noise_modes(bank.noise, MODEL, flux, conditions)[0]
    total = true_error(bank.noise, flux, conditions, MODEL)[0].astype(float) ** 2
    return np.diag(total - np.sum(modes**2, axis=1)) + modes @ modes.T


def test_variance_and_modes_add_up_to_the_noise_that_is_drawn(dirty_bank, draws):
    """V + Σ U² is the square of the true error; float32 rounding."""
    flux = model_flux(dirty_bank, draws)
    variance, shared = covariance_of(dirty_bank.noise, MODEL, flux, draws.conditions)
    sigma = true_error(dirty_bank.noise, flux, draws.conditions, MODEL)
    np.testing.assert_allclose(variance + np.sum(shared**2, axis=1), sigma**2, rtol=1e-5)
    assert (variance > 0.0).all()


def test_information_equals_that_of_the_dense_covariance(dirty_bank, draws):
    """J' C⁻¹ J with C written out, amplitude free; stored flux is rounded to 1e-4."""
    found = fisher_information(dirty_bank, draws, "logg", NAMES, noise=MODEL)
    columns = label_columns(dirty_bank, draws.labels, draws.mag, NAMES)

    for row in (0, 7, 23):
        jacobian = columns.values[row].T
        covariance = dense_covariance(dirty_bank, draws, row)
        gram = jacobian.T @ np.linalg.solve(covariance, jacobian)
        information, _ = schur_dense(gram, 1)
        assert found.bounds.sigma2[row] * information == pytest.approx(1.0, rel=1e-3)


def test_correlation_changes_the_bounds(dirty_bank, draws):
    """The same variance in each pixel, another covariance: bounds differ, both ways allowed."""
    one, other = (
        fisher_information(dirty_bank, draws, "logg", NAMES, noise=NoiseModel(sky_floor=floor))
        for floor in ("independent", "correlated")
    )
    np.testing.assert_allclose(one.snr, other.snr, rtol=1e-6)
    assert np.abs(np.log(one.bounds.sigma2 / other.bounds.sigma2)).max() > 0.01


def test_precision_equals_the_inverse_of_the_dense_covariance():
    """Woodbury against an explicit inverse, one masked pixel included; 1e-10 of rounding."""
    rng = np.random.default_rng(0)
    variance, shared = rng.uniform(1.0, 2.0, (1, 30)), rng.normal(size=(1, 3, 30))
    variance[0, 4] = 1e30
    flux = rng.normal(size=(1, 30))
    star = Stars(flux, variance, np.full((1, 3), np.nan), shared)

    found = star.weighted_flux(star.shared_precision())[0]

    dense = np.diag(variance[0]) + shared[0].T @ shared[0]
    np.testing.assert_allclose(found, np.linalg.solve(dense, flux[0]), rtol=1e-8, atol=1e-12)


def test_posterior_equals_brute_force_with_the_dense_covariance(dirty_bank, prior, draws):
    """Known magnitude, 4,000 templates weighed by the full χ² and by ours.

    Other templates on either side: 4 standard errors of both.
    """
    batch = observe(dirty_bank, draws, error="smooth", noise=MODEL)
    rows = np.array([1, 5, 9, 17])
    found = posterior_mean(
        dirty_bank, prior, batch.flux[rows], batch.error[rows], draws.conditions[rows],
        draws.mag[rows],
        PosteriorOptions(n_template=20_000, normalise="absolute", noise=MODEL),
    )  # fmt: skip
    labels = draw_stars(dirty_bank, prior, 8, "val", np.arange(20_000)).labels

    for k, row in enumerate(rows):
        spectra = interpolate(dirty_bank, labels, np.full(len(labels), draws.mag[row]))
        residual = batch.flux[row] - spectra.astype(float)
        covariance = dense_covariance(dirty_bank, draws, row)
        chi_square = np.sum(residual * np.linalg.solve(covariance, residual.T).T, axis=1)
        mean, var, ess = moments_dense(-0.5 * chi_square, labels)
        error = np.sqrt(var * (1.0 / ess + 1.0 / found.ess[k]))
        assert np.all(np.abs(found.mean[k] - mean) < 4.0 * error + 0.03 * np.sqrt(var))


def test_stated_and_realised_errors_agree_under_correlated_noise(dirty_bank, prior):
    """A ceiling that ignored the correlation would misstate its error; 4 standard errors."""
    draws = draw_stars(dirty_bank, prior, 5, "test", np.arange(400))
    table = ceiling(
        dirty_bank, prior, draws=draws, n_star=400, n_template=6000, noise=MODEL,
        statistics=("posterior_mean", "bayes_gauss"),
    )  # fmt: skip
    row = table.row("all")
    assert "realised-differs" not in row.flags
    assert "correlated" in table.header["noise"]


@pytest.mark.parametrize("terms", [{"cosmic_rays": 0.01}, {"seeing_drift": 0.1}])
def test_noise_without_a_known_covariance_is_refused(toy_bank, prior, terms):
    with pytest.raises(ConfigError, match=next(iter(terms)).split("_")[0]):
        ceiling(toy_bank, prior, n_star=30, noise=NoiseModel(**terms))


def test_what_the_noise_tells_never_widens_a_bound(toy_bank, draws):
    """The Slepian-Bangs term only adds; by little where the sky dominates."""
    plain = fisher_information(toy_bank, draws)
    full = fisher_information(toy_bank, draws, noise_term=True)
    assert np.all(full.bounds.sigma2 <= plain.bounds.sigma2 * (1 + 1e-12))
    np.testing.assert_allclose(full.plain, plain.bounds.sigma2, rtol=1e-9)
    assert 1.0 < np.median(plain.bounds.sigma2 / full.bounds.sigma2) < 1.1
