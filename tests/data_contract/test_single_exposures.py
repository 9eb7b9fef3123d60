"""Single exposures: they add up to the coadd, and are noisy as single exposures are."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.exposures import observe_exposures
from starsmith.data_contract.noise.view import NoiseModel, observe_spectra, true_error
from tests.data_contract.example import draw, model_flux

DRIFT = NoiseModel(seeing_drift=0.2, zenith_drift=5.0, flux_calibration=0.02)


@pytest.fixture(scope="module")
def stars():
    drawn = draw(0, "train", np.arange(150))
    drawn.conditions[:, 0] = np.clip(drawn.conditions[:, 0], 0.6, 1.3)
    return drawn


@pytest.mark.parametrize("model", [NoiseModel(), DRIFT])
def test_exposures_add_up_to_the_coadd_of_record(noise, stars, model):
    """Electrons over sensitivity: the very spectrum a data set holds, to float32 sums."""
    flux_model = model_flux(stars, noise.wave)
    single = observe_exposures(noise, flux_model, stars.conditions, stars.key, model)
    flux, _, _ = observe_spectra(noise, flux_model, stars.conditions, stars.key, model=model)
    assert len(single) == 12
    np.testing.assert_allclose(single.coadd(), flux, rtol=0, atol=1e-6)
    seeing = single.conditions[:, :, 0]
    assert (np.ptp(seeing, axis=0) > 0).all() == model.drifts


def test_each_exposure_has_its_own_noise(noise, stars):
    """Variance of a single exposure's residual is its own; exposures are independent.

    Without a floor. 150 x 300 residuals: 5 standard errors of a variance are 0.033, of a
    correlation 0.024.
    """
    model = NoiseModel(sky_floor="none", seeing_drift=0.2)
    flux_model = model_flux(stars, noise.wave)
    single = observe_exposures(noise, flux_model, stars.conditions, stars.key, model)
    alone = [
        true_error(noise, flux_model, some, NoiseModel(sky_floor="none"))
        for some in single.conditions
    ]
    pull = (single.flux - flux_model) / np.stack(alone)
    np.testing.assert_allclose(pull.var(axis=(1, 2)), 1.0, atol=0.034)
    mixed = np.corrcoef(pull.reshape(12, -1))
    assert np.abs(mixed[~np.eye(12, dtype=bool)]).max() < 0.025


def test_a_spectrum_of_exposures_depends_on_its_key(noise, stars):
    """Alone or in company."""
    flux_model = model_flux(stars, noise.wave)
    few = stars.take([3, 70])
    every = observe_exposures(noise, flux_model, stars.conditions, stars.key, DRIFT)
    some = observe_exposures(noise, flux_model[[3, 70]], few.conditions, few.key, DRIFT)
    np.testing.assert_array_equal(some.flux, every.flux[:, [3, 70]])


def test_what_has_no_single_exposures_is_refused(noise, stars):
    """Different numbers of exposures, and cosmic rays."""
    flux_model = model_flux(stars, noise.wave)
    with pytest.raises(ConfigError, match="cosmic-rays"):
        observe_exposures(
            noise, flux_model, stars.conditions, stars.key, NoiseModel(cosmic_rays=0.1)
        )
    mixed = stars.conditions.copy()
    mixed[0, 7] = 3.0
    with pytest.raises(ConfigError, match="one number of exposures"):
        observe_exposures(noise, flux_model, mixed, stars.key)
