"""What lines add to the Rosseland mean and take from the flux: a statistical forest.

The optical depth on which the temperature law stands includes lines. Atomic lines cover a part of
the spectrum, set by the blocking observed in the Sun (`line_blocking.csv`); their central opacities
spread evenly in the logarithm over six decades below that of a strong Fe I line, so metallicity,
temperature and pressure act through Fe I and the continuum. TiO, H2O, CN and CO cover their bands
fully, over three decades around the mean cross-sections of `molecular_blocking.csv`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.kernels.synthesis_escape import flux_from_opacity
from starsmith.simulator.synthesis.atomic_constants import BOLTZMANN_EV, CLASSICAL_CROSS_SECTION
from starsmith.simulator.synthesis.composition import composition, log_partition
from starsmith.simulator.synthesis.continuum import continuum_opacity
from starsmith.simulator.synthesis.equation_of_state import Gas, molecule_densities, solve_gas
from starsmith.simulator.synthesis.radiative_transfer import planck
from starsmith.simulator.synthesis.synthesis_tables import numbers, read_table

__all__ = ["Forest", "blanketed_flux", "line_forest", "open_fraction"]

ATOM_DECADES = 6.0  # strengths of lines spread evenly in logarithm over so many decades
MOLECULE_DECADES = 3.0  # fewer: lines of a band are alike
STRONG_GF = 1.0  # of the strongest line of an interval
STRONG_ENERGY = 1.5  # [eV]
DOPPLER = 2.4e5  # [cm/s], Fe at 5700 K with 2 km/s of microturbulence
SOLAR_LAYER = (5700.0, 1e5)  # where the Sun's continuum forms [K], [dyn/cm²]
# measured in the Sun, computed from the bands
SOLAR_TABLE, MOLECULE_TABLE = "line_blocking.csv", "molecular_blocking.csv"
MOLECULES = ("TiO", "H2O", "CN", "CO")
# places in the distributions, 0 strongest, paired so that atoms and molecules are independent
ATOM_PLACES = (np.arange(8) + 0.5) / 8
MOLECULE_PLACES = ATOM_PLACES[[3, 6, 1, 4, 7, 2, 5, 0]]


@dataclass(frozen=True)
class Forest:
    """Strongest line opacities of a gas.

    Attributes
    ----------
    covered : float64, shape (n_wave,)
        Part of the spectrum that belongs to atomic lines.
    atoms, molecules : float64, shape (n_wave, n_point)
        Top of each distribution [1/cm].
    """

    covered: np.ndarray
    atoms: np.ndarray
    molecules: np.ndarray


def line_forest(wave: np.ndarray, gas: Gas) -> Forest:
    """Line opacities of a gas at wavelengths [Å], shape (n_wave,)."""
    covered, crowding = _solar_lines(tuple(wave))
    density = molecule_densities(gas, n_sweep=12)  # enough: blanketing is good to percents
    peaks = [_peak_cross_section(molecule, tuple(wave)) for molecule in MOLECULES]
    return Forest(
        covered=covered,
        atoms=crowding[:, None] * _strong_line(wave, gas),
        molecules=fixed.matmul(
            np.array(peaks).T, np.array([density[molecule] for molecule in MOLECULES])
        ),
    )


def _strong_line(wave: np.ndarray, gas: Gas) -> np.ndarray:
    """Central opacity of a strong Fe I line anywhere in the spectrum [1/cm], (n_wave, n_point)."""
    row = gas.composition.index("Fe")
    # Fe I stands for all metals [1/cm³]
    iron = gas.n_nuclei * gas.composition.ratio[row] * (1.0 - gas.ionised[row])
    energy = STRONG_ENERGY / (BOLTZMANN_EV * gas.temperature)
    level = iron * fixed.exp(-energy - log_partition("Fe I", gas.temperature))
    # cross-section at line centre [cm²]; 1e-8: Å to cm
    centre = CLASSICAL_CROSS_SECTION * STRONG_GF * wave * 1e-8 / (math.sqrt(math.pi) * DOPPLER)
    return centre[:, None] * level


@lru_cache(maxsize=4)
def _solar_lines(wave: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Covered part, and where lines overlap the factor on them, that block the Sun as observed."""
    grid = np.array(wave)
    sun = solve_gas(*(np.array([value]) for value in SOLAR_LAYER), composition())
    contrast = (_strong_line(grid, sun) / continuum_opacity(grid, sun))[:, 0]
    blocked = np.interp(grid, numbers(SOLAR_TABLE, "wave"), numbers(SOLAR_TABLE, "blocked"))
    # the Sun shows this much; lines cover no more than all
    covered = np.minimum(blocked / blocking(contrast, ATOM_DECADES), 1.0)
    factor = fixed.geomspace(1.0, 1e5, 51)  # how many more lines than one
    crowding = [
        np.interp(b, blocking(c * factor, ATOM_DECADES), factor)
        for b, c in zip(blocked, contrast, strict=True)
    ]
    return covered, np.array(crowding)


