"""Overlaps of the vibrational states of two Morse oscillators."""

from functools import lru_cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.kernels.synthesis_states import lowest_states
from starsmith.simulator.synthesis.atomic_constants import AMU, ANGSTROM, LIGHT_SPEED, PLANCK

__all__ = ["franck_condon", "morse_states"]

N_GRID = 1500  # 0.0015 Å apart
RADII = np.linspace(0.7, 3.0, N_GRID)  # internuclear distance [Å]


def morse_states(constants: tuple[float, ...], reduced_mass: float, n_state: int) -> np.ndarray:
    """Lowest vibrational states of a Morse potential on `RADII`, shape (n_state, n_grid).

    Parameters
    ----------
    constants : tuple of float
        ωe, ωexe, Be, αe [1/cm].
    reduced_mass : float
        [u].
    n_state : int
    """
    we, wexe, be, _ = constants
    kinetic = PLANCK / (8.0 * np.pi**2 * LIGHT_SPEED * reduced_mass * AMU * ANGSTROM**2)  # [Å²/cm]
    equilibrium = np.sqrt(kinetic / be)  # r_e from B = ħ/(4πcμr²) [Å]
    depth, steepness = we**2 / (4.0 * wexe), np.sqrt(wexe / kinetic)  # Morse: D [1/cm], a [1/Å]
    step = RADII[1] - RADII[0]  # [Å]
    # the inner wall is steep: bounded, it stays within double precision
    wall = np.minimum(1.0 - fixed.exp(-steepness * (RADII - equilibrium)), 40.0)
    wall = np.maximum(wall, -40.0)
    # three-point second derivative: a tridiagonal Hamiltonian [1/cm]
    diagonal = depth * wall**2 + 2.0 * kinetic / step**2
    off_diagonal = np.full(N_GRID - 1, -kinetic / step**2)
    return lowest_states(diagonal, off_diagonal, n_state)


@lru_cache(maxsize=16)
def franck_condon(
    low: tuple[float, ...], up: tuple[float, ...], reduced_mass: float, n_state: int
) -> np.ndarray:
    """Franck-Condon factors q(v', v''), (n_state, n_state); constants as in `morse_states`."""
    upper = morse_states(up, reduced_mass, n_state)
    lower = morse_states(low, reduced_mass, n_state)
    return fixed.matmul(upper, lower.T) ** 2
