"""Strengths, widths and windows of atomic lines at every depth."""

import math

import numpy as np
from numba import njit

__all__ = ["fill_lines"]

SQRT_PI = math.sqrt(math.pi)
CORE_SQUARE = 710.0  # beyond the logarithm of any number


@njit(cache=True, error_model="numpy")
def fill_lines(out, energy, lines, layers, ions, least):
    """Fill what the opacity of lines needs where one matters; the reach is -1 elsewhere.

    Parameters
    ----------
    out : float64 array, shape (4, n_line, n_depth)
        Overwritten: strength, Doppler width [km/s], Voigt parameter, reach [Doppler widths].
    energy : (float64 array (n_line,), float64 array (n_line,))
        Of the lower level and of the transition, over the Boltzmann constant [K].
    lines : float64 array, shape (8, n_line)
        Strength per absorber, times km/s; speed² of the atom per kelvin [km²/s²]; wavelength over
        4π times 1e-13 [km]; damping by radiation [rad/s], per electron and per perturber at 10⁴ K
        [rad cm³/s]; factor and exponent of T of the damping by hydrogen where known, else NaN.
    layers : float64 array, shape (5, n_depth)
        Temperature [K]; electrons, times (T/10⁴)^⅙, and perturbers [1/cm³]; (T/10⁴)^0.3;
        microturbulence² [km²/s²].
    ions : float64 array, shape (n_line, n_depth)
        Atoms or ions of the line over partition function and standard opacity.
    least : float64 array, shape (n_line, n_depth)
        Opacity over the standard one that matters.
    """
    strength, width, damping, reach = out[0], out[1], out[2], out[3]
    lower, quantum = energy
    log_t = np.log(layers[0])
    for i in range(ions.shape[0]):
        for k in range(ions.shape[1]):
            inverse = 1.0 / layers[0, k]
            speed = math.sqrt(lines[1, i] * layers[0, k] + layers[4, k])
            bound = lines[0, i] / speed * ions[i, k] * math.exp(-lower[i] * inverse)
            reach[i, k] = -1.0
            if bound <= least[i, k]:
                continue
            height = bound * (1.0 - math.exp(-quantum[i] * inverse))  # less stimulated emission
            contrast = height / least[i, k]  # line centre over the cut
            if contrast <= 1.0:
                continue
            hydrogen = lines[5, i] * layers[3, k]
            if lines[6, i] == lines[6, i]:  # quantum theory where it exists
                hydrogen = lines[6, i] * math.exp(lines[7, i] * log_t[k])
            rate = lines[3, i] + lines[4, i] * layers[1, k] + hydrogen * layers[2, k]
            a = rate * lines[2, i] / speed
            strength[i, k], width[i, k], damping[i, k] = height, speed, a
            # a/(√π x²) falls to the cut here, and exp(-x²), if that is not far outside its core
            square = contrast * a / SQRT_PI  # [Doppler widths²]
            if square < CORE_SQUARE:
                square = max(square, math.log(contrast))
            reach[i, k] = math.sqrt(square)
