"""Optional noise terms of a spectrograph with several arms."""

from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.noise.modes import floor_modes
from starsmith.data_contract.noise.noise_tables import PER_ARM
from starsmith.data_contract.noise.observation import (
    Drawing,
    Realisation,
    observe_at_once,
    observe_terms,
)
from starsmith.data_contract.noise.view import NoiseModel, observe_flux, observe_spectra, true_error
from starsmith.data_contract.random import DrawKey
from tests.conftest import make_noise_tables

N = 3000
SKY = np.repeat([[0.8, 35.0, 0.45, 60.0, 90.0, 0.0, 900.0, 12.0]], N, axis=0)
KEY = DrawKey(2, "train", np.arange(N))


@pytest.fixture(scope="module")
def arms():
    """Two arms whose detectors differ, joined, and each by itself."""
    knots = np.linspace(7000.0, 7200.0, 5)
    blue = replace(make_noise_tables(np.linspace(7100.0, 7125.0, 60)), knot_wave=knots)
    red = make_noise_tables(np.linspace(7120.0, 7158.0, 90))
    red = replace(red, knot_wave=knots, sample_factor=1.2, variance_factor=0.7)
    own = {name: np.array([getattr(t, name) for t in (blue, red)]) for name in PER_ARM}
    pixels = {
        name: np.concatenate([getattr(blue, name), getattr(red, name)], axis=-1)
        for name in ("wave", "conversion", "sky_rate")
    }
    edge = np.array([0.0, 60.0, 150.0])
    return replace(blue, **pixels, **own, arm_edge=edge, arm_names=("b", "r")), blue, red


def test_modes_stay_within_their_arm(arms):
    """Four columns, two per arm, those of the arm by itself and zero outside it."""
    joint, blue, red = arms
    modes = floor_modes(joint, SKY[:2])
    np.testing.assert_array_equal(modes[:, :60, :2], floor_modes(blue, SKY[:2]))
    np.testing.assert_array_equal(modes[:, 60:, 2:], floor_modes(red, SKY[:2]))
    assert not modes[:, 60:, :2].any()
    assert not modes[:, :60, 2:].any()


@pytest.mark.parametrize("counts", ["gaussian", "poisson"])
def test_every_arm_has_its_own_variance_and_residual(arms, counts):
    """Variance as stated in each pixel, also where a photon's is not 1; arms do not err together.

    3000 draws: 5 standard errors are 0.13 of a variance and 0.09 of a correlation.
    """
    joint, _, _ = arms
    model = NoiseModel(sky_floor="correlated", counts=counts)
    flux_model = np.full((N, 150), 0.5, np.float32)
    flux, _, _ = observe_spectra(joint, flux_model, SKY, KEY, model=model)
    sigma = true_error(joint, flux_model[:1], SKY[:1], model)
    pull = (flux.astype(float) - flux_model) / sigma
    np.testing.assert_allclose(pull.var(axis=0), 1.0, atol=0.13)
    together = np.corrcoef(pull.T)
    assert np.abs(together[:60, 60:]).max() < 0.1
    line = int(np.argmax(joint.sky_rate[0, :60]))
    assert np.abs(together[line, line + 1]) > 0.2  # within an arm they do


def test_calibration_is_smooth_across_arms(arms):
    """One polynomial in wavelength: where arms overlap they err alike."""
    joint, _, _ = arms
    shape = NoiseModel(flux_calibration=0.05).shapes(joint)["flux_calibration"]
    at = joint.wave[60:]
    for mode in shape:
        alike = np.interp(at, joint.wave[:60], mode[:60])
        # a cubic between pixels of 0.4 Å, over 58 Å
        np.testing.assert_allclose(alike[at < 7125], mode[60:][at < 7125], atol=1e-4)
    assert np.sqrt((shape**2).sum(axis=0).mean()) == pytest.approx(0.05, rel=0.15)


@pytest.mark.parametrize("kind", ["observed", "smooth"])
@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"sky_floor": "none"},
        {"sky_floor": "correlated"},
        {"telluric_residual": 0.1, "flux_calibration": 0.05},
        {"sky_floor": "correlated", "telluric_residual": 0.1, "flux_calibration": 0.05},
    ],
)
def test_one_pass_over_the_pixels_changes_no_bit(arms, terms, kind):
    """The kernel that makes all of a spectrum at once draws what one array after another does."""
    model, rng = NoiseModel(**terms), np.random.default_rng(3)
    assert model.in_one_pass
    conditions, key = SKY[:7], DrawKey(2, "train", np.arange(7))
    for tables in arms:
        shape = (7, tables.wave.size)
        flux_model = rng.uniform(0.1, 3.0, shape).astype(np.float32)
        out = np.empty((2, *shape), np.float32)
        drawing = Drawing(tables, model, key, Realisation("training", 4))
        asked = drawing, flux_model, conditions, kind
        sigma = observe_at_once(*asked, tuple(out))
        for ours, slow in zip((*out, sigma), observe_terms(*asked), strict=True):
            np.testing.assert_array_equal(ours, slow)
        np.testing.assert_array_equal(sigma, true_error(tables, flux_model, conditions, model))
        if not terms:
            alone = np.empty(shape, np.float32)
            observe_flux(tables, flux_model, conditions, key, drawing.realisation, alone)
            np.testing.assert_array_equal(alone, out[0])
