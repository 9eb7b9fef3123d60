"""Cross-sections of molecular bands from their rotational lines."""

import math

import numpy as np
from numba import njit, prange

__all__ = ["band_cross_section"]

N_WIDTH = 4.0  # Doppler widths on either side; the rest holds 1.5e-8 of the line


@njit(cache=True, parallel=True)
def band_cross_section(position, strength, energy, inverse_kt, width, n_wave):
    """Sum of Doppler-broadened lines at several temperatures.

    Parameters
    ----------
    position : float64 array, shape (n_line,)
        Centres [step of the wavelength grid].
    strength : float64 array, shape (n_line,)
        Integrated cross-section times statistical weight [cm² step].
    energy : float64 array, shape (n_line,)
        Lower level [eV].
    inverse_kt : float64 array, shape (n_row,)
        1/kT [1/eV].
    width : float64 array, shape (n_row,)
        Doppler width [step].
    n_wave : int
        Points of the wavelength grid.

    Returns
    -------
    cross_section : float64 array, shape (n_row, n_wave)
        Per unit of molecules over partition function [cm²]; areas are kept.
    """
    cross_section = np.zeros((inverse_kt.size, n_wave))
    for row in prange(inverse_kt.size):
        reach = N_WIDTH * width[row]  # [grid steps]
        norm = 1.0 / (math.sqrt(math.pi) * width[row])  # unit area per line
        for i in range(position.size):
            first = max(0, math.ceil(position[i] - reach))
            last = min(n_wave - 1, math.floor(position[i] + reach))
            peak = strength[i] * math.exp(-energy[i] * inverse_kt[row]) * norm
            for j in range(first, last + 1):
                x = (j - position[i]) / width[row]  # pure Doppler: bands blend, wings do not matter
                cross_section[row, j] += peak * math.exp(-x * x)
    return cross_section
