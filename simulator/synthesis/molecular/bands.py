"""Molecular bands of TiO (γ, γ', δ, ε) and CN (red system): an approximate model.

Rotational lines follow from spectroscopic constants, vibrational strengths from Franck-Condon
factors of Morse oscillators. Heads, shading and temperature dependence are right; single lines are
not: TiO has no isotopes, spin uncoupling or perturbations.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.simulator.kernels.synthesis_bands import band_cross_section
from starsmith.simulator.kernels.synthesis_transfer import Bands
from starsmith.simulator.synthesis.atmosphere import Atmosphere
from starsmith.simulator.synthesis.atomic_constants import (
    AMU,
    BOLTZMANN,
    BOLTZMANN_EV,
    CLASSICAL_CROSS_SECTION,
    HC_OVER_K,
    LIGHT_SPEED,
)
from starsmith.simulator.synthesis.equation_of_state import molecule_densities
from starsmith.simulator.synthesis.molecular.cyanogen import cyanogen_lines
from starsmith.simulator.synthesis.molecular.diatomics import SYSTEMS, system_lines
from starsmith.simulator.synthesis.molecular.franck_condon import franck_condon
from starsmith.simulator.synthesis.molecular.h_band import h_band_lines
from starsmith.simulator.synthesis.molecular.rotational import RotationalLines
from starsmith.simulator.synthesis.molecules import dissociation_constant, molecular_partition
from starsmith.simulator.synthesis.sampling import LINES_COVER
from starsmith.simulator.synthesis.synthesis_tables import numbers, read_table

__all__ = ["MOLECULES", "band_opacity", "band_tables", "molecules_of", "titanium_oxide_lines"]

MOLECULES = {"CN": 26.018, "TiO": 63.866}  # mass [u], of 640-900 nm
OPTICAL = {
    **MOLECULES,
    "CN violet": 26.018,
    "C2": 24.022,
    "CH": 13.019,
    "MgH": 25.313,
    "TiO alpha": 63.866,
}
H_BAND = {"CN": 26.018, "CO": 28.010, "OH": 17.007}
NEAR_INFRARED = 12_000.0  # Å; ranges beyond have the molecules of the H band
TYPICAL_WAVENUMBER = 1.25e4  # 1/cm, 800 nm: of stimulated emission in 640-900 nm
TABLE = "bands.csv"
ATOMS = {"C2": ("C", "C"), "CH": ("C", "H"), "OH": ("O", "H"), "MgH": ("Mg", "H")}
THETA = np.arange(0.7, 3.0, 0.1)  # 5040/T of the tables' rows
EV_PER_WAVENUMBER = BOLTZMANN_EV * HC_OVER_K  # [eV cm]
J_MAX = 150  # beyond, Boltzmann factors at 7000 K are negligible
V_MAX = 6  # vibrational levels of each state
SPEEDS = (0.7, 1.4, 2.8)  # microturbulence of the tables, of equal ratio [km/s]
NEGLIGIBLE = 1e-3  # bands weaker than this fraction of the continuum are left out


def titanium_oxide_lines() -> RotationalLines:
    """Rotational lines of every TiO system in ``bands.csv``, each spin component a singlet."""
    columns = [name for name in read_table(TABLE) if name not in ("molecule", "system")]
    table = np.array([numbers(TABLE, name) for name in columns]).T
    parts = [_component_lines(dict(zip(columns, row, strict=True))) for row in table]
    return RotationalLines(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _component_lines(c: dict[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wavenumbers, gf and lower energies of one spin component."""
    low = (c["we_low"], c["wexe_low"], c["be_low"], c["ae_low"])
    up = (c["we_up"], c["wexe_up"], c["be_up"], c["ae_up"])
    overlap = franck_condon(low, up, 48.0 * 16.0 / 64.0, V_MAX)  # reduced mass of 48Ti 16O [u]
    v = np.arange(V_MAX)
    vibration = [s[0] * v - s[1] * v * (v + 1.0) for s in (low, up)]  # above v = 0
    rotation = [s[2] - s[3] * (v + 0.5) for s in (low, up)]  # B of each level [1/cm]
    # D = 4 B³/ω² (Kratzer)
    stretch = [4.0 * b**3 / s[0] ** 2 for b, s in zip(rotation, (low, up), strict=True)]
    j = np.arange(3.0, J_MAX)  # ³Δ₃ begins at J = 3
    jj = j * (j + 1.0)
    rotor = rotation[0][:, None] * jj - stretch[0][:, None] * jj**2
    weight = 2.0  # Λ doublet
    wavenumber, gf, energy = [], [], []
    for low_v in range(V_MAX):
        for up_v in range(V_MAX):
            band = c["origin"] + vibration[1][up_v] - vibration[0][low_v]
            strength = c["f"] * overlap[up_v, low_v] * band / c["origin"]
            for step, share in enumerate(honl_london(j, c["lambda_low"], c["lambda_up"]), start=-1):
                k = j + step  # J of the upper level
                upper = rotation[1][up_v] * k * (k + 1.0) - stretch[1][up_v] * (k * (k + 1.0)) ** 2
                wavenumber.append(band + upper - rotor[low_v])
                gf.append(strength * weight * (2.0 * j + 1.0) * share)
                energy.append((c["term"] + vibration[0][low_v] + rotor[low_v]) * EV_PER_WAVENUMBER)
    return np.concatenate(wavenumber), np.concatenate(gf), np.concatenate(energy)


