"""Ionisation and molecules of a gas at given temperature and pressure, in LTE.

Saha-Boltzmann for every element of `elements.csv` (Hubeny & Mihalas 2014, ch. 4); electrons and H2
together fix the pressure, the trace molecules follow.
"""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract import fixed_math as fixed
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
N_BISECTION = 50  # ln n_e to 60/2^50


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


def saha(element: str, energy: float, temperature: np.ndarray) -> np.ndarray:
    """n(II) n_e / n(I) [1/cm³] of an element with ionisation energy [eV], any shape."""
    log_ratio = log_partition(f"{element} II", temperature) - log_partition(
        f"{element} I", temperature
    )
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
    constants = np.array(  # n(II) n_e / n(I), shape (n_element, n_layer) [1/cm³]
        [saha(e, x, temperature) for e, x in zip(gas.elements, gas.ionisation, strict=True)]
    )
    h2 = dissociation_constant("H2", temperature)  # n(H)² / n(H2) [1/cm³]
    attach = h_minus_factor(temperature)
    metals = gas.ratio[1:]  # hydrogen is row 0

    def partition(n_electron: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Neutral H, hydrogen nuclei and ionised fractions at a trial electron density."""
        ionised = constants / (constants + n_electron)
        hydrogen = neutral_hydrogen(total - n_electron, constants[0] / n_electron, h2, metals.sum())
        # H I + H II + 2 H2
        nuclei = hydrogen * (1.0 + constants[0] / n_electron) + 2.0 * hydrogen**2 / h2
        return hydrogen, nuclei, ionised

    # at most half of all particles are electrons
    low, high = fixed.log(total) - 60.0, fixed.log(total * 0.5)
    for _ in range(N_BISECTION):
        middle = 0.5 * (low + high)  # in ln n_e: electrons span twenty decades
        n_electron = fixed.exp(middle)
        hydrogen, nuclei, ionised = partition(n_electron)
        donated = hydrogen * constants[0] / n_electron + nuclei * (
            fixed.matmul(metals, ionised[1:])
        )
        # charge: donors must pay for free electrons and for H-
        short = donated > n_electron + hydrogen * n_electron * attach
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    n_electron = fixed.exp(0.5 * (low + high))
    hydrogen, nuclei, ionised = partition(n_electron)
    return Gas(
        temperature=temperature,
        pressure=pressure,
        n_electron=n_electron,
        n_hydrogen=hydrogen,
        n_proton=hydrogen * constants[0] / n_electron,
        n_h2=hydrogen**2 / h2,
        n_nuclei=nuclei,
        ionised=ionised,
        composition=gas,
    )


def neutral_hydrogen(
    heavy: np.ndarray, proton_ratio: np.ndarray, h2: np.ndarray, others: float
) -> np.ndarray:
    """Neutral hydrogen atoms among ``heavy`` particles [1/cm³].

    h (1 + φ)(1 + A) + (h²/K)(1 + 2A) = heavy, with φ protons per atom, K of H2 and A other nuclei
    per hydrogen nucleus.
    """
    a = (1.0 + 2.0 * others) / h2  # of a x² + b x = heavy, with x = n(H I)
    b = (1.0 + proton_ratio) * (1.0 + others)
    # the root that does not cancel where molecules are few
    return 2.0 * heavy / (b + np.sqrt(b**2 + 4.0 * a * heavy))


def molecule_densities(state: Gas, n_sweep: int = 30) -> dict[str, np.ndarray]:
    """CO, CN, TiO and what competes with them for C, N, O, Si and Ti [1/cm³].

    Gauss-Seidel over the elements; the stiff pair C and O is solved together through CO. Keys:
    molecule names and free neutral atoms ``"C I"`` ... ``"Ti I"``.
    """
    t, h = state.temperature, state.n_hydrogen
    k = {m: dissociation_constant(m, t) for m in ("CO", "CN", "TiO", "OH", "CH", "NH", "N2")}
    k |= {m: dissociation_constant(m, t) for m in ("C2", "SiO")}
    gas = state.composition
    # in whatever form [1/cm³]
    nuclei = {e: state.n_nuclei * gas.ratio[gas.index(e)] for e in ("C", "N", "O", "Si", "Ti")}
    # all free nuclei of an element per neutral atom
    ions = {e: 1.0 / (1.0 - state.ionised[gas.index(e)]) for e in nuclei}
    # neutral atoms; the first guess knows no molecules
    free = {e: nuclei[e] / ions[e] for e in nuclei}
    water = h**2 / water_constant(t)  # n(H2O) per free O I
    # bound in hydrides, per free atom
    hydrides = {"C": h / k["CH"], "N": h / k["NH"], "O": h / k["OH"] + water}
    for _ in range(n_sweep):  # each element in turn, the others as they were
        free["Si"] = nuclei["Si"] / (ions["Si"] + free["O"] / k["SiO"])
        free["Ti"] = nuclei["Ti"] / (ions["Ti"] + free["O"] / k["TiO"])
        alone = ions["N"] + hydrides["N"] + free["C"] / k["CN"]
        # N2 makes it quadratic
        free["N"] = 2.0 * nuclei["N"] / (alone + np.sqrt(alone**2 + 8.0 * nuclei["N"] / k["N2"]))
        carbon = ions["C"] + hydrides["C"] + free["N"] / k["CN"] + 2.0 * free["C"] / k["C2"]
        oxygen = ions["O"] + hydrides["O"] + free["Si"] / k["SiO"] + free["Ti"] / k["TiO"]
        # CO locks up the scarcer of the two: solved together
        free["C"], free["O"] = _solve_pair(nuclei["C"], nuclei["O"], carbon, oxygen, k["CO"])
    pairs = {"CO": ("C", "O"), "CN": ("C", "N"), "TiO": ("Ti", "O"), "SiO": ("Si", "O")}
    found = {m: free[a] * free[b] / k[m] for m, (a, b) in pairs.items()}
    found["H2O"] = free["O"] * water
    return found | {f"{e} I": density for e, density in free.items()}


def _solve_pair(
    n_a: np.ndarray, n_b: np.ndarray, a: np.ndarray, b: np.ndarray, k: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Free x, y with a x + x y/k = n_a and b y + x y/k = n_b, without cancellation."""
    half = a * b * k + n_b - n_a
    root = np.sqrt(half**2 + 4.0 * a * b * k * n_a)
    # whichever form of the root does not cancel
    x = np.where(half > 0.0, 2.0 * b * k * n_a / (half + root), (root - half) / (2.0 * a))
    return x, n_b / (b + x / k)
