"""The share of the Rosseland mean that lines close: a statistical forest.

MARCS optical depths, on which the temperature law stands, include lines. In each wavelength interval a
part of the spectrum is covered by lines whose central opacities spread evenly in the logarithm over
six decades below that of a strong Fe I line; the covered part is set by the blocking observed in the
Sun (`line_blocking.csv`), so that metallicity, temperature and pressure act through Fe I and the
continuum.
"""

import math

import numpy as np

from starsmith.simulator.kernels.synthesis_transfer import flux_from_opacity
from starsmith.simulator.synthesis.composition import log_partition
from starsmith.simulator.synthesis.constants import BOLTZMANN_EV, CLASSICAL_CROSS_SECTION
from starsmith.simulator.synthesis.equation_of_state import Gas
from starsmith.simulator.synthesis.tables import numbers
from starsmith.simulator.synthesis.transfer import exponential_integral_table, planck

__all__ = ["blanketed_flux", "open_fraction"]

FOREST_DECADES = 6.0
STRONG_GF = 1.0
STRONG_ENERGY = 1.5  # [eV]
DOPPLER = 2.4e5  # [cm/s], Fe at 5700 K with 2 km/s of microturbulence
SOLAR_CONTRAST = 7.6e3  # of the strongest lines at 5700 K and 1e5 dyn/cm², 4000 Å
TABLE = "line_blocking.csv"
N_SAMPLE = 8  # forest opacities in the flux integral


def open_fraction(wave: np.ndarray, opacity: np.ndarray, gas: Gas) -> np.ndarray:
    """Mean of κ_c/κ over the line forest, shape (n_wave, n_point).

    ``wave`` (n_wave,) [Å]; ``opacity`` (n_wave, n_point) continuum [1/cm]. The mean of 1/(1 + η) over
    η even in ln η is 1 - ln[(1 + η_max)/(1 + η_min)] / ln(η_max/η_min).
    """
    contrast = strongest_opacity(wave, gas) / opacity
    return 1.0 - covered_fraction(wave)[:, None] * forest_blocking(contrast)


def strongest_opacity(wave: np.ndarray, gas: Gas) -> np.ndarray:
    """Central opacity of the forest's strongest lines [1/cm], shape (n_wave, n_point)."""
    row = gas.composition.index("Fe")
    iron = gas.n_nuclei * gas.composition.ratio[row] * (1.0 - gas.ionised[row])
    level = iron * np.exp(
        -STRONG_ENERGY / (BOLTZMANN_EV * gas.temperature) - log_partition("Fe I", gas.temperature)
    )
    centre = CLASSICAL_CROSS_SECTION * STRONG_GF * wave * 1e-8 / (math.sqrt(math.pi) * DOPPLER)
    return centre[:, None] * level


def covered_fraction(wave: np.ndarray) -> np.ndarray:
    """Part of the spectrum that belongs to lines, shape of ``wave`` [Å]."""
    blocked = np.interp(wave, numbers(TABLE, "wave"), numbers(TABLE, "blocked"))
    return np.minimum(blocked / forest_blocking(np.array(SOLAR_CONTRAST)), 1.0)


def blanketed_flux(
    tau: np.ndarray, wave: np.ndarray, opacity: np.ndarray, standard: np.ndarray, gas: Gas
) -> float:
    """Flux leaving an atmosphere, integrated over wavelength, lines included [erg/s/cm²].

    The forest is sampled evenly in ln η.

    Parameters
    ----------
    tau : float64, shape (n_depth,)
        Standard optical depth.
    wave : float64, shape (n_wave,)
        [Å].
    opacity : float64, shape (n_wave, n_depth)
        Continuum [1/cm].
    standard : float64, shape (n_depth,)
        Standard opacity [1/cm].
    gas : Gas
    """
    lines = strongest_opacity(wave, gas)
    covered = covered_fraction(wave)
    source = planck(wave[None, :], gas.temperature[:, None])
    table = exponential_integral_table()
    flux = np.empty(wave.size)
    flux_from_opacity(flux, tau, np.ascontiguousarray((opacity / standard).T), source, table)
    total = (1.0 - covered) * flux
    for i in range(N_SAMPLE):
        share = 10.0 ** (-FOREST_DECADES * (i + 0.5) / N_SAMPLE)
        blanketed = np.ascontiguousarray(((opacity + share * lines) / standard).T)
        flux_from_opacity(flux, tau, blanketed, source, table)
        total += covered / N_SAMPLE * flux
    return float(np.trapezoid(total, wave))


def forest_blocking(contrast: np.ndarray) -> np.ndarray:
    """Blocked fraction where every wavelength belongs to a line, for the strongest contrast η_max."""
    weakest = contrast * 10.0**-FOREST_DECADES
    return (np.log1p(contrast) - np.log1p(weakest)) / (FOREST_DECADES * math.log(10.0))
