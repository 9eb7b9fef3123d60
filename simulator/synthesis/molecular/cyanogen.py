"""Rotational lines of the CN red system, A 2Π - X 2Σ+.

Levels of A from the 2x2 Hamiltonian of Hill & Van Vleck (1928), between Hund's cases a and b;
constants of Ram et al. (2010, ApJS 188, 500); f00 of Brooke et al. (2014, ApJS 210, 23).
"""

import math
from functools import lru_cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.synthesis.atomic_constants import BOLTZMANN_EV, HC_OVER_K
from starsmith.simulator.synthesis.molecular.franck_condon import franck_condon
from starsmith.simulator.synthesis.molecular.rotational import RotationalLines

__all__ = ["cyanogen_lines", "pi_levels", "wigner_3j"]

# ωe, ωexe, Be, αe and centrifugal distortion De [1/cm]
GROUND = (2068.648, 13.0971, 1.899783, 0.017372)
EXCITED = (1813.288, 12.7779, 1.715770, 0.017166)
GROUND_STRETCH, EXCITED_STRETCH = 6.40e-6, 6.15e-6  # [1/cm]
EXCITED_TERM = 9243.296  # Te of A²Π above X²Σ+ [1/cm]
SPIN_ORBIT = -52.65  # A: inverted doublet [1/cm]
F_00 = 2.37e-3  # oscillator strength of the 0-0 band
REDUCED_MASS = 12.0 * 14.003 / 26.003  # of 12C 14N [u]
V_LOW, V_UP = 7, 10  # vibrational levels taken of X and A
J_MAX = 90  # rotational levels of each, J = 1/2, 3/2, ...
SMALLEST = 1e-9  # lines with less than this gf times Boltzmann factor at 4500 K are dropped


def wigner_3j(j1: float, j2: float, j3: float, m1: float, m2: float, m3: float) -> float:
    """Wigner's 3j symbol by Racah's formula."""
    if m1 + m2 + m3 != 0 or abs(m1) > j1 or abs(m2) > j2 or abs(m3) > j3:
        return 0.0
    if j3 < abs(j1 - j2) or j3 > j1 + j2:
        return 0.0

    def log_factorial(x: float) -> float:
        return math.lgamma(x + 1.0)  # Racah sum in logarithms: factorials of 180 overflow

    triangle = log_factorial(j1 + j2 - j3) + log_factorial(j1 - j2 + j3)
    triangle += log_factorial(-j1 + j2 + j3) - log_factorial(j1 + j2 + j3 + 1)
    for j, m in ((j1, m1), (j2, m2), (j3, m3)):
        triangle += log_factorial(j + m) + log_factorial(j - m)
    first = round(max(0.0, j2 - j3 - m1, j1 - j3 + m2))
    last = round(min(j1 + j2 - j3, j1 - m1, j2 + m2))
    total = 0.0
    for k in range(first, last + 1):
        down = sum(
            log_factorial(x)
            for x in (
                k,
                j1 + j2 - j3 - k,
                j1 - m1 - k,
                j2 + m2 - k,
                j3 - j2 + m1 + k,
                j3 - j1 - m2 + k,
            )
        )
        total += (-1) ** k * math.exp(0.5 * triangle - down)
    return (-1) ** round(j1 - j2 - m3) * total


def pi_levels(
    j: np.ndarray, rotation: float, stretch: float, spin_orbit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Energies (n_j, 2) [1/cm] and states (n_j, 2, 2) of a 2Π state in the basis Ω = 1/2, 3/2.

    H = A L·S + B N² - D N⁴ with N² = [[x, -√(x-1)], [-√(x-1), x-2]], x = (J + 1/2)²; states are
    columns, lowest energy first.
    """
    x = (j + 0.5) ** 2  # Hund case (a) basis: Ω = 1/2, 3/2
    n2 = np.empty((j.size, 2, 2))
    n2[:, 0, 0], n2[:, 1, 1] = x, x - 2.0
    n2[:, 0, 1] = n2[:, 1, 0] = -np.sqrt(x - 1.0)  # spin uncoupling mixes the two
    # N² N²: centrifugal distortion is quadratic in N²
    squared = np.sum(n2[:, :, :, None] * n2[:, None, :, :], axis=2)
    hamiltonian = rotation * n2 - stretch * squared
    hamiltonian += np.diag([-0.5 * spin_orbit, 0.5 * spin_orbit])
    return _symmetric_states(hamiltonian)


def _symmetric_states(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (n, 2) and eigenvectors (n, 2, 2) of symmetric matrices (n, 2, 2), by formula.

    λ = m ± r with m = (a + d) / 2, r = hypot((a - d) / 2, b); the vector is (b, λ - a) or
    (λ - d, b), whichever does not cancel.
    """
    a, b, d = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]
    half = 0.5 * (a - d)  # eigenvectors in closed form: LAPACK differs in bits between machines
    radius = np.hypot(half, b)
    long = np.abs(half) + radius
    norm = np.hypot(long, b)
    major, minor = long / norm, b / norm
    first = half < 0.0  # the lower state lies mostly along the first basis vector
    lower = np.where(first, [major, -minor], [-minor, major])
    upper = np.where(first, [minor, major], [major, minor])
    middle = 0.5 * (a + d)
    energy = np.stack([middle - radius, middle + radius], axis=1)
    return energy, np.stack([lower.T, upper.T], axis=2)


