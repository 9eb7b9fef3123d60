"""The synthesizer's kernels against closed forms and their slow twins."""

import math

import numpy as np
import pytest
from scipy.special import expn, wofz

from starsmith.simulator.kernels.synthesis_bands import band_cross_section
from starsmith.simulator.kernels.synthesis_escape import exponential_integral, flux_from_opacity
from starsmith.simulator.kernels.synthesis_hydrogen import hydrogen_opacity, stark_profile
from starsmith.simulator.kernels.synthesis_lines import fill_lines
from starsmith.simulator.kernels.synthesis_transfer import (
    Bands,
    Lines,
    Smooth,
    add_bands,
    convolved,
    emergent_flux,
)
from starsmith.simulator.kernels.synthesis_voigt import add_voigt, voigt
from tests.reference import synthesis as reference

TAU = np.logspace(-5, 2, 50)


@pytest.mark.parametrize("a", [1e-4, 1e-3, 0.01, 0.1, 0.5, 1.0, 3.0, 30.0])
def test_voigt_function_is_the_faddeeva_function(a):
    """Humlicek's rational forms; the region boundaries are inside the range tried."""
    x = np.linspace(-60.0, 60.0, 4001)
    found = np.array([voigt(a, value) for value in x])
    exact = reference.voigt(a, x)
    # his stated accuracy is 1e-4; a Gaussian core that has vanished is judged by the peak
    np.testing.assert_allclose(found, exact, rtol=2e-4, atol=2e-6)


def test_voigt_profile_has_the_area_of_its_line():
    x = np.linspace(-3000.0, 3000.0, 600_001)
    area = np.trapezoid([voigt(0.3, value) for value in x], x)
    missing = 2 * 0.3 / math.sqrt(math.pi) / 3000.0  # of the Lorentzian wings
    assert area + missing == pytest.approx(math.sqrt(math.pi), rel=1e-4)  # Humlicek's accuracy


def test_tabulated_exponential_integral():
    """Cubic pieces of width 1/32: the error of E4 and of its slope near the singular origin."""
    x = np.concatenate([np.geomspace(1e-6, 1.0, 300), np.linspace(1.0, 30.0, 500)])
    found = np.array([exponential_integral(value) for value in x])
    np.testing.assert_allclose(found, expn(4, x), atol=3e-7)
    slope = (exponential_integral(2e-5) - exponential_integral(1e-5)) / 1e-5
    assert slope == pytest.approx(-expn(3, 1.5e-5), rel=1e-3)


def flux(opacity, source):
    result = np.empty(opacity.shape[1])
    flux_from_opacity(result, TAU, opacity, source)
    return result


def test_isothermal_atmosphere_radiates_pi_b_at_every_opacity():
    opacity = np.repeat(np.geomspace(1e-2, 1e6, 40)[None, :], TAU.size, axis=0)
    np.testing.assert_allclose(flux(opacity, np.full_like(opacity, 7.0)), 7.0 * math.pi, rtol=1e-12)


def test_linear_source_obeys_eddington_barbier():
    """S = a + b τ gives F = π (a + 2b/3), the source at τ = 2/3; the top 1e-5 is taken constant."""
    opacity = np.ones((TAU.size, 1))
    source = (3.0 + 5.0 * TAU)[:, None]
    assert flux(opacity, source)[0] == pytest.approx(math.pi * (3.0 + 10.0 / 3.0), rel=1e-5)


def test_formal_solution_matches_its_twin():
    rng = np.random.default_rng(3)
    opacity = np.exp(rng.normal(0.0, 1.0, (TAU.size, 30)).cumsum(axis=0) * 0.2)
    source = np.cumsum(rng.uniform(0.5, 1.5, (TAU.size, 30)), axis=0)
    exact = reference.emergent_flux(TAU, opacity, source)
    # near the origin, where E4 has a logarithm, the table's slope is off by up to 1e-4
    np.testing.assert_allclose(flux(opacity, source), exact, rtol=3e-5)


