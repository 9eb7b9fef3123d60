"""Equation of state, opacities, atmosphere and molecules against textbooks and their equations."""

from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.air import air_to_vacuum, vacuum_to_air
from starsmith.simulator.synthesis.atmosphere import (
    RADIATION_FLOOR,
    build_atmosphere,
    fitted_atmosphere,
    temperature_law,
)
from starsmith.simulator.synthesis.atomic_constants import (
    BOLTZMANN,
    BOLTZMANN_EV,
    LIGHT_SPEED,
    SIGMA_SB,
)
from starsmith.simulator.synthesis.blanketing import blanketed_flux, blocking
from starsmith.simulator.synthesis.composition import composition, log_partition
from starsmith.simulator.synthesis.continuum import (
    continuum_opacity,
    h_minus_bound_free,
    h_minus_free_free,
    rosseland_mean,
)
from starsmith.simulator.synthesis.equation_of_state import molecule_densities, solve_gas
from starsmith.simulator.synthesis.molecular.bands import (
    band_opacity,
    band_tables,
    honl_london,
    titanium_oxide_lines,
)
from starsmith.simulator.synthesis.molecular.cyanogen import (
    EXCITED,
    GROUND,
    REDUCED_MASS,
    cyanogen_lines,
    direction_amplitudes,
    pi_levels,
    wigner_3j,
)
from starsmith.simulator.synthesis.molecular.franck_condon import franck_condon
from starsmith.simulator.synthesis.molecules import dissociation_constant


@pytest.mark.parametrize(
    ("air", "vacuum"),
    [(6562.790, 6564.603), (7698.965, 7701.084), (8542.091, 8544.438)],
)
def test_air_wavelengths_become_vacuum(air, vacuum):
    """NIST's own pairs for Hα, K I and Ca II; its formula agrees with Ciddor's to 1 mÅ."""
    assert air_to_vacuum(air) == pytest.approx(vacuum, abs=2e-3)
    assert vacuum_to_air(air_to_vacuum(air)) == pytest.approx(air, abs=1e-9)


@pytest.mark.parametrize(
    ("species", "log_u"),
    [("H I", 0.301), ("Na I", 0.320), ("Ca I", 0.073), ("Ca II", 0.344), ("Fe I", 1.446)],
)
def test_partition_functions_at_5040_kelvin(species, log_u):
    """Gray (2005), table D.2, good to 1 %."""
    assert log_partition(species, np.array(5040.0)) / np.log(10) == pytest.approx(log_u, abs=0.012)


def test_only_named_species_follow_alpha_and_carbon():
    solar, alpha, carbon = composition(), composition(a_m=0.4), composition(c_m=0.3)
    raised = {
        e for e in solar.elements if alpha.ratio[alpha.index(e)] > solar.ratio[solar.index(e)]
    }
    assert raised == {"O", "Mg", "Si", "S", "Ca", "Ti"}
    changed = np.flatnonzero(carbon.ratio != solar.ratio)
    assert [solar.elements[i] for i in changed] == ["C"]
    poor = composition(m_h=-1.0)
    assert poor.ratio[poor.index("He")] == solar.ratio[solar.index("He")]
    assert poor.ratio[poor.index("Fe")] == pytest.approx(0.1 * solar.ratio[solar.index("Fe")])


def test_gas_conserves_charge_and_particles():
    """Bisection stops at 1e-13 of n_e; trace molecules hold no more than 1e-3 of the particles."""
    temperature = np.array([2500.0, 3500.0, 5000.0, 7000.0, 10000.0, 14000.0])
    pressure = np.array([1e2, 1e5, 1e4, 1e3, 1e5, 1e4])
    gas = solve_gas(temperature, pressure, composition())
    ratio = gas.composition.ratio
    donated = gas.n_proton + gas.n_nuclei * (ratio[1:] @ gas.ionised[1:])
    np.testing.assert_allclose(donated, gas.n_electron + gas.n_h_minus, rtol=1e-9)
    particles = gas.n_electron + gas.n_hydrogen + gas.n_proton + gas.n_h2
    particles += gas.n_nuclei * ratio[1:].sum()
    np.testing.assert_allclose(particles * BOLTZMANN * temperature, pressure, rtol=1e-9)
    nuclei = gas.n_hydrogen + gas.n_proton + 2.0 * gas.n_h2
    np.testing.assert_allclose(nuclei, gas.n_nuclei, rtol=1e-9)