@lru_cache(maxsize=1)
def direction_amplitudes() -> np.ndarray:
    """Amplitudes X (J, Σ) to A (J', Ω'), shape (J_MAX, 3, 2): J' - J = -1, 0, 1; Ω' = 1/2, 3/2."""
    amplitudes = np.zeros((J_MAX, 3, 2))
    for i in range(J_MAX):
        j = i + 0.5
        for s in range(3):
            k = j + s - 1
            if k < 0.5:  # no such level
                continue
            scale = math.sqrt((2 * k + 1) * (2 * j + 1))
            sign = (-1) ** round(k - 0.5)
            amplitudes[i, s, 0] = sign * scale * wigner_3j(k, 1, j, -0.5, 1, -0.5)
            amplitudes[i, s, 1] = -sign * scale * wigner_3j(k, 1, j, -1.5, 1, 0.5)
    return amplitudes


def cyanogen_lines() -> RotationalLines:
    """Rotational lines of all bands v' < 10, v'' < 7 of the red system."""
    j = np.arange(J_MAX) + 0.5
    overlap = franck_condon(GROUND, EXCITED, REDUCED_MASS, max(V_LOW, V_UP))
    # zero-point energy of X: energies count from v = 0 [1/cm]
    zero = 0.5 * GROUND[0] - 0.25 * GROUND[1]
    columns: list[tuple[np.ndarray, ...]] = []
    for up_v in range(V_UP):
        v = up_v + 0.5  # Dunham expansion in v + 1/2
        term = EXCITED_TERM + EXCITED[0] * v - EXCITED[1] * v**2 - zero
        energy, state = pi_levels(j, EXCITED[2] - EXCITED[3] * v, EXCITED_STRETCH, SPIN_ORBIT)
        for low_v in range(V_LOW):
            w = low_v + 0.5
            lower = GROUND[0] * w - GROUND[1] * w**2 - zero
            origin = term - lower  # of the band [1/cm]
            # f scales with Franck-Condon factor and wavenumber; 9115 is that of 0-0 [1/cm]
            strength = F_00 * overlap[up_v, low_v] / overlap[0, 0] * origin / 9115.0
            columns += _band(j, term + energy, state, lower, GROUND[2] - GROUND[3] * w, strength)
    wavenumber, gf, low_energy = (np.concatenate(part) for part in zip(*columns, strict=True))
    keep = gf * fixed.exp(-low_energy / (BOLTZMANN_EV * 4500.0)) > SMALLEST
    return RotationalLines(wavenumber[keep], gf[keep], low_energy[keep])


def _band(
    j: np.ndarray,
    energy: np.ndarray,
    state: np.ndarray,
    lower: float,
    rotation: float,
    strength: float,
) -> list[tuple[np.ndarray, ...]]:
    """The twelve branches of one band: wavenumber, gf, lower energy [eV]."""
    lines: list[tuple[np.ndarray, ...]] = []
    amplitudes = direction_amplitudes()
    for parity in (1.0, -1.0):  # e: N = J - 1/2, f: N = J + 1/2
        n = j - 0.5 * parity
        # lower levels of X [1/cm]
        rotor = rotation * n * (n + 1.0) - GROUND_STRETCH * (n * (n + 1.0)) ** 2
        for s in range(3):
            row = np.arange(max(0, 1 - s), J_MAX - max(0, s - 1))
            up = row + s - 1
            for level in range(2):
                mixed = state[up, 1, level] * amplitudes[row, s, 1]
                # sum over both Ω, relative sign is the parity
                mixed = mixed + parity * state[up, 0, level] * amplitudes[row, s, 0]
                gf = 0.5 * strength * mixed**2  # Σ mixed² = 2 (2J + 1)
                lines.append(
                    (
                        energy[up, level] - lower - rotor[row],
                        gf,
                        (lower + rotor[row]) * BOLTZMANN_EV * HC_OVER_K,
                    )
                )
    return lines
