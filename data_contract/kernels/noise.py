"""Noise kernels: from observing conditions to electrons, variances and errors.

Each quantity of one spectrum is a loop of its own over pixels, in arrays that stay in the
first-level caches and free of branches, so that the compiler turns it into vector instructions.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from starsmith.data_contract.kernels.fused import add_sixteen
from starsmith.data_contract.kernels.noise_terms import distortion_row, sky_residual_row

__all__ = [
    "Light",
    "Quiet",
    "background_of",
    "electrons_per_flux",
    "error_of",
    "fill_background",
    "fill_error",
    "fill_expected_error",
    "fill_observation",
    "fill_sensitivity",
    "fill_sky",
    "mean_of",
    "sky_row",
    "smooth_rows",
]


class Light(NamedTuple):
    """What turns flux into electrons.

    Attributes
    ----------
    conversion : float64 array, shape (n_wave,)
        [electron s-1 m-2 / flux unit].
    first_pixel : int64 array, shape (n_knot,)
        At or above each knot; n_wave at the last knot, which holds no pixel.
    knot_fraction : float64 array, shape (n_wave,)
        Position of each pixel between the knots around it, 0..1.
    smooth : float64 array, shape (n_spec, n_knot)
        Fibre aperture times continuum transmission at the knots.
    exposure : float64 array, shape (n_spec,)
        Collecting area times exposure time [m2 s].
    n_exposure : float64 array, shape (n_spec,)
        Exposures of the coadd.
    sample_factor : float
        Variance of a counted photon: above 1 for up-the-ramp readout.
    """

    conversion: np.ndarray
    first_pixel: np.ndarray
    knot_fraction: np.ndarray
    smooth: np.ndarray
    exposure: np.ndarray
    n_exposure: np.ndarray
    sample_factor: float


class Quiet(NamedTuple):
    """What a pixel counts without the star.

    Attributes
    ----------
    sky_rate : float64 array, shape (n_zenith, n_wave)
        [electron s-1 m-2 arcsec-2].
    zenith_node : int64 array, shape (n_spec,)
    zenith_fraction : float64 array, shape (n_spec,)
    exposure : float64 array, shape (n_spec,)
        Collecting area x fibre area x exposure time [m2 arcsec2 s].
    moon_rate : float64 array, shape (2, n_wave)
        Moonlight by cause [electron s-1 m-2 arcsec-2 per unit of ``moon``].
    moon : float64 array, shape (n_spec, 2)
        Brightness of the moonlit sky by cause; 0 leaves the dark sky's bits as they are.
    scalars : float64 array, shape (n_spec, 4)
        Variance factor; floor fraction x sqrt(n_exp); stray fraction; dark + read
        variance [electron2 per exposure].
    """

    sky_rate: np.ndarray
    zenith_node: np.ndarray
    zenith_fraction: np.ndarray
    exposure: np.ndarray
    moon_rate: np.ndarray
    moon: np.ndarray
    scalars: np.ndarray


@njit(cache=True, error_model="numpy")
def electrons_per_flux(exposure, conversion, low, fraction, rise):
    """Electrons per exposure and unit flux in a pixel, between two knots of the smooth part."""
    return exposure * conversion * (low + fraction * rise)


@njit(cache=True, error_model="numpy")
def background_of(sky, brightest, factor, floor, constant):
    """Object-free variance of a pixel [electron² per exposure]; see `fill_background`."""
    residual = floor * brightest
    return factor * (sky + residual * residual + constant)


@njit(cache=True, error_model="numpy")
def error_of(flux, sensitivity, background, sample_factor, n_exposure):
    """One-sigma error of a pixel of the mean of all exposures; see `fill_error`."""
    electrons = max(sensitivity * flux, 0.0)  # negative flux counts as none
    variance = (sample_factor * electrons + background) / n_exposure
    return np.sqrt(variance) / sensitivity


@njit(cache=True, error_model="numpy")
def _sensitivity_row(sensitivity, light, i):
    smooth, exposure = light.smooth[i], light.exposure[i]
    for knot in range(smooth.size - 1):
        low = smooth[knot]  # area, extinction and aperture at the knot
        rise = smooth[knot + 1] - low
        # pixels between two knots
        pixels = slice(light.first_pixel[knot], light.first_pixel[knot + 1])
        electrons, fraction = sensitivity[pixels], light.knot_fraction[pixels]
        conversion = light.conversion[pixels]
        for j in range(electrons.size):
            electrons[j] = electrons_per_flux(exposure, conversion[j], low, fraction[j], rise)


@njit(cache=True, error_model="numpy")
def sky_row(sky, quiet, i):
    """Sky electrons per exposure in every pixel of a spectrum; see `fill_sky`."""
    below = quiet.sky_rate[quiet.zenith_node[i]]  # tables on either side of the zenith angle
    above = quiet.sky_rate[quiet.zenith_node[i] + 1]
    fraction, exposure = quiet.zenith_fraction[i], quiet.exposure[i]
    for j in range(sky.size):
        sky[j] = exposure * (below[j] + fraction * (above[j] - below[j]))  # [electron per exposure]
    # two scatterers, each with a spectrum of its own
    molecules, aerosols = exposure * quiet.moon[i, 0], exposure * quiet.moon[i, 1]
    if molecules > 0.0:
        for j in range(sky.size):
            sky[j] += molecules * quiet.moon_rate[0, j] + aerosols * quiet.moon_rate[1, j]


@njit(cache=True)
def mean_of(values):
    """Mean of float64 numbers, shape (n_wave,), summed in 16 lanes side by side, then in 4."""
    n = values.size
    whole, quarters = n // 16 * 16, n // 4 * 4  # sixteen sums at once
    lanes = np.zeros(16)
    add_sixteen(lanes, values)
    for k in range(4):
        lanes[k] = ((lanes[k + 4] + lanes[k]) + lanes[k + 8]) + lanes[k + 12]
    # one fixed order: the mean has the same bits everywhere
    lanes[0] = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
    lanes[1:4] = 0.0
    for start in range(whole, quarters, 4):
        for k in range(4):
            lanes[k] += values[start + k]
    total = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
    for j in range(quarters, n):
        total += values[j]
    return total / n


@njit(cache=True, error_model="numpy")
def _background_row(background, sky, quiet, i):
    sky_row(sky, quiet, i)
    factor, floor, stray, constant = quiet.scalars[i]
    constant += stray * mean_of(sky)  # light scattered all over the detector
    # the floor follows the brightest of three neighbours, as the calculator's
    last = sky.size - 1
    first = max(sky[0], sky[min(1, last)])
    background[0] = background_of(sky[0], first, factor, floor, constant)
    for j in range(1, last):
        brightest = max(max(sky[j - 1], sky[j]), sky[j + 1])
        background[j] = background_of(sky[j], brightest, factor, floor, constant)
    if last:
        brightest = max(sky[last - 1], sky[last])
        background[last] = background_of(sky[last], brightest, factor, floor, constant)


@njit(cache=True, error_model="numpy")
def _error_row(error, flux, sensitivity, background, sample_factor, n_exposure):
    for j in range(error.size):
        error[j] = error_of(flux[j], sensitivity[j], background[j], sample_factor, n_exposure)


@njit(cache=True, error_model="numpy")
def _smooth_row(smooth, row, half_width):
    n_wave = row.size
    total = np.empty(n_wave + 1)  # running sums: a mean over any window is one difference
    total[0] = 0.0
    for j in range(n_wave):
        total[j + 1] = total[j] + row[j]
    left = 0
    left_mean = total[min(half_width + 1, n_wave)] / min(half_width + 1, n_wave)
    smooth[0] = left_mean
    while left < n_wave - 1:
        knot = min(left + half_width, n_wave - 1)
        first = max(knot - half_width, 0)
        last = min(knot + half_width + 1, n_wave)
        mean = (total[last] - total[first]) / (last - first)
        slope = (mean - left_mean) / (knot - left)  # means at knots, straight lines between
        for j in range(left + 1, knot + 1):
            smooth[j] = left_mean + slope * (j - left)
        left, left_mean = knot, mean


@njit(cache=True, parallel=True)
def fill_sensitivity(sensitivity, light):
    """Electrons per exposure and unit flux in every pixel.

    Parameters
    ----------
    sensitivity : float64 array, shape (n_spec, n_wave)
        Overwritten [electron per exposure / flux unit].
    light : Light
    """
    for i in prange(sensitivity.shape[0]):  # counts unsigned; int64 spares a second compilation
        _sensitivity_row(sensitivity[i], light, np.int64(i))


@njit(cache=True, parallel=True)
def fill_background(background, quiet):
    """Object-free variance per exposure in every pixel.

    variance_factor * (sky + (floor sqrt(n_exp) max(sky of the pixel and its neighbours))^2
    + stray * mean(sky) + dark + read), as in the PFS exposure-time calculator.

    Parameters
    ----------
    background : float64 array, shape (n_spec, n_wave)
        Overwritten [electron2 per exposure].
    quiet : Quiet
    """
    for i in prange(background.shape[0]):
        _background_row(background[i], np.empty(background.shape[1]), quiet, np.int64(i))


@njit(cache=True, parallel=True)
def fill_sky(sky, quiet):
    """Sky electrons per exposure in every pixel, moonlight included.

    Parameters
    ----------
    sky : float64 array, shape (n_spec, n_wave)
        Overwritten [electron per exposure].
    quiet : Quiet
    """
    for i in prange(sky.shape[0]):
        sky_row(sky[i], quiet, np.int64(i))


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
    for i in prange(error.shape[0]):
        _error_row(error[i], flux[i], sensitivity[i], background[i], sample_factor, n_exposure[i])


@njit(cache=True, parallel=True)
def smooth_rows(smooth, rows, half_width):
    """Means over ``2 half_width + 1`` pixels at every ``half_width``-th, straight lines between.

    A mean in every pixel would hold each pixel of ``rows`` in its differences.

    Parameters
    ----------
    smooth : float array, shape (n_spec, n_wave)
        Overwritten.
    rows : float array, shape (n_spec, n_wave)
    half_width : int [pixel]
        Windows are shortened at the ends; the last pixel is a knot too.
    """
    for i in prange(rows.shape[0]):
        _smooth_row(smooth[i], rows[i], half_width)


@njit(cache=True, parallel=True)
def fill_expected_error(error, flux, light, quiet, half_width):
    """Error of a coadd straight from conditions: the fills above in one pass, the same bits.

    Parameters
    ----------
    error : float32 array, shape (n_spec, n_wave)
        Overwritten [flux unit].
    flux : float32 array, shape (n_spec, n_wave)
        As in `fill_error`.
    light : Light
    quiet : Quiet
    half_width : int [pixel]
        0: photons of each pixel; more: of `smooth_rows`.
    """
    n_spec, n_wave = error.shape
    for i in prange(n_spec):
        sensitivity, background, scratch = np.empty(n_wave), np.empty(n_wave), np.empty(n_wave)
        _sensitivity_row(sensitivity, light, np.int64(i))
        _background_row(background, scratch, quiet, np.int64(i))
        if half_width:
            _smooth_row(scratch, flux[i], half_width)
            counted = scratch.astype(np.float32)
        else:
            counted = flux[i]
        _error_row(
            error[i], counted, sensitivity, background, light.sample_factor, light.n_exposure[i]
        )


@njit(cache=True, error_model="numpy")
def _observed_row(flux, sigma, flux_model, sky, sensitivity, residual, distortion, i):
    """Observed flux of a spectrum, in place of standard normals."""
    if residual is not None:
        sky_residual_row(flux, sigma, sky, sensitivity, residual, i)
        for j in range(flux.size):
            flux[j] += flux_model[j]
    else:
        for j in range(flux.size):
            flux[j] = flux[j] * sigma[j] + flux_model[j]
    if distortion is not None:
        distortion_row(flux, sigma, flux_model, distortion, i)


@njit(cache=True, parallel=True)
def fill_observation(
    flux, error, sigma, flux_model, light, quiet, half_width, residual, distortion
):
    """Observed flux and its honest error from normals and conditions, in one pass.

    Parameters
    ----------
    flux : float32 array, shape (n_spec, n_wave)
        Standard normals; overwritten with ``flux_model`` and all its errors [flux unit].
    error : float32 array, shape (n_spec, n_wave), or None
        Overwritten with the error estimated from that flux, distortions left out [flux unit].
    sigma : float32 array, shape (n_spec, n_wave), or None
        Overwritten with the standard deviation of all errors [flux unit].
    flux_model : float32 array, shape (n_spec, n_wave)
    light, quiet, half_width
        As in `fill_expected_error`.
    residual : SkyResidual or None
    distortion : Distortion or None
    """
    n_spec, n_wave = flux.shape
    for i in prange(n_spec):
        sensitivity, background, scratch = np.empty(n_wave), np.empty(n_wave), np.empty(n_wave)
        _sensitivity_row(sensitivity, light, np.int64(i))
        _background_row(background, scratch, quiet, np.int64(i))
        n = light.n_exposure[i]
        drawn = np.empty(n_wave, np.float32) if sigma is None else sigma[i]
        _error_row(drawn, flux_model[i], sensitivity, background, light.sample_factor, n)
        rows = flux[i], drawn, flux_model[i]
        _observed_row(*rows, scratch, sensitivity, residual, distortion, np.int64(i))
        if error is not None:
            if half_width:
                _smooth_row(scratch, flux[i], half_width)
                counted = scratch.astype(np.float32)
            else:
                counted = flux[i]
            _error_row(error[i], counted, sensitivity, background, light.sample_factor, n)
