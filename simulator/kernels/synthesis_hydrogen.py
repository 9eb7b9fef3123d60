"""Hydrogen line profiles: Doppler core, linear Stark wings, self-broadening."""

import math

import numpy as np
from numba import njit, prange

__all__ = ["hydrogen_opacity", "stark_profile"]

WING = 3.0  # S(β) -> 3 β^-5/2: Holtsmark's 3/2 for ions, as much again for slow electrons
CORE = (2.0 * WING * 0.4 * math.pi / math.sin(0.4 * math.pi)) ** (2.0 / 3.0)  # unit area
N_DOPPLER = 6.0  # where a Gaussian is below 3e-16
MOST_AREA = 0.999999  # share of the quasi-static part beyond which no Gaussian is left


@njit(cache=True)
def stark_width(doppler):
    """Width of the quasi-static part in β, and its share of the line; Doppler takes the rest."""
    width = math.sqrt(CORE * CORE + 4.0 * doppler * doppler)
    return width, (CORE / width) ** 1.5


@njit(cache=True)
def stark_profile(beta, doppler):
    """Line profile in reduced wavelength beta, unit area over both sides.

    A quasi-static profile A / (1 + (beta/B)^5/2) with the asymptotic wing 3 beta^-5/2 of Edmonds,
    Schlüter & Wells (1967). Where the Doppler width exceeds the Stark width the wing starts at
    two Doppler widths and a Gaussian core takes the remaining area.

    Parameters
    ----------
    beta : float64
        Distance from the centre over (F0 K), >= 0.
    doppler : float64
        Doppler width over (F0 K).

    Returns
    -------
    float64
    """
    width, area = stark_width(doppler)
    ratio = beta / width  # β in units of the widened core
    # fixes the wing at 3 β^(-5/2), whatever the width
    height = WING / (width * width * math.sqrt(width))
    quasi_static = height / (1.0 + ratio * ratio * math.sqrt(ratio))
    x = beta / doppler
    if x > N_DOPPLER or area > MOST_AREA:
        return quasi_static
    return quasi_static + (1.0 - area) * math.exp(-x * x) / (math.sqrt(math.pi) * doppler)


@njit(cache=True, parallel=True)
def hydrogen_opacity(wave, centre, strength, profile, reach):
    """Opacity of hydrogen lines on a coarse grid.

    Parameters
    ----------
    wave : float64 array, shape (n_wave,)
        Increasing wavelengths [Å].
    centre : float64 array, shape (n_line,)
        [Å].
    strength : float64 array, shape (n_line, n_depth)
        Opacity integrated over wavelength, over the standard opacity [Å].
    profile : float64 array, shape (3, n_line, n_depth)
        F0 K, Doppler width and Lorentz half-width [Å].
    reach : float64 array, shape (n_line, n_depth)
        Half-width of the window [Å]; negative where the line is negligible.

    Returns
    -------
    opacity : float64 array, shape (n_depth, n_wave)
        Over the standard opacity.
    """
    n_line, n_depth = strength.shape
    opacity = np.zeros((n_depth, wave.size))
    for k in prange(n_depth):
        for i in range(n_line):
            if reach[i, k] <= 0.0:
                continue
            # [Å] each
            field, doppler, lorentz = profile[0, i, k], profile[1, i, k], profile[2, i, k]
            first = np.searchsorted(wave, centre[i] - reach[i, k])
            last = np.searchsorted(wave, centre[i] + reach[i, k])
            near, values = wave[first:last], opacity[k, first:last]
            scale = strength[i, k]
            width, area = stark_width(doppler / field)
            per_width = 1.0 / (width * field)  # [1/Å]
            stark = scale * WING * per_width / (width * math.sqrt(width))
            wing, blunt = scale * lorentz / math.pi, 4.0 * doppler * doppler
            for j in range(near.size):
                distance = abs(near[j] - centre[i])  # [Å]
                ratio = distance * per_width  # β in units of the widened core
                # blunted where Doppler broadening rules
                values[j] += stark / (1.0 + ratio * ratio * math.sqrt(ratio)) + wing / (
                    distance * distance + blunt
                )
            if area <= MOST_AREA:
                core = scale * (1.0 - area) / (math.sqrt(math.pi) * doppler)
                add_core(values, near, centre[i], doppler, core)
    return opacity


@njit(cache=True)
def add_core(values, wave, centre, doppler, peak):
    """Add a Gaussian of half-width ``doppler`` [Å] to ``values`` where it is above 3e-16."""
    first = np.searchsorted(wave, centre - N_DOPPLER * doppler)
    last = np.searchsorted(wave, centre + N_DOPPLER * doppler)
    for j in range(first, last):
        x = (wave[j] - centre) / doppler
        values[j] += peak * math.exp(-x * x)
