"""Light that ionises neutral metals: bound-free absorption of Mg, Al, Si and Fe [1/cm]."""

from functools import lru_cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.synthesis.atomic_constants import HC_OVER_K
from starsmith.simulator.synthesis.composition import log_partition
from starsmith.simulator.synthesis.equation_of_state import Gas
from starsmith.simulator.synthesis.synthesis_tables import numbers, read_table

__all__ = ["level_cross_sections", "metal_bound_free"]

TABLE = "bound_free.csv"
BUMP_CENTRE = 3000.0  # of Fe I above the edge [cm⁻¹]
BUMP_WIDTH = 0.1  # of the edge


def level_cross_sections(wave: np.ndarray) -> np.ndarray:
    """Cross-section of each row of ``bound_free.csv`` [cm²] at wavelengths [Å], (n_row, n_wave).

    A level takes σ (edge/ν)^s beyond it; groups of Fe I levels have a
    maximum instead (Kurucz 1970, 1993).
    """
    wavenumber = 1e8 / np.asarray(wave, dtype=np.float64)  # [cm⁻¹]
    edge, power = (numbers(TABLE, column)[:, None] for column in ("edge", "power"))
    offset = (edge + BUMP_CENTRE - wavenumber) / (BUMP_WIDTH * edge)
    is_bump = np.array(read_table(TABLE)["shape"])[:, None] == "bump"
    fall = fixed.power(edge / wavenumber, np.where(is_bump, 0.0, power))
    shape = np.where(is_bump, 1.0 / (1.0 + offset**4), fall)
    return np.where(wavenumber >= edge, 1e-18 * numbers(TABLE, "sigma")[:, None] * shape, 0.0)


def metal_bound_free(wave: np.ndarray, gas: Gas) -> np.ndarray:
    """Bound-free absorption [1/cm], (n_wave, n_point), before stimulated emission.

    Levels are populated as Boltzmann has it; molecules take no atoms away.
    """
    amounts = fixed.matmul(_members(), _neutral(gas))  # atoms per unit partition function, by row
    energy, weight = (numbers(TABLE, column)[:, None] for column in ("energy", "weight"))
    level = amounts * weight * fixed.exp(-HC_OVER_K * energy / gas.temperature)
    return fixed.matmul(level_cross_sections(wave).T, level)


@lru_cache(maxsize=1)
def _species() -> tuple[str, ...]:
    return tuple(dict.fromkeys(read_table(TABLE)["species"]))


@lru_cache(maxsize=1)
def _members() -> np.ndarray:
    """1 where a row (n_row) is of a species (n_species), else 0."""
    rows = np.array(read_table(TABLE)["species"])
    return (rows[:, None] == np.array(_species())).astype(np.float64)


def _neutral(gas: Gas) -> np.ndarray:
    """Neutral atoms over their partition function [1/cm³], (n_species, n_point)."""
    found = []
    for species in _species():
        row = gas.composition.index(species.removesuffix(" I"))
        atoms = gas.n_nuclei * gas.composition.ratio[row] * (1.0 - gas.ionised[row])
        found.append(atoms * fixed.exp(-log_partition(species, gas.temperature)))
    return np.array(found)