def test_saha_limits():
    """Hot thin gas is ionised, cool dense gas is neutral, and H2 takes over in the cold."""
    hot = solve_gas(np.array([14000.0]), np.array([1e-1]), composition())
    cool = solve_gas(np.array([2500.0]), np.array([1e5]), composition())
    assert hot.ionised[0, 0] > 0.999
    assert cool.ionised[0, 0] < 1e-15
    assert 2.0 * cool.n_h2 / cool.n_nuclei > 0.8
    sodium, carbon = cool.composition.index("Na"), cool.composition.index("C")
    assert cool.ionised[sodium, 0] > 1e3 * cool.ionised[carbon, 0]


def test_solar_electrons_come_from_metals_above_and_hydrogen_below():
    gas = build_atmosphere(5777.0, 4.44).gas
    share = gas.n_proton / gas.n_electron
    assert share[15] < 0.05
    assert share[-5] > 0.95


def test_hydrogen_dissociates_as_measured():
    """Tsuji (1973, A&A 23, 411): log Kp(H2) = 7.67 at 5040 K; constants differ by 0.05."""
    kp = dissociation_constant("H2", np.array(5040.0)) * BOLTZMANN * 5040.0
    assert np.log10(kp) == pytest.approx(7.67, abs=0.06)


def test_carbon_and_oxygen_pair_up_in_the_cold():
    """At 2500 K carbon is in CO and oxides do not hold more oxygen than there is."""
    gas = solve_gas(np.array([2500.0]), np.array([1e4]), composition())
    found = molecule_densities(gas)
    carbon = gas.n_nuclei * gas.composition.ratio[gas.composition.index("C")]
    assert found["CO"] / carbon == pytest.approx(1.0, abs=0.01)
    oxygen = gas.n_nuclei * gas.composition.ratio[gas.composition.index("O")]
    assert found["CO"] + found["SiO"] + found["H2O"] + found["TiO"] < oxygen


def test_carbon_makes_cn_and_unmakes_tio():
    temperature, pressure = np.array([3500.0]), np.array([1e4])
    solar, rich = (
        molecule_densities(solve_gas(temperature, pressure, composition(c_m=c))) for c in (0.0, 0.2)
    )
    assert rich["CN"] > 1.5 * solar["CN"]
    assert rich["TiO"] < 0.8 * solar["TiO"]


def test_h_minus_opacity_against_published_values():
    """Wishart (1979): 3.9e-17 cm² at 8500 Å; Bell & Berrington (1987), θ = 1, 9113 Å: 1.76e-26."""
    assert h_minus_bound_free(np.array(8500.0)) == pytest.approx(3.9e-17, rel=0.03)
    assert h_minus_bound_free(np.array([16500.0]))[0] == 0.0
    free = h_minus_free_free(np.array([9113.0]), np.array([5040.0]))[0, 0]
    assert free == pytest.approx(1.76e-26, rel=0.04)


def test_continuum_peaks_and_dips_where_h_minus_does():
    """H- peaks near 8500 Å, where the Paschen edge at 8206 Å sits, and dips at 1.64 µm."""
    wave = np.linspace(5000.0, 22000.0, 400)
    gas = solve_gas(np.array([5800.0]), np.array([1e5]), composition())
    opacity = continuum_opacity(wave, gas)[:, 0]
    assert wave[np.argmax(opacity[wave < 12000])] == pytest.approx(8350.0, abs=200.0)
    assert wave[np.argmin(opacity)] == pytest.approx(16400.0, abs=300.0)


