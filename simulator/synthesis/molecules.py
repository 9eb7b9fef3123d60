"""Molecular partition functions and dissociation equilibria.

Method of Sauval & Tatum (1984, ApJS 56, 193): statistical mechanics of anharmonic, vibrating
rotors with the spectroscopic constants of Huber & Herzberg (1979).
"""

from functools import lru_cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.synthesis.atomic_constants import (
    AMU,
    BOLTZMANN,
    BOLTZMANN_EV,
    HC_OVER_K,
    PLANCK,
)
from starsmith.simulator.synthesis.composition import composition, log_partition
from starsmith.simulator.synthesis.synthesis_tables import numbers, read_table

__all__ = ["dissociation_constant", "molecular_partition", "water_constant"]

TABLE, WIDE_TABLE = "molecules.csv", "wide/molecules.csv"
N_VIBRATION = 15  # levels; v = 15 of TiO lies 1.7 eV up, a Boltzmann factor of 1e-3 at 3000 K

# H2O: atomisation energy [eV], vibrations and rotational constants [1/cm] (Herzberg 1966)
WATER_ENERGY = 9.511
WATER_VIBRATIONS = (3657.1, 1594.7, 3755.9)
WATER_ROTATION = (27.88, 14.51, 9.285)


@lru_cache(maxsize=1)
def _states() -> dict[str, list[dict[str, float]]]:
    columns = ("d0", "symmetry", "weight", "te", "we", "wexe", "be", "ae")
    states: dict[str, list[dict[str, float]]] = {}
    for table in (TABLE, WIDE_TABLE):
        values = np.array([numbers(table, column) for column in columns]).T
        for molecule, row in zip(read_table(table)["molecule"], values, strict=True):
            states.setdefault(molecule, []).append(dict(zip(columns, row, strict=True)))
    return states


def molecular_partition(molecule: str, temperature: np.ndarray) -> np.ndarray:
    """Partition function above the lowest level, without nuclear spin, shape of ``temperature``."""
    temperature = np.asarray(temperature, dtype=np.float64)
    total = np.zeros_like(temperature)
    v = np.arange(N_VIBRATION) + 0.5
    ground = _states()[molecule][0]  # energies count from its v = 0
    zero = 0.5 * ground["we"] - 0.25 * ground["wexe"]
    for state in _states()[molecule]:
        energy = state["te"] + state["we"] * v - state["wexe"] * v**2 - zero
        rotation = state["be"] - state["ae"] * v
        x = HC_OVER_K / temperature[..., None]  # [cm]: hc/kT
        rotor = 1.0 / (x * rotation) + 1.0 / 3.0  # Mulholland's expansion
        total += (
            state["weight"] / state["symmetry"] * np.sum(rotor * fixed.exp(-energy * x), axis=-1)
        )
    return total


def _translation(mass: float, temperature: np.ndarray) -> np.ndarray:
    """(2π m k T/h²)^1.5 for a mass in u [1/cm³]."""
    return fixed.power(2.0 * np.pi * mass * AMU * BOLTZMANN * temperature / PLANCK**2, 1.5)


def dissociation_constant(molecule: str, temperature: np.ndarray) -> np.ndarray:
    """n(A) n(B) / n(AB) of neutral atoms and molecule [1/cm³], shape of ``temperature``."""
    temperature = np.asarray(temperature, dtype=np.float64)
    table = TABLE if molecule in read_table(TABLE)["molecule"] else WIDE_TABLE
    row = read_table(table)["molecule"].index(molecule)
    atoms = [read_table(table)[column][row] for column in ("atom1", "atom2")]
    gas = composition()
    mass = [gas.mass[gas.index(atom)] for atom in atoms]
    reduced = mass[0] * mass[1] / (mass[0] + mass[1])  # [u]
    log_atoms = sum(log_partition(f"{atom} I", temperature) for atom in atoms)
    energy = _states()[molecule][0]["d0"] / (BOLTZMANN_EV * temperature)  # D0 in units of kT
    ratio = fixed.exp(log_atoms - energy) / molecular_partition(molecule, temperature)
    return _translation(reduced, temperature) * ratio


def water_constant(temperature: np.ndarray) -> np.ndarray:
    """n(O) n(H)² / n(H2O) [1/cm⁶], shape of ``temperature``; rigid rotor, harmonic vibrations."""
    temperature = np.asarray(temperature, dtype=np.float64)
    x = HC_OVER_K / temperature
    # 1/Q of three harmonic oscillators
    vibration = np.prod([-fixed.expm1(-wave * x) for wave in WATER_VIBRATIONS], axis=0)
    # asymmetric top, symmetry number 2
    rotation = np.sqrt(np.pi / np.prod(WATER_ROTATION) / fixed.power(x, 3)) / 2.0
    reduced = np.sqrt(
        1.008**2 * 15.999 / 18.015
    )  # so that translation squared carries m_H² m_O / m
    moving = _translation(reduced, temperature) ** 2
    log_atoms = log_partition("O I", temperature) + 2.0 * log_partition("H I", temperature)
    energy = WATER_ENERGY / (BOLTZMANN_EV * temperature)  # in units of kT
    return moving * fixed.exp(log_atoms - energy) * vibration / rotation
