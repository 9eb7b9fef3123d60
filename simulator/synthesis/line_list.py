"""Atomic lines: the packaged list, their opacities and widths at every depth."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import gamma as gamma_function

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.simulator.kernels.synthesis_lines import fill_lines
from starsmith.simulator.kernels.synthesis_transfer import Lines
from starsmith.simulator.synthesis.atmosphere import Atmosphere
from starsmith.simulator.synthesis.atomic_constants import (
    AMU,
    BOHR_RADIUS,
    BOLTZMANN,
    BOLTZMANN_EV,
    CLASSICAL_CROSS_SECTION,
    HC_OVER_K,
    RYDBERG_EV,
)
from starsmith.simulator.synthesis.composition import composition, log_partition
from starsmith.simulator.synthesis.synthesis_tables import numbers, read_table

__all__ = ["LineList", "layer_cut", "line_list", "line_opacity"]

TABLE = "lines.csv"
SECOND_IONISATION = {
    "Mg": 15.035,
    "Ca": 11.872,
    "Fe": 16.199,
    "Ti": 13.576,
    "Ba": 10.004,
}  # [eV] NIST
CUT = 3e-4  # a profile ends where it falls below this fraction of the continuum
TOP_CUT = 3e-5  # and where it adds less than this optical depth to the layers above


@dataclass(frozen=True)
class LineList:
    """Lines in a wavelength range, sorted; every array has shape (n_line,).

    Attributes
    ----------
    species : tuple of str
        Such as ``"Ca II"``.
    wave : float64
        Vacuum wavelength [Å].
    e_low : float64
        Energy of the lower level [eV].
    gf : float64
        Oscillator strength times lower statistical weight.
    gamma_rad, gamma_stark, gamma_vdw : float64
        Damping: [rad/s], and per electron or hydrogen atom at 10⁴ K [rad cm³/s].
    abo_sigma, abo_alpha : float64
        Collisions with hydrogen: cross-section at 10 km/s [a0²], velocity exponent; NaN if unknown.
    """

    species: tuple[str, ...]  # such as Fe I
    wave: np.ndarray
    e_low: np.ndarray
    gf: np.ndarray
    gamma_rad: np.ndarray
    gamma_stark: np.ndarray
    gamma_vdw: np.ndarray
    abo_sigma: np.ndarray
    abo_alpha: np.ndarray

    @cached_property
    def kinds(self) -> tuple[list[str], np.ndarray]:
        """Species that occur, and which of them each line is of, (n_line,)."""
        names = sorted(set(self.species))
        place = {name: i for i, name in enumerate(names)}
        return names, np.array([place[name] for name in self.species], dtype=np.int64)

    @cached_property
    def mass(self) -> np.ndarray:
        """Mass of each line's atom [u], (n_line,)."""
        gas, (names, row) = composition(), self.kinds
        mass = [gas.mass[gas.index(name.split()[0])] for name in names]
        return np.array(mass, dtype=np.float64)[row]

    @cached_property
    def fixed_parts(self) -> np.ndarray:
        """What `fill_lines` reads of the lines and no star changes, (8, n_line)."""
        # 1e-13: Å to cm and km to cm
        cross_section = CLASSICAL_CROSS_SECTION * self.gf * self.wave * 1e-13 / math.sqrt(math.pi)
        thermal = 2.0 * BOLTZMANN / (self.mass * AMU) * 1e-10  # [km²/s²/K]
        at_one = abo_width(self.abo_sigma, self.abo_alpha, self.mass, np.ones(self.mass.size))
        return np.array(
            [
                cross_section,
                thermal,
                self.wave * 1e-13 / (4.0 * np.pi),  # Voigt a = γλ/(4πv)
                self.gamma_rad,
                self.gamma_stark,
                self.gamma_vdw,
                at_one,
                0.5 * (1.0 - self.abo_alpha),
            ]
        )


@lru_cache(maxsize=4)
def line_list(wave_min: float, wave_max: float) -> LineList:
    """Packaged lines between two vacuum wavelengths [Å]; missing damping is estimated."""
    table = read_table(TABLE)
    wave = air_to_vacuum(numbers(TABLE, "wave_air"))  # tables of optical lines state air
    rows = np.flatnonzero((wave >= wave_min) & (wave <= wave_max))
    rows = rows[np.argsort(wave[rows], kind="stable")]
    species = tuple(table["species"][row] for row in rows)
    wave, e_low = wave[rows], numbers(TABLE, "e_low")[rows]
    known = {
        name: fixed.power(10.0, numbers(TABLE, f"log_gamma_{name}")[rows])
        for name in ("rad", "stark", "vdw")
    }
    guess = estimated_damping(species, wave, e_low)
    abo = np.array(
        [
            [float(part) for part in text.split(".")] if text else [np.nan] * 2
            for text in table["abo"]  # σ.α in one number, as Barklem & O'Mara print it
        ]
    )[rows]
    damping = {name: np.where(np.isnan(known[name]), guess[name], known[name]) for name in known}
    return LineList(
        species=species,
        wave=wave,
        e_low=e_low,
        gf=fixed.power(10.0, numbers(TABLE, "log_gf")[rows]),
        gamma_rad=damping["rad"],
        gamma_stark=damping["stark"],
        gamma_vdw=damping["vdw"],
        abo_sigma=abo[:, 0],
        abo_alpha=abo[:, 1] / 1000.0,  # printed in thousandths
    )


