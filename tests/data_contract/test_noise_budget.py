"""The noise split into its terms: nothing lost, nothing counted twice, in variance and in σ."""

import numpy as np
import pytest

from starsmith.data_contract.noise.budget import (
    CALCULATOR_TERMS,
    TERMS,
    background_terms,
    noise_budget,
)
from starsmith.data_contract.noise.covariance import noise_modes
from starsmith.data_contract.noise.view import (
    NoiseModel,
    background,
    observe_spectra,
    sensitivity,
    true_error,
)
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.random import DrawKey
from tests.data_contract.example import draw, model_flux

MODELS = {
    "default": {},
    "correlated": {"sky_floor": "correlated", "flux_calibration": 0.05},
    "none": {"sky_floor": "none", "telluric_residual": 0.1},
    "drift": {"seeing_drift": 0.2, "zenith_drift": 10.0, "sky_floor": "correlated"},
}
PHOTONS_AND_DETECTOR = ("object", "sky", "moon", "stray", "dark", "read")


@pytest.fixture
def stars():
    return draw(0, "train", np.arange(5))


@pytest.mark.parametrize("name", MODELS)
def test_squares_add_up_to_the_variance(noise, stars, name):
    """In every pixel, to float32 of σ²: 1e-6."""
    flux, model = model_flux(stars, noise.wave), NoiseModel(**MODELS[name])
    budget = noise_budget(noise, flux, stars.conditions, model, stars.key)
    assert tuple(budget.terms) == tuple(x for x in TERMS if x in budget.terms)
    assert set(CALCULATOR_TERMS) <= set(budget.terms)
    total = sum(np.square(sigma) for sigma in budget.sigma().values())
    sigma = true_error(noise, flux, stars.conditions, model, stars.key).astype(np.float64)
    np.testing.assert_allclose(total, sigma**2, rtol=1e-6)
    # ten shares, each rounded once
    np.testing.assert_allclose(sum(budget.fractions().values()), 1.0, rtol=1e-14)
    assert np.any(budget.terms["floor"]) == (name != "none")
    assert ("floor_correlated" in budget.terms) == (model.sky_floor == "correlated")


def test_budget_is_the_scatter_of_what_is_drawn(noise, stars):
    """Rms of 4,000 draws of one star against σ of the sum; scatter 1/√8000, five times allowed."""
    model = NoiseModel(sky_floor="correlated", flux_calibration=0.05)
    flux = np.repeat(model_flux(stars, noise.wave)[:1], 4000, axis=0)
    conditions = np.repeat(stars.conditions[:1], 4000, axis=0)
    key = DrawKey(0, "train", np.arange(4000))
    observed, _, _ = observe_spectra(noise, flux, conditions, key, model=model)
    rms = np.sqrt(np.mean(np.square(observed - flux), axis=0))
    budget = noise_budget(noise, flux[:1], conditions[:1], model)
    sigma = np.sqrt(sum(np.square(values) for values in budget.sigma().values()))[0]
    np.testing.assert_allclose(rms, sigma, rtol=5 / np.sqrt(8000))


def test_correlated_terms_are_those_of_the_modes(noise, stars):
    """Squares of the modes of the covariance, summed: what errs in many pixels at once.

    Where modes carry all of the floor, rounding leaves 1e-12 of σ² between the two.
    """
    flux, model = model_flux(stars, noise.wave), NoiseModel(**MODELS["correlated"])
    terms = noise_budget(noise, flux, stars.conditions, model).sigma()
    together = np.square(terms["floor_correlated"]) + np.square(terms["flux_calibration"])
    modes = np.square(noise_modes(noise, model, flux, stars.conditions)).sum(axis=2)
    sigma = true_error(noise, flux, stars.conditions, model)
    np.testing.assert_allclose(together, modes, rtol=0, atol=1e-12 * np.square(sigma).max())