@lru_cache(maxsize=16)
def _peak_cross_section(molecule: str, wave: tuple[float, ...]) -> np.ndarray:
    """Top of a molecule's distribution [cm²]: ln(range) times the mean of an even spread."""
    rows = [i for i, name in enumerate(read_table(MOLECULE_TABLE)["molecule"]) if name == molecule]
    knots = numbers(MOLECULE_TABLE, "wave")[rows]
    # log-log interpolation: cross-sections span decades
    mean = fixed.log(numbers(MOLECULE_TABLE, "mean")[rows])
    value = fixed.exp(np.interp(fixed.log(wave), fixed.log(knots), mean, left=-100.0, right=-100.0))
    return value * MOLECULE_DECADES * math.log(10.0)


def blocking(contrast: np.ndarray, decades: float) -> np.ndarray:
    """Mean of η/(1 + η) for η even in ln η over ``decades`` below ``contrast``."""
    weakest = contrast * fixed.power(10.0, -decades)  # of the weakest line of the distribution
    # ∫ c/(1 + c) d log c over the decades
    return (fixed.log1p(contrast) - fixed.log1p(weakest)) / (decades * math.log(10.0))


def open_fraction(wave: np.ndarray, opacity: np.ndarray, gas: Gas) -> np.ndarray:
    """Mean of κ_c/κ over the forest, (n_wave, n_point); ``opacity`` is the continuum [1/cm]."""
    forest = line_forest(wave, gas)
    atoms = forest.covered[:, None] * blocking(forest.atoms / opacity, ATOM_DECADES)
    molecules = blocking(forest.molecules / opacity, MOLECULE_DECADES)
    return (1.0 - atoms) * (1.0 - molecules)  # independent: they overlap at random


def blanketed_flux(
    tau: np.ndarray, wave: np.ndarray, opacity: np.ndarray, standard: np.ndarray, gas: Gas
) -> float:
    """Flux leaving an atmosphere, integrated over wavelength, lines included [erg/s/cm²].

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
    forest = line_forest(wave, gas)
    covered = forest.covered
    source = planck(wave[None, :], gas.temperature[:, None])
    flux, total = np.empty(wave.size), np.zeros(wave.size)
    for atom_place, molecule_place in zip(ATOM_PLACES, MOLECULE_PLACES, strict=True):
        bands = opacity + forest.molecules * fixed.power(10.0, -MOLECULE_DECADES * molecule_place)
        lines = forest.atoms * fixed.power(10.0, -ATOM_DECADES * atom_place)
        for share, value in ((1.0 - covered, bands), (covered, bands + lines)):
            relative = np.ascontiguousarray((value / standard).T)
            flux_from_opacity(flux, tau, relative, source)
            # the mean over eight places of the distribution
            total += share * flux / ATOM_PLACES.size
    return float(np.trapezoid(total, wave))