def estimated_damping(
    species: tuple[str, ...], wave: np.ndarray, e_low: np.ndarray
) -> dict[str, np.ndarray]:
    """Damping constants for lines without measured ones, keys ``rad``, ``stark``, ``vdw``.

    Classical radiation damping; Stark widths of Cowley (1971, Observatory 91, 139); van der Waals
    of Unsöld (1955) with hydrogenic radii, as in Kurucz & Avrett (1981).
    """
    energies = dict(
        zip(
            read_table("elements.csv")["element"],
            numbers("elements.csv", "ionisation_ev"),
            strict=True,
        )
    )
    # of the core that the electron sees
    charge = np.array([1.0 if name.endswith(" I") else 2.0 for name in species])
    limit = np.array(  # ionisation energy [eV]; 16 where none is listed
        [
            energies[name.split()[0]] if z == 1.0 else SECOND_IONISATION.get(name.split()[0], 16.0)
            for name, z in zip(species, charge, strict=True)
        ]
    )
    # binding energy of a level; 0.3 keeps autoionising ones finite [eV]
    lower = np.maximum(limit - e_low, 0.3)
    upper = np.maximum(lower - 12398.42 / wave, 0.3)  # 12398.42: hc [eV Å]
    # effective quantum numbers squared
    n2_upper, n2_lower = RYDBERG_EV * charge**2 / upper, RYDBERG_EV * charge**2 / lower
    radius2_upper = 2.5 * (n2_upper / charge) ** 2  # <r²> of the level [a0²], hydrogenic
    radius2_lower = 2.5 * (n2_lower / charge) ** 2
    return {
        "rad": 2.223e15 / wave**2,  # classical damping, 0.2223/λ² with λ in cm
        # per electron at 10⁴ K (Cowley 1971)
        "stark": 1.0e-8 * fixed.power(n2_upper, 2.5) * np.where(charge == 1.0, 1.0, 0.5),
        # per H atom at 10⁴ K (Unsöld)
        "vdw": 4.5e-9 * fixed.power(np.maximum(radius2_upper - radius2_lower, 1.0), 0.4),
    }


def line_opacity(
    lines: LineList,
    atmosphere: Atmosphere,
    least: np.ndarray,
    grid: tuple[float, float],
) -> Lines:
    """Profiles of every line at every depth, in units of the standard opacity.

    Damping by hydrogen follows Anstee, Barklem & O'Mara (1998) where known, else γ ∝ T^0.3;
    helium and H2 count as 0.42 and 0.85 of an atom.

    Parameters
    ----------
    lines : LineList
    atmosphere : Atmosphere
    least : float64, shape (n_line, n_depth)
        Opacity over the standard one that matters: a profile ends below it.
    grid : (float, float)
        First wavelength [Å] and step in ln λ of the fine grid.

    Returns
    -------
    Lines
    """
    gas, names = atmosphere.gas, lines.kinds[0]
    standard = atmosphere.opacity * gas.density
    ions = (ion_densities(tuple(names), atmosphere) / standard)[lines.kinds[1]]
    warm = gas.temperature / 1e4  # in 10⁴ K
    # H with He and H2 by polarisability and speed [1/cm³]
    perturbers = gas.n_hydrogen + 0.42 * gas.n_helium + 0.85 * gas.n_h2
    layers = np.array(
        [
            gas.temperature,
            gas.n_electron * fixed.power(warm, 1.0 / 6.0),
            perturbers,
            fixed.power(warm, 0.3),  # relative speed to the 0.6
            np.full(warm.size, atmosphere.microturbulence**2),
        ]
    )
    energy = (lines.e_low / BOLTZMANN_EV, HC_OVER_K * 1e8 / lines.wave)  # [K]
    found = np.zeros((4, *ions.shape))
    fill_lines(found, energy, lines.fixed_parts, layers, ions, least)
    per_step = 1.0 / (LIGHT_SPEED_KM_S * grid[1])  # steps of the grid per km/s
    width = found[1] * per_step
    return Lines(
        position=fixed.log(lines.wave / grid[0]) / grid[1],
        strength=found[0],
        width=width,
        damping=found[2],
        reach=np.where(found[3] > 0.0, width * found[3], -1.0),
    )


def layer_cut(depth: np.ndarray) -> np.ndarray:
    """Fraction of the continuum that matters at a continuous optical depth, same shape.

    `CUT` where light comes from; more above, where it adds too little to the optical depth, and
    below, where exp(-τ) of its light gets out.
    """
    return np.maximum(CUT * fixed.exp(np.minimum(depth, 60.0) / 2.0), TOP_CUT / depth)


def ion_densities(species: tuple[str, ...], atmosphere: Atmosphere) -> np.ndarray:
    """Atoms or ions over their partition function [1/cm³], shape (n_species, n_depth)."""
    gas = atmosphere.gas
    rows = [gas.composition.index(name.split()[0]) for name in species]
    is_ion = np.array([name.split()[1] == "II" for name in species])[:, None]
    # third stages are too few to count
    fraction = np.where(is_ion, gas.ionised[rows], 1.0 - gas.ionised[rows])
    density = gas.n_nuclei * gas.composition.ratio[rows][:, None] * fraction
    return density / fixed.exp(log_partition(species, gas.temperature))


def abo_width(
    sigma: float | np.ndarray,
    alpha: float | np.ndarray,
    mass: float | np.ndarray,
    temperature: np.ndarray,
) -> np.ndarray:
    """Full width per hydrogen atom [rad cm³/s] for a cross-section [a0²] at 10 km/s."""
    reduced = AMU * mass * 1.008 / (mass + 1.008)  # [g]
    speed = np.sqrt(8.0 * BOLTZMANN * temperature / (np.pi * reduced))  # mean relative speed [cm/s]
    factor = fixed.power(4.0 / np.pi, alpha / 2.0) * gamma_function(2.0 - alpha / 2.0)
    # full width per perturber [rad cm³/s]; σ holds at 10⁴ m/s
    return 2.0 * factor * 1e6 * sigma * BOHR_RADIUS**2 * fixed.power(speed / 1e6, 1.0 - alpha)
