"""The noise split into its terms: nothing lost, nothing counted twice."""

import numpy as np
import pytest

from starsmith.data_contract.noise import NoiseModel, true_error
from starsmith.data_contract.noise_budget import error_budget
from starsmith.data_contract.noise_modes import noise_modes
from tests.data_contract.example import draw, model_flux

MODELS = {
    "default": {},
    "correlated": {"sky_floor": "correlated", "flux_calibration": 0.05},
    "none": {"sky_floor": "none", "telluric_residual": 0.1},
}


@pytest.mark.parametrize("name", MODELS)
def test_squares_add_up_to_the_variance(noise, name):
    """In every pixel, to float32 of σ²: 1e-6."""
    stars = draw(0, "train", np.arange(5))
    flux, model = model_flux(stars, noise.wave), NoiseModel(**MODELS[name])
    terms = error_budget(noise, flux, stars.conditions, model)
    total = sum(np.square(term) for term in terms.values())
    sigma = true_error(noise, flux, stars.conditions, model).astype(np.float64)
    np.testing.assert_allclose(total, sigma**2, rtol=1e-6)
    assert ("floor_independent" in terms) == (name != "none")


def test_correlated_terms_are_those_of_the_modes(noise):
    """Squares of the modes of the covariance, summed: what errs in many pixels at once.

    Where modes carry all of the floor, float32 leaves 1e-6 of σ² between the two.
    """
    stars = draw(0, "train", np.arange(5))
    flux, model = model_flux(stars, noise.wave), NoiseModel(**MODELS["correlated"])
    terms = error_budget(noise, flux, stars.conditions, model)
    together = np.square(terms["floor_correlated"]) + np.square(terms["flux_calibration"])
    modes = np.square(noise_modes(noise, model, flux, stars.conditions)).sum(axis=2)
    sigma = true_error(noise, flux, stars.conditions, model)
    np.testing.assert_allclose(together, modes, rtol=0, atol=1e-6 * np.square(sigma).max())
