"""The model atmosphere: layers in hydrostatic equilibrium on optical depth."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.errors import GridError
from starsmith.simulator.synthesis.atomic_constants import LIGHT_SPEED, SIGMA_SB
from starsmith.simulator.synthesis.blanketing import blanketed_flux, open_fraction
from starsmith.simulator.synthesis.composition import composition
from starsmith.simulator.synthesis.continuum import continuum_opacity, rosseland_mean
from starsmith.simulator.synthesis.equation_of_state import Gas, solve_gas
from starsmith.simulator.synthesis.structures import atlas9_structure
from starsmith.simulator.synthesis.synthesis_tables import numbers

__all__ = [
    "Atmosphere",
    "build_atmosphere",
    "depth_grid",
    "fitted_atmosphere",
    "rosseland_table",
    "temperature_law",
    "usual_microturbulence",
]

LAW = "temperature_law.csv"
# t: Teff, g: log g, f: [M/H], each less the Sun's
LAW_TERMS = ("one", "t", "g", "f", "tt", "gg", "ff", "tg", "tf", "gf")
LAW_RANGE = ((3400.0, 6700.0), (-0.5, 4.75), (-3.0, 0.6))  # Teff, log g, [M/H]
LAW_SOFTNESS = (0.0, 0.2, 0.1)  # width over which labels level off below the upper edge
MEAN_WAVE = fixed.geomspace(1500.0, 2.0e5, 140)  # Rosseland mean [Å]
TABLE_LOG_T = np.linspace(math.log(1800.0), math.log(16000.0), 56)  # 1800-16000 K
TABLE_LOG_P = np.linspace(math.log(1e-3), math.log(3e7), 48)  # 1e-3 to 3e7 dyn/cm²
FLUX_WAVE = fixed.geomspace(2000.0, 1.5e5, 80)  # integrated flux [Å]
FLUX_DEPTH = 0.3  # τ below which the flux forms, and the law scatters more than above
TEMPERATURE_RESPONSE = 3.2  # d ln flux / d ln T of the layers below
OPACITY_RESPONSE = 0.6  # d ln flux / d ln scale, from the slope of the temperature law
N_FLUX_ITERATION = 5
COOL_LIMIT = (4250.0, 150.0)  # where molecules make the mean opacity uncertain: centre, width [K]
TOP_SLOPE = 0.03  # T/Teff per dex above the law's table, a little less than its last steps
BRANCH_WIDTH = 0.35  # of dwarfs and giants in the microturbulence [dex]
N_ITERATION = 25  # of the damped fixed point; the change falls five-fold each time
RADIATION_FLOOR = 0.1  # least fraction of gravity left after radiation pressure


@dataclass(frozen=True)
class Atmosphere:
    """A star's outer layers, from the top down.

    Attributes
    ----------
    tau : float64, shape (n_depth,)
        Rosseland optical depth.
    opacity : float64, shape (n_depth,)
        Rosseland mean opacity [cm²/g].
    gas : Gas
        State at each depth.
    microturbulence : float
        Most probable speed of what is smaller than the line-forming layers [km/s].
    """

    tau: np.ndarray
    opacity: np.ndarray
    gas: Gas
    microturbulence: float = 2.0


def depth_grid(n_depth: int = 50) -> np.ndarray:
    """Rosseland optical depths, log τ from -5 to +2, shape (n_depth,)."""
    return fixed.geomspace(1e-5, 1e2, n_depth)


def temperature_law(tau: np.ndarray, teff: float, logg: float, m_h: float) -> np.ndarray:
    """T(τ_Ross) [K], shape of ``tau``, never falling inward.

    Regression of MARCS models (see ``temperature_law.csv``), monotone cubic in log τ, continued
    linearly in log τ. Labels level off where the regression ends, smoothly, so that spectra have no
    kink there.
    """
    labels = [
        level_off(value, *edges, width)
        for value, edges, width in zip((teff, logg, m_h), LAW_RANGE, LAW_SOFTNESS, strict=True)
    ]
    # the Sun is the origin; Teff in thousands of kelvin
    t, g, f = (labels[0] - 5777.0) / 1000.0, labels[1] - 4.44, labels[2]
    terms = np.array([1.0, t, g, f, t * t, g * g, f * f, t * g, t * f, g * f])
    knots = numbers(LAW, "log_tau")  # log10 τ
    ratio = fixed.matmul(terms, np.array([numbers(LAW, term) for term in LAW_TERMS]))
    ratio = np.maximum.accumulate(ratio)  # T never falls inwards, whatever the regression says
    log_tau = fixed.log10(tau)
    inside = np.clip(log_tau, knots[0], knots[-1])
    slope_bottom = (ratio[-1] - ratio[-2]) / (knots[-1] - knots[-2])  # T/Teff per dex
    beyond = TOP_SLOPE * np.minimum(log_tau - knots[0], 0.0)
    beyond += slope_bottom * np.maximum(log_tau - knots[-1], 0.0)
    return teff * (scipy.interpolate.PchipInterpolator(knots, ratio)(inside) + beyond)


def level_off(value: float, low: float, high: float, width: float) -> float:
    """The value between ``low`` and ``high``, tending to ``high`` over a ``width`` above zero."""
    if width > 0.0:
        value = high - width * float(np.logaddexp(0.0, (high - value) / width))  # a soft minimum
    return min(max(value, low), high)


@lru_cache(maxsize=8)
def rosseland_table(
    m_h: float, a_m: float, c_m: float, sun: str = "log_eps"
) -> "scipy.interpolate.RectBivariateSpline":
    """Ln κ_Ross [cm²/g] of one composition, cubic spline in (ln T, ln P)."""
    gas = composition(m_h, a_m, c_m, sun)
    log_t, log_p = np.meshgrid(TABLE_LOG_T, TABLE_LOG_P, indexing="ij")
    state = solve_gas(fixed.exp(log_t).ravel(), fixed.exp(log_p).ravel(), gas)
    opacity = continuum_opacity(MEAN_WAVE, state)
    # lines close part of each interval: more opacity
    opacity /= open_fraction(MEAN_WAVE, opacity, state)
    mean = rosseland_mean(MEAN_WAVE, opacity, state.temperature) / state.density  # [cm²/g]
    return scipy.interpolate.RectBivariateSpline(
        TABLE_LOG_T, TABLE_LOG_P, fixed.log(mean).reshape(log_t.shape)
    )


def build_atmosphere(
    teff: float,
    logg: float,
    m_h: float = 0.0,
    a_m: float = 0.0,
    c_m: float = 0.0,
    structure: str = "atlas9",
    microturbulence: float | None = None,
) -> Atmosphere:
    """Atmosphere in hydrostatic equilibrium.

    ``structure`` is ``"atlas9"``, models of Kurucz (1993), or ``"marcs_fit"``, the quadratic
    temperature law of `fitted_atmosphere`. Where the composition differs from ATLAS9's, their mean
    opacity changes as ours does, and the pressure with it; T(τ) stays. ``microturbulence`` [km/s]
    is that of `usual_microturbulence` by default; ATLAS9's opacities have 2 km/s.
    """
    speed = microturbulence
    if speed is None:
        speed = usual_microturbulence(teff, logg, m_h)
    if structure == "marcs_fit":
        return replace(fitted_atmosphere(teff, logg, m_h, a_m, c_m), microturbulence=speed)
    if structure != "atlas9":
        raise GridError(f"structure {structure!r}: choose one of atlas9, marcs_fit")
    tau, model = depth_grid(), atlas9_structure(teff, logg, m_h)
    temperature, log_p = model.temperature, fixed.log(model.pressure)
    theirs = rosseland_table(model.m_h, 0.0, 0.0, sun="log_eps_1989")
    own = rosseland_table(m_h, a_m, c_m)
    log_t = fixed.log(temperature)
    scale = fixed.log(model.opacity) - theirs.ev(log_t, log_p)  # of their lines over ours
    before, after = (
        hydrostatic_pressure(tau, temperature, 10.0**logg, teff, table, scale)
        for table in (theirs, own)
    )
    log_p = log_p + after - before
    opacity = fixed.exp(own.ev(log_t, log_p) + scale)
    gas = solve_gas(temperature, fixed.exp(log_p), composition(m_h, a_m, c_m))
    return Atmosphere(tau, opacity, gas, speed)


def usual_microturbulence(teff: float, logg: float, m_h: float) -> float:
    """Microturbulence of stars with these labels [km/s].

    Relation of the Gaia-ESO Survey for UVES spectra (M. Bergemann and V. Hill; Blanco-Cuaresma et
    al. 2014, A&A 569, A111, of iSpec): one branch for dwarfs, one for giants, which meet at log g
    3.5 with a step of 0.2 (0.7 at 3500 K); here they pass into each other within `BRANCH_WIDTH`.
    """
    t, warm, g = teff - 5500.0, max(teff, 5000.0) - 5500.0, logg - 4.0
    common = -0.14 * g - 0.005 * g * g + 0.05 * m_h + 0.01 * m_h * m_h
    dwarf = 1.05 + 2.51e-4 * warm + 1.5e-7 * warm * warm + common
    giant = 1.25 + 4.01e-4 * t + 3.1e-7 * t * t + common
    share = 1.0 / (1.0 + math.exp((logg - 3.5) / BRANCH_WIDTH))  # of the giants' branch
    return share * giant + (1.0 - share) * dwarf


def fitted_atmosphere(
    teff: float, logg: float, m_h: float = 0.0, a_m: float = 0.0, c_m: float = 0.0
) -> Atmosphere:
    """Atmosphere of the quadratic law, dP/dτ = g/κ less the radiation force.

    What the emergent flux, lines included, lacks to σTeff⁴ is mended by a factor on T below
    τ = 0.3, where the flux forms and the law scatters most, in stars warmer than 4250 K, and by a
    factor on the mean opacity, which MARCS took from more molecules, in cooler ones. The two pass
    smoothly into each other.
    """
    tau = depth_grid()
    law = temperature_law(tau, teff, logg, m_h)
    mixture = composition(m_h, a_m, c_m)
    table = rosseland_table(m_h, a_m, c_m)
    # 1 where molecules rule the opacity, 0 in warm stars
    opacity_share = 1.0 / (1.0 + math.exp((teff - COOL_LIMIT[0]) / COOL_LIMIT[1]))
    deep = tau / (tau + FLUX_DEPTH)  # 0 at the surface, 1 where the flux forms
    correction = 0.0  # of ln flux
    for _ in range(N_FLUX_ITERATION):
        temperature = law * fixed.exp(
            (1.0 - opacity_share) * correction / TEMPERATURE_RESPONSE * deep
        )
        log_scale = opacity_share * correction / OPACITY_RESPONSE
        log_pressure = hydrostatic_pressure(tau, temperature, 10.0**logg, teff, table, log_scale)
        gas = solve_gas(temperature, fixed.exp(log_pressure), mixture)
        opacity = fixed.exp(table.ev(fixed.log(temperature), log_pressure) + log_scale)
        continuum = continuum_opacity(FLUX_WAVE, gas)
        flux = blanketed_flux(tau, FLUX_WAVE, continuum, opacity * gas.density, gas)
        correction += math.log(SIGMA_SB * teff**4 / flux)  # flux asked for over flux found
    return Atmosphere(tau=tau, opacity=opacity, gas=gas)


@lru_cache(maxsize=2)
def integration_matrix(n_depth: int) -> np.ndarray:
    """Integral over ln τ from the top of `depth_grid` by cubic splines, (n_depth, n_depth)."""
    log_tau = fixed.log(depth_grid(n_depth))
    return scipy.interpolate.CubicSpline(log_tau, np.eye(n_depth)).antiderivative()(log_tau)


def hydrostatic_pressure(
    tau: np.ndarray,
    temperature: np.ndarray,
    gravity: float,
    teff: float,
    table: "scipy.interpolate.RectBivariateSpline",
    log_scale: float | np.ndarray = 0.0,
) -> np.ndarray:
    """Ln P_gas on ``tau``, shape (n_depth,), by a damped fixed point over the whole atmosphere.

    Radiation pushes back with σTeff⁴/c per unit τ; at least a tenth of gravity is kept, which only
    matters beyond the Eddington limit (log g near 0 above 6000 K).
    """
    log_t, integral = fixed.log(temperature), integration_matrix(tau.size)
    push = SIGMA_SB * teff**4 / LIGHT_SPEED  # F/c: what light takes off dP/dτ [dyn/cm²]
    # first guess; only its order of magnitude matters
    log_p = fixed.log(gravity * fixed.power(tau, 2.0 / 3.0) / 1e-2 * 1e-1 + 1e-2)
    for _ in range(N_ITERATION):
        inside = np.clip(log_p, TABLE_LOG_P[0], TABLE_LOG_P[-1])
        weight = gravity / fixed.exp(table.ev(log_t, inside) + log_scale)  # dP/dτ = g/κ [dyn/cm²]
        gradient = np.maximum(weight - push, RADIATION_FLOOR * weight) * tau  # dP/d ln τ
        # above the first layer P grows as τ
        pressure = gradient[0] + fixed.matmul(integral, gradient)
        # damped: κ rises with P, full steps overshoot
        log_p = 0.5 * (log_p + fixed.log(np.maximum(pressure, 1e-3)))
    return log_p