def test_rosseland_mean_of_grey_matter_is_its_opacity():
    wave = np.geomspace(1000.0, 3e5, 300)
    temperature = np.array([3500.0, 6000.0])
    mean = rosseland_mean(wave, np.full((300, 2), 0.37), temperature)
    np.testing.assert_allclose(mean, 0.37, rtol=1e-12)


def test_solar_opacity_at_optical_depth_one():
    """Holweger-Müller Sun at τ_5000 = 1 (6390 K, log P = 5.11): κ_5000 of 0.65 to 0.75 cm²/g."""
    gas = solve_gas(np.array([6390.0]), np.array([10**5.11]), composition())
    opacity = continuum_opacity(np.array([5000.0]), gas) / gas.density
    assert 0.6 < opacity[0, 0] < 0.8


def test_forest_blocks_between_nothing_and_everything():
    contrast = np.geomspace(1e-6, 1e12, 50)
    blocked = blocking(contrast, 6.0)
    assert np.all(np.diff(blocked) > 0)
    assert blocked[0] < 1e-6
    assert blocked[-1] > 0.999


@pytest.mark.parametrize(
    "star", [(3500, 0.0, 0.0), (4500, 2.0, -2.5), (5777, 4.44, 0), (6500, 5, 1)]
)
def test_temperature_rises_inward(star):
    temperature = temperature_law(np.logspace(-5, 2, 200), *star)
    assert np.all(np.diff(temperature) >= 0.0)


def test_solar_temperature_follows_the_table():
    """Levelling off moves the Sun's log g by 0.04, at most 2e-3 of T."""
    found = temperature_law(np.array([1e-3, 1.0, 10.0]), 5777.0, 4.44, 0.0) / 5777.0
    np.testing.assert_allclose(found, [0.7791, 1.0800, 1.4944], rtol=2e-3)


@pytest.mark.parametrize("star", [(5777, 4.44, 0.0), (4500, 2.0, -0.5), (3500, 5.5, 0.5)])
def test_pressure_is_hydrostatic(star):
    """dP/dτ = g/κ - σTeff⁴/c by central differences over 0.33 in ln τ err by up to 0.01."""
    atmosphere = build_atmosphere(*star)
    log_tau = np.log(atmosphere.tau)
    slope = np.gradient(np.log(atmosphere.gas.pressure), log_tau)
    push = SIGMA_SB * star[0] ** 4 / LIGHT_SPEED
    weight = 10.0 ** star[1] / atmosphere.opacity
    pull = np.maximum(weight - push, RADIATION_FLOOR * weight)
    expected = pull * atmosphere.tau / atmosphere.gas.pressure
    np.testing.assert_allclose(slope[3:-3], expected[3:-3], atol=0.02)


@pytest.mark.parametrize("star", [(5777, 4.44, 0.0), (4250, 1.5, -0.5), (6250, 4.0, -1.0)])
def test_integrated_flux_is_sigma_teff_to_the_fourth(star):
    wave = np.geomspace(2000.0, 1.5e5, 80)
    atmosphere = fitted_atmosphere(*star)
    gas = atmosphere.gas
    opacity = continuum_opacity(wave, gas)
    standard = atmosphere.opacity * gas.density
    flux = blanketed_flux(atmosphere.tau, wave, opacity, standard, gas)
    assert flux / (SIGMA_SB * star[0] ** 4) == pytest.approx(1.0, abs=0.01)  # of the iteration


@pytest.mark.parametrize("star", [(5500, 3.0, 0.0), (6500, 2.0, 0.0), (4500, 2.0, -2.0)])
def test_flux_is_mended_where_it_forms(star):
    """σTeff⁴ decides the temperature at τ of about one; the law keeps the layers above τ = 0.01."""
    atmosphere = fitted_atmosphere(*star)
    ratio = atmosphere.gas.temperature / temperature_law(atmosphere.tau, *star)
    assert np.all(np.abs(ratio[atmosphere.tau < 1e-2] - 1.0) < 0.005)
    assert abs(ratio[-1] - 1.0) > 0.02