def honl_london(j: np.ndarray, lower: float, upper: float) -> list[np.ndarray]:
    """Shares of the P, Q and R lines leaving level J, summing to one, for Λ' = Λ'' ± 1."""
    m = lower if upper > lower else -lower  # ΔΛ = +1, or -1 with the sign of Λ turned
    total = 2.0 * (2.0 * j + 1.0)  # the three branches sum to one
    p = (j - 1.0 - m) * (j - m) / j
    q = (j + 1.0 + m) * (j - m) * (2.0 * j + 1.0) / (j * (j + 1.0))
    r = (j + 2.0 + m) * (j + 1.0 + m) / (j + 1.0)
    return [p / total, q / total, r / total]


def molecules_of(wave_min: float, wave_max: float) -> dict[str, float]:
    """Band systems that act in a range [Å], and the masses of their molecules [u]."""
    if wave_min > NEAR_INFRARED:
        return H_BAND
    inside = LINES_COVER[0] <= wave_min and wave_max <= LINES_COVER[1]
    return MOLECULES if inside else OPTICAL


def speeds_of(systems: tuple[str, ...]) -> tuple[float, ...]:
    """Microturbulence of the tables of some systems [km/s]; one where they would fill memory."""
    return SPEEDS if systems == tuple(MOLECULES) else SPEEDS[1:2]


def _lines_of(system: str) -> RotationalLines:
    if system in SYSTEMS:
        return system_lines(system)
    if system in ("CO", "OH"):
        return h_band_lines(system)
    return cyanogen_lines() if system == "CN" else titanium_oxide_lines()


class BandTables(NamedTuple):
    """Cross-sections of some systems per molecule over partition function [1e-20 cm²].

    Attributes
    ----------
    values : float32, shape (n_system * n_speed, n_row, n_wave)
    peaks : float64, shape (n_system, n_row)
        Largest at the least speed, at which lines are tallest, in a row or the next.
    """

    values: np.ndarray
    peaks: np.ndarray


@lru_cache(maxsize=2)
def band_tables(
    wave_min: float, step: float, n_wave: int, systems: tuple[str, ...] = tuple(MOLECULES)
) -> BandTables:
    """Cross-sections of the ``systems`` in turn, each at all its `speeds_of`, at `THETA`.

    The grid starts at ``wave_min`` [Å] with ``step`` in ln λ.
    """
    temperature = 5040.0 / THETA  # [K]
    speeds, masses = speeds_of(systems), {**OPTICAL, **H_BAND}
    tables = np.empty((len(systems), len(speeds), THETA.size, n_wave), dtype=np.float32)
    for i, system in enumerate(systems):
        mass = masses[system]
        wavenumber, gf, energy = _fields(_lines_of(system))
        # in steps of the grid; 1e8: 1/cm to Å
        position = fixed.log(1e8 / np.maximum(wavenumber, 1.0) / wave_min) / step
        # lines 50 steps outside still reach in
        inside = (position > -50.0) & (position < n_wave + 50.0)
        # ∫σ dν = πe²/mc f; dν = c ν̃ d(ln λ)
        # 1e20: float32 tables hold it without underflow
        strength = CLASSICAL_CROSS_SECTION * gf / (LIGHT_SPEED * wavenumber * step) * 1e20
        # [km²/s²]; 1e-10: cm²/s² to km²/s²
        thermal = 2.0 * BOLTZMANN * temperature / (mass * AMU) * 1e-10
        for place, speed in enumerate(speeds):
            tables[i, place] = band_cross_section(
                position[inside],
                strength[inside],
                energy[inside],
                1.0 / (BOLTZMANN_EV * temperature),
                np.sqrt(thermal + speed**2) / (LIGHT_SPEED_KM_S * step),
                n_wave,
            )
    peaks = tables[:, 0].max(axis=-1).astype(np.float64)
    peaks = np.maximum(peaks, np.concatenate([peaks[:, 1:], peaks[:, -1:]], axis=1))
    return BandTables(tables.reshape(-1, THETA.size, n_wave), peaks)


