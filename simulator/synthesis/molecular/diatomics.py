"""Rotational lines of CN violet, C2 Swan, CH, MgH and TiO α: an approximate model.

Levels are those of a vibrating rotor without spin; strengths are Hönl & London's and
Franck-Condon factors of Morse oscillators, scaled to the f of the 0-0 band. Heads and shading are
right to an Å or two, single lines are not.
"""

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.synthesis.atomic_constants import BOLTZMANN_EV, HC_OVER_K
from starsmith.simulator.synthesis.molecular.franck_condon import franck_condon
from starsmith.simulator.synthesis.molecular.rotational import RotationalLines
from starsmith.simulator.synthesis.synthesis_tables import numbers, read_table

__all__ = ["SYSTEMS", "system_lines"]

TABLE = "wide/systems.csv"
EV_PER_WAVENUMBER = BOLTZMANN_EV * HC_OVER_K  # [eV cm]
V_MAX = 6  # vibrational levels of each state
N_MAX = {"CH": 40, "MgH": 60}  # rotational quantum number, 120 of others
SMALLEST = 1e-7  # of the strongest gf times Boltzmann factor at 4500 K
SYSTEMS = ("CN violet", "C2", "CH", "MgH", "TiO alpha")


def system_lines(system: str) -> RotationalLines:
    """Lines of one of `SYSTEMS`."""
    place = read_table(TABLE)["system"].index(system)
    columns = [name for name in read_table(TABLE) if name != "system"]
    c = {name: float(numbers(TABLE, name)[place]) for name in columns}
    low = (c["we_low"], c["wexe_low"], c["be_low"], c["ae_low"])
    up = (c["we_up"], c["wexe_up"], c["be_up"], c["ae_up"])
    reduced = c["mass1"] * c["mass2"] / (c["mass1"] + c["mass2"])  # [u]
    overlap = franck_condon(low, up, reduced, V_MAX)
    v = np.arange(V_MAX)
    vibration = [s[0] * v - s[1] * v * (v + 1.0) for s in (low, up)]  # above v = 0
    rotation = [s[2] - s[3] * (v + 0.5) for s in (low, up)]  # B of each level [1/cm]
    stretch = [4.0 * s[2] ** 3 / s[0] ** 2 for s in (low, up)]  # D (Kratzer)
    first = max(c["lambda_low"], c["lambda_up"])
    n = np.arange(first + 1.0, N_MAX.get(system, 120))
    shares = _shares(n, c["lambda_low"], c["lambda_up"])
    parts = []
    for low_v in range(V_MAX):
        rotor = _rotor(n, rotation[0][low_v], stretch[0])
        energy = (c["term"] + vibration[0][low_v] + rotor) * EV_PER_WAVENUMBER
        for up_v in range(V_MAX):
            band = c["origin"] + vibration[1][up_v] - vibration[0][low_v]
            f = c["f00"] * overlap[up_v, low_v] / overlap[0, 0] * band / c["origin"]
            for step, share in enumerate(shares, start=-1):
                upper = _rotor(n + step, rotation[1][up_v], stretch[1])
                gf = f * c["weight"] * (2.0 * n + 1.0) * share
                parts.append((band + upper - rotor, gf, energy))
    wavenumber, gf, energy = (np.concatenate(column) for column in zip(*parts, strict=True))
    seen = gf * fixed.exp(-energy / (BOLTZMANN_EV * 4500.0))
    keep = (seen > SMALLEST * seen.max()) & (wavenumber > 0)
    return RotationalLines(wavenumber[keep], gf[keep], energy[keep])


def _rotor(n: np.ndarray, rotation: float, stretch: float) -> np.ndarray:
    nn = n * (n + 1.0)
    return rotation * nn - stretch * nn**2


def _shares(n: np.ndarray, lower: float, upper: float) -> list[np.ndarray]:
    """Shares of P, Q and R lines leaving level N, summing to one (Herzberg 1950, IV.83)."""
    total = 2.0 * n + 1.0
    if lower == upper:
        p = (n - lower) * (n + lower) / n
        q = lower**2 * total / (n * (n + 1.0))
        r = (n + 1.0 - lower) * (n + 1.0 + lower) / (n + 1.0)
        return [p / total, q / total, r / total]
    p = (n - 1.0 - lower) * (n - lower) / n  # Λ' = Λ'' + 1
    q = (n + 1.0 + lower) * (n - lower) * total / (n * (n + 1.0))
    r = (n + 2.0 + lower) * (n + 1.0 + lower) / (n + 1.0)
    return [p / (2.0 * total), q / (2.0 * total), r / (2.0 * total)]