def test_wigner_symbols_are_orthogonal():
    pairs = [(m, q) for m in np.arange(-6.5, 7.0) for q in (-1, 0, 1)]
    total = sum(wigner_3j(7.5, 1, 6.5, -m - q, q, m) ** 2 for m, q in pairs)
    assert total == pytest.approx(1.0, rel=1e-10)


def test_cn_strengths_obey_the_sum_rule_and_case_b():
    """Strengths from a level sum to 2 (2J + 1); without spin-orbit coupling N changes by <= 1."""
    j = np.arange(60) + 0.5
    amplitudes = direction_amplitudes()[30]
    for coupling in (-52.65, 0.0):
        _, states = pi_levels(j, 1.7, 0.0, coupling)
        upper = states[29:32]  # J' = J - 1, J, J + 1
        mixed = upper[:, 1] * amplitudes[:, 1, None] + upper[:, 0] * amplitudes[:, 0, None]
        assert np.sum(mixed**2) == pytest.approx(2.0 * (2.0 * j[30] + 1.0), rel=1e-10)
    assert mixed[2, 1] ** 2 < 1e-4 * np.sum(mixed**2)  # ΔN = 2


def test_franck_condon_factors_sum_to_one_and_match_the_literature():
    """CN red system: q00 = 0.498, q10 = 0.320, q20 = 0.126 (Nicholls 1964), Morse to 0.01."""
    factors = franck_condon(GROUND, EXCITED, REDUCED_MASS, 25)
    assert factors[:, 0].sum() == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(factors[:3, 0], [0.498, 0.320, 0.126], atol=0.01)


def test_honl_london_shares_sum_to_one():
    j = np.arange(3.0, 50.0)
    for lower, upper in ((2.0, 3.0), (2.0, 1.0)):
        np.testing.assert_allclose(sum(honl_london(j, lower, upper)), 1.0, rtol=1e-12)


@pytest.mark.parametrize("head", [7054.2, 7087.6, 7125.6, 8859.6])
def test_titanium_oxide_heads_stand_where_they_are_observed(head):
    """Lines crowd just redward of an R head and are missing just blueward: within 1.5 Å."""
    lines = titanium_oxide_lines()
    wave = vacuum_to_air(1e8 / lines.wavenumber[lines.wavenumber > 1e4])
    strength = (lines.gf * np.exp(-lines.energy / (BOLTZMANN_EV * 3000)))[lines.wavenumber > 1e4]
    red = strength[(wave > head - 1.0) & (wave < head + 3.0)].sum()
    blue = strength[(wave > head - 5.0) & (wave < head - 1.0)].sum()
    assert red > 2.0 * blue


@pytest.mark.parametrize("head", [7872.0, 9141.0])
def test_cn_bands_start_at_their_heads(head):
    """R2 heads of the 2-0 and 1-0 bands (Ram et al. 2010), to the 2 Å that band constants allow."""
    lines = cyanogen_lines()
    near = lines.wavenumber > 1e4
    wave = vacuum_to_air(1e8 / lines.wavenumber[near])
    strength = (lines.gf * np.exp(-lines.energy / (BOLTZMANN_EV * 4500.0)))[near]
    red = strength[(wave > head - 2.0) & (wave < head + 6.0)].sum()
    blue = strength[(wave > head - 12.0) & (wave < head - 4.0)].sum()
    assert red > 3.0 * blue


def test_bands_follow_the_microturbulence_without_a_kink():
    """Exact at the speed of each table, and of one slope on both sides of the middle one."""
    star = build_atmosphere(3700.0, 4.5)
    tables = band_tables(7050.0, 3.3e-6, 400)

    def weights(speed):
        return band_opacity(replace(star, microturbulence=speed), tables, np.full(50, 1e-12)).share

    for i, speed in enumerate((0.7, 1.4, 2.8)):
        np.testing.assert_allclose(weights(speed), np.eye(3)[i], atol=1e-12)
    low, middle, high = (weights(1.4 * ratio) for ratio in (1.0 / 1.01, 1.0, 1.01))
    np.testing.assert_allclose(middle - low, high - middle, atol=1e-3)  # jumped by 0.014