def _fields(lines: RotationalLines) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return lines.wavenumber, lines.gf, lines.energy


def band_opacity(
    atmosphere: Atmosphere,
    tables: BandTables,
    continuum: np.ndarray,
    systems: tuple[str, ...] = tuple(MOLECULES),
    wavenumber: float = TYPICAL_WAVENUMBER,
) -> Bands:
    """Band opacities of an atmosphere for the formal solution.

    ``tables`` from `band_tables`; ``continuum`` (n_depth,) continuous opacity over the standard
    one, below which bands are dropped depth by depth; ``wavenumber`` [1/cm] of the range's
    middle, for stimulated emission.
    """
    gas = atmosphere.gas
    found = _densities(atmosphere, systems)
    # just below the last row, so that row + 1 exists
    theta = np.clip(5040.0 / gas.temperature, THETA[0], THETA[-1] - 1e-9)
    place = (theta - THETA[0]) / (THETA[1] - THETA[0])
    # linear interpolation in θ between row and row + 1
    row = np.minimum(place.astype(np.int64), THETA.size - 2)
    speeds = speeds_of(systems)
    amount = np.empty((len(systems), theta.size))
    for i, molecule in enumerate(system.split()[0] for system in systems):
        per_state = found[molecule] / molecular_partition(molecule, gas.temperature)
        stimulated = -fixed.expm1(-HC_OVER_K * wavenumber / gas.temperature)
        # undoes the 1e20 of the tables
        column = 1e-20 * per_state * stimulated / (atmosphere.opacity * gas.density)
        amount[i] = np.where(column * tables.peaks[i, row] > NEGLIGIBLE * continuum, column, 0.0)
    return Bands(
        table=tables.values,
        amount=amount,
        row=row,
        fraction=place - row,
        share=_shares(atmosphere.microturbulence, speeds),
    )


def _shares(speed: float, speeds: tuple[float, ...]) -> np.ndarray:
    """Weights of `band_tables` at a microturbulence [km/s]: a parabola in its logarithm.

    It has no kinks, which the splines of a grid could not follow; held beyond the tables.
    """
    if len(speeds) == 1:
        return np.ones(1)
    inside = min(max(speed, speeds[0]), speeds[-1])
    t = math.log(inside / speeds[0]) / math.log(speeds[-1] / speeds[0])
    return np.array([(1.0 - t) * (1.0 - 2.0 * t), 4.0 * t * (1.0 - t), t * (2.0 * t - 1.0)])


def _densities(atmosphere: Atmosphere, systems: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Molecules of some systems [1/cm³]; those that bind little of their atoms by mass action."""
    gas = atmosphere.gas
    found = molecule_densities(gas)
    for molecule in {system.split()[0] for system in systems} - set(found):
        atoms = ATOMS[molecule]
        if atoms[0] == "Mg":
            row = gas.composition.index("Mg")
            first = gas.n_nuclei * gas.composition.ratio[row] * (1.0 - gas.ionised[row])
        else:
            first = found[f"{atoms[0]} I"]
        second = gas.n_hydrogen if atoms[1] == "H" else found[f"{atoms[1]} I"]
        found[molecule] = first * second / dissociation_constant(molecule, gas.temperature)
    return found
