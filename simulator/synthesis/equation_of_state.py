"""Ionisation and molecules of a gas at given temperature and pressure, in LTE.

Saha-Boltzmann for every element of `elements.csv` (Hubeny & Mihalas 2014, ch. 4); electrons and H2
together fix the pressure, the trace molecules follow.
"""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.kernels.synthesis_gas import fill_electrons, fill_free_atoms
from starsmith.simulator.synthesis.atomic_constants import (
    AMU,
    BOLTZMANN,
    BOLTZMANN_EV,
    ELECTRON_MASS,
    PLANCK,
)
from starsmith.simulator.synthesis.composition import Composition, log_partition
from starsmith.simulator.synthesis.molecules import dissociation_constant, water_constant

__all__ = ["H_MINUS_AFFINITY", "Gas", "molecule_densities", "saha", "solve_gas"]

H_MINUS_AFFINITY = 0.75420  # [eV] (Lykke et al. 1991)
# whose atoms molecules take away, and the molecules of two atoms that do; hydrides bind to H alone
BOUND, PAIRS = ("C", "N", "O", "Si", "Ti"), ("CO", "CN", "TiO", "N2", "C2", "SiO")
HYDRIDES = ("CH", "NH", "OH")


@dataclass(frozen=True)
class Gas:
    """State of the gas; every array has the same shape except where noted.

    Attributes
    ----------
    temperature, pressure : float64
        [K], gas pressure [dyn/cm²].
    n_electron, n_hydrogen, n_proton, n_h2 : float64
        Electrons, neutral hydrogen atoms, protons, H2 [1/cm³].
    n_nuclei : float64
        Hydrogen nuclei in any form [1/cm³].
    ionised : float64, shape (n_element, ...)
        Fraction of each element's atoms that have lost one electron.
    composition : Composition
    """

    temperature: np.ndarray
    pressure: np.ndarray
    n_electron: np.ndarray
    n_hydrogen: np.ndarray
    n_proton: np.ndarray
    n_h2: np.ndarray
    n_nuclei: np.ndarray
    ionised: np.ndarray
    composition: Composition

    @property
    def density(self) -> np.ndarray:
        """Mass density [g/cm³]."""
        return self.n_nuclei * self.composition.mass_per_hydrogen * AMU

    @property
    def n_helium(self) -> np.ndarray:
        """Helium nuclei [1/cm³]."""
        return self.n_nuclei * self.composition.ratio[self.composition.index("He")]

    @property
    def n_h_minus(self) -> np.ndarray:
        """Negative hydrogen ions [1/cm³]."""
        return self.n_hydrogen * self.n_electron * h_minus_factor(self.temperature)


def electron_translation(temperature: np.ndarray) -> np.ndarray:
    """(2π m_e k T/h²)^1.5 [1/cm³]."""
    return fixed.power(2.0 * np.pi * ELECTRON_MASS * BOLTZMANN * temperature / PLANCK**2, 1.5)


def h_minus_factor(temperature: np.ndarray) -> np.ndarray:
    """n(H-) / (n(H) n_e) [cm³]; weights are 1 for H- and 2 for H and the electron."""
    # the level lies below the continuum: plus sign
    boltzmann = fixed.exp(H_MINUS_AFFINITY / (BOLTZMANN_EV * temperature))
    # weights 1 (H-) over 2 (H) x 2 (e-)
    return 0.25 * boltzmann / electron_translation(temperature)


def saha(elements: tuple[str, ...], energy: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """n(II) n_e / n(I) [1/cm³] of elements with ionisation energies [eV], (n_element, ...)."""
    both = (*(f"{name} II" for name in elements), *(f"{name} I" for name in elements))
    log_u = log_partition(both, temperature)
    log_ratio = log_u[: len(elements)] - log_u[len(elements) :]
    energy = np.asarray(energy).reshape(-1, *[1] * np.ndim(temperature))
    boltzmann = fixed.exp(log_ratio - energy / (BOLTZMANN_EV * temperature))
    return 2.0 * electron_translation(temperature) * boltzmann  # 2: spin of the electron


def solve_gas(temperature: np.ndarray, pressure: np.ndarray, gas: Composition) -> Gas:
    """Solve charge and particle conservation at each point.

    Parameters
    ----------
    temperature, pressure : float64, shape (n_point,)
        [K], [dyn/cm²].
    gas : Composition

    Returns
    -------
    Gas
        Bisection in ln n_e, so it cannot fail; H2 is a quadratic for neutral hydrogen.
    """
    temperature, pressure = np.broadcast_arrays(
        np.asarray(temperature, dtype=np.float64), np.asarray(pressure, dtype=np.float64)
    )
    total = pressure / (BOLTZMANN * temperature)  # all particles [1/cm³]
    constants = saha(gas.elements, gas.ionisation, temperature)  # n(II) n_e / n(I) [1/cm³]
    h2 = dissociation_constant("H2", temperature)  # n(H)² / n(H2) [1/cm³]
    attach = h_minus_factor(temperature)
    n_electron, hydrogen = np.empty((2, total.size))
    fill_electrons(n_electron, hydrogen, total, constants, gas.ratio, (h2, attach))
    protons = constants[0] / n_electron  # per neutral atom
    return Gas(
        temperature=temperature,
        pressure=pressure,
        n_electron=n_electron,
        n_hydrogen=hydrogen,
        n_proton=hydrogen * protons,
        n_h2=hydrogen**2 / h2,
        n_nuclei=hydrogen * (1.0 + protons) + 2.0 * hydrogen**2 / h2,  # H I + H II + 2 H2
        ionised=constants / (constants + n_electron),
        composition=gas,
    )


def molecule_densities(state: Gas, n_sweep: int = 30) -> dict[str, np.ndarray]:
    """CO, CN, TiO and what competes with them for C, N, O, Si and Ti [1/cm³].

    Keys: molecule names and free neutral atoms ``"C I"`` ... ``"Ti I"``.
    """
    t, h, gas = state.temperature, state.n_hydrogen, state.composition
    k = {m: dissociation_constant(m, t) for m in PAIRS + HYDRIDES}
    rows = [gas.index(e) for e in BOUND]
    nuclei = state.n_nuclei * gas.ratio[rows][:, None]  # in whatever form [1/cm³]
    # all free nuclei of an element per neutral atom
    ions = 1.0 / (1.0 - state.ionised[rows])
    water = h**2 / water_constant(t)  # n(H2O) per free O I
    alone = ions.copy()
    alone[:3] += [h / k[m] for m in HYDRIDES]
    alone[2] += water
    atoms = nuclei / ions  # the first guess knows no molecules
    fill_free_atoms(atoms, nuclei, alone, np.array([k[m] for m in PAIRS]), n_sweep)
    free = dict(zip(BOUND, atoms, strict=True))
    pairs = {"CO": ("C", "O"), "CN": ("C", "N"), "TiO": ("Ti", "O"), "SiO": ("Si", "O")}
    found = {m: free[a] * free[b] / k[m] for m, (a, b) in pairs.items()}
    found["H2O"] = free["O"] * water
    return found | {f"{e} I": density for e, density in free.items()}