def small_problem(n_wave=2500, stride=64):
    rng = np.random.default_rng(11)
    n_line, n_depth, n_coarse = 12, TAU.size, n_wave // stride + 2
    decline = np.exp(rng.normal(0.0, 0.3, (1, n_coarse)))
    lines = Lines(
        position=rng.uniform(-20.0, n_wave + 20.0, n_line),
        strength=rng.lognormal(1.0, 2.0, (n_line, 1)) * np.ones((n_line, n_depth)),
        width=rng.uniform(2.0, 4.0, (n_line, n_depth)),
        damping=rng.uniform(1e-3, 0.5, (n_line, n_depth)),
        reach=rng.uniform(-5.0, 200.0, (n_line, n_depth)),
    )
    smooth = Smooth(
        opacity=np.ones((n_depth, 1)) * decline,
        source=np.linspace(1.0, 9.0, n_depth)[:, None] * decline,
        stride=stride,
    )
    hydrogen = rng.uniform(0.0, 0.2, (n_depth, n_wave // 4 + 2))
    hydrogen[::3] = 0.0
    bands = Bands(
        table=rng.uniform(0.0, 1.0, (2, 5, n_wave)).astype(np.float32),
        amount=rng.uniform(0.0, 1.0, (2, n_depth)),
        row=rng.integers(0, 4, n_depth),
        fraction=rng.uniform(0.0, 1.0, n_depth),
    )
    return smooth, hydrogen, lines, bands, n_wave


def test_emergent_flux_matches_its_twin_across_chunks():
    """2,500 points are three chunks; what differs is Humlicek's 1e-4 of the line opacity."""
    smooth, hydrogen, lines, bands, n_wave = small_problem()
    opacity = reference.smooth_opacity(smooth.opacity, smooth.stride, n_wave)
    opacity += reference.smooth_opacity(hydrogen, 4, n_wave)
    opacity += reference.lines_opacity(lines, n_wave) + reference.bands_opacity(bands)
    source = reference.smooth_opacity(smooth.source, smooth.stride, n_wave)
    exact = reference.emergent_flux(TAU, opacity, source)
    found = emergent_flux(TAU, smooth, hydrogen, lines, bands, n_wave)
    np.testing.assert_allclose(found, exact, rtol=1e-4)


@pytest.mark.parametrize("a", [1e-4, 0.05, 0.164, 0.166, 1.0, 20.0])
def test_lines_are_added_within_the_stated_error_of_the_faddeeva_function(a):
    """Two, four and seven poles, Harris's series: 1e-4 of the profile everywhere."""
    found = np.zeros(4001)
    add_voigt(found, -2000.37, 2.0, a, 0.008)
    x = (np.arange(4001) - 2000.37) * 0.008
    np.testing.assert_allclose(found, 2.0 * wofz(x + 1j * a).real, rtol=1e-4)


def test_lines_are_filled_as_by_their_twin():
    rng = np.random.default_rng(5)
    n_line, n_depth = 7, 4
    parts = rng.uniform(0.5, 2.0, (8, n_line))
    parts[6, ::2] = np.nan  # no cross-section of Barklem's
    layers = np.array([[4000.0], [2.0], [3.0], [0.7], [1.5]]) * rng.uniform(1.0, 1.5, n_depth)
    energy = rng.uniform(0.0, 9e3, n_line), rng.uniform(1e4, 2e4, n_line)
    ions, least = rng.uniform(0.0, 3.0, (2, n_line, n_depth))
    found = np.zeros((4, n_line, n_depth))
    fill_lines(found, energy, parts, layers, ions, least)
    for i, k in np.ndindex(n_line, n_depth):
        line = {"parts": parts[:, i], "lower": energy[0][i], "quantum": energy[1][i]}
        twin = reference.line_profile(line, layers[:, k], ions[i, k], least[i, k])
        if twin is None:
            assert found[3, i, k] == -1.0
        else:
            np.testing.assert_allclose(found[:, i, k], twin, rtol=1e-12)
    assert {True, False} == set((found[3] > 0.0).ravel().tolist())


def test_convolution_at_every_third_point_is_that_of_all():
    fine = np.random.default_rng(6).random(50)
    kernel = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    every = np.convolve(fine, kernel, mode="same")
    np.testing.assert_allclose(convolved(fine, kernel, 4, 3, 12), every[4:40:3], rtol=1e-12)


def test_bands_of_a_system_count_where_their_sum_is_positive():
    table = np.array([[[1.0, 1.0]] * 2, [[1.0, 3.0]] * 2], dtype=np.float32)
    opacity, share = np.full((1, 2), 5.0), np.array([1.0, -0.5])
    place = np.zeros(1, np.int64), np.full(1, 0.3)
    add_bands(opacity, Bands(table, np.full((1, 1), 2.0), place[0], place[1], share), 0)
    np.testing.assert_allclose(opacity, [[6.0, 5.0]], rtol=1e-6)


@pytest.mark.parametrize("doppler", [1e-3, 0.1, 1.0, 10.0, 300.0])
def test_hydrogen_profile_has_unit_area(doppler):
    """At most 1e-6 of the core is dropped, and quadrature is good to 1e-5."""
    area = reference.stark_profile_area(stark_profile, doppler)
    assert area == pytest.approx(1.0, abs=3e-5)


@pytest.mark.parametrize("doppler", [0.01, 1.0, 30.0])
def test_hydrogen_wing_is_holtsmark(doppler):
    beta = 1e3 * max(1.0, doppler)
    # the next term of the expansion is (width/β)^5/2 < 3e-6
    assert stark_profile(beta, doppler) * beta**2.5 == pytest.approx(3.0, rel=1e-5)


def test_hydrogen_opacity_is_strength_times_profile():
    wave = np.linspace(8580.0, 8620.0, 161)
    strength, centre = np.array([[2.0, 0.5]]), np.array([8600.0])
    profile = np.array([[[1.5, 0.4]], [[0.3, 0.3]], [[0.0, 0.02]]])
    found = hydrogen_opacity(wave, centre, strength, profile, np.array([[10.0, -1.0]]))
    distance = np.abs(wave - 8600.0)
    exact = [2.0 * stark_profile(d / 1.5, 0.2) / 1.5 if d <= 10.0 else 0.0 for d in distance]
    inside = distance != 10.0  # whether the last point belongs to the window is rounding
    np.testing.assert_allclose(found[0][inside], np.array(exact)[inside], rtol=1e-12)
    assert not found[1].any()


def test_band_cross_section_matches_its_twin():
    """What the four-width window leaves out is exp(-16) of the peak."""
    rng = np.random.default_rng(5)
    position, strength = rng.uniform(0.0, 300.0, 40), rng.uniform(0.1, 1.0, 40)
    energy, kt, width = rng.uniform(0.0, 1.0, 40), np.array([2.0, 3.0]), np.array([2.5, 2.2])
    found = band_cross_section(position, strength, energy, kt, width, 300)
    exact = reference.band_cross_section(position, strength, energy, kt, width, 300)
    np.testing.assert_allclose(found, exact, atol=2e-7)