def test_terms_add_up_to_the_response_exactly(noise, stars):
    """Object and background of the noise view in float64: sums differ by rounding only."""
    flux = model_flux(stars, noise.wave)
    signal = sensitivity(noise, stars.conditions) * flux
    whole = noise.sample_factor * signal + background(noise, stars.conditions)
    # six terms: a few units in the last place
    variance = noise_budget(noise, flux, stars.conditions).variance
    np.testing.assert_allclose(variance, whole, rtol=1e-14)


def test_each_term_is_its_own_formula(noise, stars):
    """Detector terms are constants, stray light a constant, the floor (1 % of the peak)^2 n."""
    conditions = stars.conditions[:1].copy()
    conditions[0, [CONDITIONS.index(n) for n in ("zenith_angle", "field_angle")]] = 35.0, 0.45
    terms = background_terms(noise, conditions)
    area = np.interp(0.45, noise.field_angle, noise.collecting_area)
    area *= np.interp(0.45, noise.field_angle, noise.fibre_area)
    sky = 900.0 * area * noise.sky_rate[35]
    peak = np.max([np.r_[sky[0], sky[:-1]], sky, np.r_[sky[1:], sky[-1]]], axis=0)
    expected = {
        "sky": sky,
        "floor": 12 * (noise.floor_fraction * peak) ** 2,
        "stray": noise.stray_fraction * sky.mean(),
        "dark": noise.dark_rate * 900.0,
        "read": noise.read_variance,
    }
    for name, values in expected.items():
        # a term is a difference of totals: it keeps their absolute rounding, 1e-12 electron²
        np.testing.assert_allclose(terms[name][0], 1.015 * values, rtol=1e-9, atol=1e-9)


def test_variances_are_those_of_record(noise, stars):
    """Two stars, two pixels [electron²]; background terms are differences: 1e-9."""
    budget = noise_budget(noise, model_flux(stars, noise.wave), stars.conditions)
    of_record = {
        "object": [[39.87744127568451, 20.16019151414414], [20.316550545181173, 7.064851815383334]],
        "sky": [[171.10190415313292, 171.14626579761202], [143.6061481372985, 143.64338094847153]],
        "moon": [[0.0, 0.0], [0.0, 0.0]],
        "floor": [[34.611856084525584, 35.00010490149421], [24.381547723544884, 24.6550409172186]],
        "stray": [[3.688621538209702, 3.688621538209702], [3.09586695519468, 3.09586695519468]],
        "dark": [[0.45675, 0.45675], [0.45675, 0.45675]],
        "read": [[81.2, 81.2], [81.2, 81.2]],
    }
    for name, values in of_record.items():
        np.testing.assert_allclose(budget.terms[name][:2, [3, 150]], values, rtol=1e-9, atol=1e-11)


def test_standard_deviations_are_those_of_record(noise, stars):
    """The same pixels with every term on and drifting conditions [1e-17 erg/s/cm²/Å].

    The floor of record was a difference of float32 squares: 1e-5 of it.
    """
    model = NoiseModel(**MODELS["drift"], telluric_residual=0.1, flux_calibration=0.05)
    flux = model_flux(stars, noise.wave)
    sigma = noise_budget(noise, flux, stars.conditions, model, stars.key).sigma()
    sigma["rest"] = np.sqrt(sum(np.square(sigma[name]) for name in PHOTONS_AND_DETECTOR))
    of_record = {
        "rest": [[0.11751233, 0.10910492], [0.09876619, 0.09274615]],
        "floor_correlated": [[0.0314455244, 0.0303376386], [0.0248356121, 0.0240615534]],
        "floor": [[0.0252629, 0.0246781], [0.0181284, 0.0178306]],
        "telluric": [[0.0, 0.0], [0.0, 0.0]],
        "flux_calibration": [[0.096818172, 0.0190938566], [0.0464170357, 0.0063230375]],
    }
    for name, values in of_record.items():
        tolerance = 1e-5 if name == "floor" else 1e-7
        np.testing.assert_allclose(sigma[name][:2, [3, 150]], values, rtol=tolerance)


def test_drifting_conditions_need_their_key(noise, stars):
    with pytest.raises(ValueError, match="key"):
        noise_budget(
            noise, model_flux(stars, noise.wave), stars.conditions, NoiseModel(seeing_drift=0.1)
        )
