"""Noise kernels: from observing conditions to electrons, variances and errors."""

import numpy as np
from numba import njit, prange

__all__ = ["fill_background", "fill_error", "fill_sensitivity", "fill_sky", "smooth_rows"]


@njit(cache=True, parallel=True)
def fill_sensitivity(sensitivity, conversion, knot_of_pixel, knot_fraction, smooth, exposure):
    """Electrons per exposure and unit flux in every pixel.

    Parameters
    ----------
    sensitivity : float64 array, shape (n_spec, n_wave)
        Overwritten [electron per exposure / flux unit].
    conversion : float64 array, shape (n_wave,)
        [electron s-1 m-2 / flux unit].
    knot_of_pixel : int64 array, shape (n_wave,)
        Knot at or below each pixel.
    knot_fraction : float64 array, shape (n_wave,)
        Position between that knot and the next, 0..1.
    smooth : float64 array, shape (n_spec, n_knot)
        Fibre aperture times continuum transmission at the knots.
    exposure : float64 array, shape (n_spec,)
        Collecting area times exposure time [m2 s].
    """
    n_spec, n_wave = sensitivity.shape
    for i in prange(n_spec):
        low = smooth[i]
        for j in range(n_wave):
            k = knot_of_pixel[j]
            factor = low[k] + knot_fraction[j] * (low[k + 1] - low[k])
            sensitivity[i, j] = exposure[i] * conversion[j] * factor


@njit(cache=True, fastmath={"reassoc"})
def mean_of(values):
    """Mean of float64 numbers, shape (n_wave,); the order of the sum is the compiler's."""
    total = 0.0
    for value in values:
        total += value
    return total / values.size


@njit(cache=True, parallel=True)
def fill_background(
    background, sky_rate, zenith_node, zenith_fraction, exposure, scalars, moon_rate, moon
):
    """Object-free variance per exposure in every pixel.

    variance_factor * (sky + (floor sqrt(n_exp) max(sky of the pixel and its neighbours))^2
    + stray * mean(sky) + dark + read), as in the PFS exposure-time calculator.

    Parameters
    ----------
    background : float64 array, shape (n_spec, n_wave)
        Overwritten [electron2 per exposure].
    sky_rate : float64 array, shape (n_zenith, n_wave)
        [electron s-1 m-2 arcsec-2].
    zenith_node : int64 array, shape (n_spec,)
    zenith_fraction : float64 array, shape (n_spec,)
    exposure : float64 array, shape (n_spec,)
        Collecting area x fibre area x exposure time [m2 arcsec2 s].
    scalars : float64 array, shape (n_spec, 4)
        variance factor; floor fraction x sqrt(n_exp); stray fraction; dark + read
        variance [electron2 per exposure].
    moon_rate : float64 array, shape (2, n_wave)
        Moonlight by cause [electron s-1 m-2 arcsec-2 per unit of ``moon``].
    moon : float64 array, shape (n_spec, 2)
        Brightness of the moonlit sky by cause; 0 leaves the dark sky's bits as they are.
    """
    n_spec, n_wave = background.shape
    for i in prange(n_spec):
        below = sky_rate[zenith_node[i]]
        above = sky_rate[zenith_node[i] + 1]
        fraction = zenith_fraction[i]
        sky = np.empty(n_wave)
        for j in range(n_wave):
            sky[j] = exposure[i] * (below[j] + fraction * (above[j] - below[j]))
        molecules, aerosols = exposure[i] * moon[i]
        if molecules > 0.0:
            for j in range(n_wave):
                sky[j] += molecules * moon_rate[0, j] + aerosols * moon_rate[1, j]
        factor, floor, stray, constant = scalars[i]
        constant += stray * mean_of(sky)
        last = n_wave - 1
        background[i, 0] = max(sky[0], sky[min(1, last)])
        background[i, last] = max(sky[max(last - 1, 0)], sky[last])
        for j in range(1, last):
            background[i, j] = max(max(sky[j - 1], sky[j]), sky[j + 1])
        for j in range(n_wave):
            peak = background[i, j]
            background[i, j] = factor * (sky[j] + (floor * peak) ** 2 + constant)


@njit(cache=True, parallel=True)
def fill_sky(sky, sky_rate, zenith_node, zenith_fraction, exposure, moon_rate, moon):
    """Sky electrons per exposure in every pixel, moonlight included.

    Parameters
    ----------
    sky : float64 array, shape (n_spec, n_wave)
        Overwritten [electron per exposure].
    sky_rate, zenith_node, zenith_fraction, exposure, moon_rate, moon
        As in `fill_background`.
    """
    n_spec, n_wave = sky.shape
    for i in prange(n_spec):
        below = sky_rate[zenith_node[i]]
        above = sky_rate[zenith_node[i] + 1]
        fraction = zenith_fraction[i]
        for j in range(n_wave):
            sky[i, j] = exposure[i] * (below[j] + fraction * (above[j] - below[j]))
        molecules, aerosols = exposure[i] * moon[i]
        if molecules > 0.0:
            for j in range(n_wave):
                sky[i, j] += molecules * moon_rate[0, j] + aerosols * moon_rate[1, j]


@njit(cache=True, parallel=True)
def fill_error(error, flux, sensitivity, background, sample_factor, n_exposure):
    """One-sigma error of a coadd of equal exposures.

    Parameters
    ----------
    error : float32 array, shape (n_spec, n_wave)
        Overwritten [flux unit].
    flux : float32 array, shape (n_spec, n_wave)
        Object flux whose photons contribute; negative counts as zero [flux unit].
    sensitivity, background : float64 arrays, shape (n_spec, n_wave)
        As filled above.
    sample_factor : float64
        Excess of the detector's photon noise over Poisson.
    n_exposure : float64 array, shape (n_spec,)
    """
    n_spec, n_wave = error.shape
    for i in prange(n_spec):
        for j in range(n_wave):
            electrons = max(sensitivity[i, j] * flux[i, j], 0.0)
            variance = (sample_factor * electrons + background[i, j]) / n_exposure[i]
            error[i, j] = np.sqrt(variance) / sensitivity[i, j]


@njit(cache=True, parallel=True)
def smooth_rows(smooth, rows, half_width):
    """Means over ``2 half_width + 1`` pixels at every ``half_width``-th, straight lines between.

    A mean in every pixel would hold each pixel of ``rows`` in its differences.

    Parameters
    ----------
    smooth : float64 array, shape (n_spec, n_wave)
        Overwritten.
    rows : float64 array, shape (n_spec, n_wave)
    half_width : int [pixel]
        Windows are shortened at the ends; the last pixel is a knot too.
    """
    n_spec, n_wave = rows.shape
    for i in prange(n_spec):
        total = np.empty(n_wave + 1)
        total[0] = 0.0
        for j in range(n_wave):
            total[j + 1] = total[j] + rows[i, j]
        left = 0
        left_mean = total[min(half_width + 1, n_wave)] / min(half_width + 1, n_wave)
        smooth[i, 0] = left_mean
        while left < n_wave - 1:
            knot = min(left + half_width, n_wave - 1)
            first = max(knot - half_width, 0)
            last = min(knot + half_width + 1, n_wave)
            mean = (total[last] - total[first]) / (last - first)
            slope = (mean - left_mean) / (knot - left)
            for j in range(left + 1, knot + 1):
                smooth[i, j] = left_mean + slope * (j - left)
            left, left_mean = knot, mean
