"""Scattering apart from absorption: Λ against closed forms, and what it does to stars."""

import numpy as np
from scipy.special import expn

from starsmith.simulator.synthesis.atmosphere import build_atmosphere
from starsmith.simulator.synthesis.continuum import continuum_opacity, scattering_opacity
from starsmith.simulator.synthesis.radiative_transfer import planck
from starsmith.simulator.synthesis.scattering import lambda_matrix, scattered_excess

TAU = np.concatenate([[1e-6], np.geomspace(1e-4, 30.0, 60)])


def test_mean_intensity_of_constant_and_linear_sources_is_exact():
    """J = 1 - E₂/2 of S = 1; J = τ + E₃/2 of S = τ (Mihalas 1978, eq. 2-57)."""
    matrix = lambda_matrix(TAU[None])[0]
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0 - 0.5 * expn(2, TAU), rtol=1e-12)
    # above the first depth S is held: an error of its own optical depth, 1e-6
    np.testing.assert_allclose(matrix @ TAU, TAU + 0.5 * expn(3, TAU), rtol=3e-6)


def test_pure_scattering_of_a_warm_layer_keeps_the_flux_constant():
    """S = J everywhere but in a thermal deep: H = ½ ∫ S E₂ has one value in all depths."""
    share = np.where(TAU < 10.0, 1.0, 0.0)
    matrix = lambda_matrix(TAU[None])[0]
    emitted = np.linalg.solve(np.eye(TAU.size) - share[:, None] * matrix, (1.0 - share) * TAU)
    # Milne's problem: S is linear in τ + q(τ), q from 0.577 to 0.710 (Hopf)
    slope = np.diff(emitted[(TAU > 1.0) & (TAU < 5.0)]) / np.diff(TAU[(TAU > 1.0) & (TAU < 5.0)])
    np.testing.assert_allclose(slope, slope.mean(), rtol=0.02)
    assert abs(emitted[0] / slope.mean() - 0.57735) < 0.01


def test_metal_poor_giants_scatter_more_than_the_sun_and_lose_blue_light():
    """Rayleigh scattering rules at 4000 Å in a giant of [M/H] = -2, and is a trifle at 8000 Å."""
    wave = np.array([4000.0, 6000.0, 8000.0])
    shares, excess = {}, {}
    for name, labels in {"sun": (5777, 4.44, 0.0), "giant": (4500, 1.0, -2.0)}.items():
        atmosphere = build_atmosphere(*labels, 0.0, 0.0, "atlas9")
        gas = atmosphere.gas
        opacity = continuum_opacity(wave, gas).T / (atmosphere.opacity * gas.density)[:, None]
        source = planck(wave[None, :], gas.temperature[:, None])
        seen = int(np.argmin(np.abs(np.log10(atmosphere.tau) + 1.0)))
        shares[name] = (scattering_opacity(wave, gas) / continuum_opacity(wave, gas))[:, seen]
        changed = scattered_excess(atmosphere, wave, opacity, source) / opacity / source
        excess[name] = changed[seen]
    assert shares["giant"][0] > 0.1 > shares["sun"][0]
    assert np.all(np.diff(shares["giant"]) < 0)
    assert abs(excess["sun"][2]) < 0.01
    assert abs(excess["giant"][0]) > 3.0 * abs(excess["sun"][0])
