"""Slow twins of the optional noise terms: one pixel at a time, from the formulae."""

import math

import numpy as np

from tests.reference.noise import pixel_background, pixel_sensitivity, sky_electrons


def floor_modes_plainly(tables, conditions):
    """Scale and shift of the sky, half of the floor's variance at most each; (n_wave, 2)."""
    sky = sky_electrons(tables, conditions)
    n_wave = len(sky)
    rms = tables.floor_fraction * math.sqrt(tables.variance_factor)
    modes = np.empty((n_wave, 2))
    for j in range(n_wave):
        electrons = pixel_sensitivity(tables, conditions, j)
        right, left = sky[min(j + 1, n_wave - 1)], sky[max(j - 1, 0)]
        modes[j, 0] = math.sqrt(0.5) * rms * sky[j] / electrons
        # an error of sqrt(2) rms pixels moves the sky by that times its slope
        modes[j, 1] = math.sqrt(2.0) * rms * (right - left) / 2 / electrons
    return modes


def floor_variance(tables, conditions, j):
    """Variance of the calculator's floor in pixel ``j`` of a coadd [flux²]."""
    sky = sky_electrons(tables, conditions)
    peak = max(sky[max(j - 1, 0) : j + 2])
    electrons = pixel_sensitivity(tables, conditions, j)
    return tables.variance_factor * (tables.floor_fraction * peak / electrons) ** 2


def coadd_error(tables, flux, exposures, j):
    """1σ in pixel ``j`` of the electrons of all exposures added up, over their sensitivity."""
    electrons = sum(pixel_sensitivity(tables, conditions, j) for conditions in exposures)
    variance = sum(
        max(float(flux), 0.0) * pixel_sensitivity(tables, conditions, j) * tables.sample_factor
        + pixel_background(tables, conditions, j)
        for conditions in exposures
    )
    return math.sqrt(variance) / electrons
