"""Line-spread function kernels. Plain arrays, widths in pixels; no objects, no I/O."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from starsmith.data_contract.constants import FWHM_TO_SIGMA

N_SIGMA = 6.0  # kernel half-width; the truncated wings hold 2e-9 of the flux
SQRT_HALF = math.sqrt(0.5)


@njit(parallel=True, cache=True)
def convolve_lsf(flux, fwhm):
    """Smear spectra with a Gaussian LSF whose width varies along the detector.

    Parameters
    ----------
    flux : float64 array, shape (n_spec, n_wave)
        Spectra on a uniform grid [any linear flux unit].
    fwhm : float64 array, shape (n_wave,)
        LSF full width at half maximum at each pixel [pixel].

    Returns
    -------
    smeared : float64 array, shape (n_spec, n_wave)
        Same unit as ``flux``. Each kernel is normalised over the pixels that exist,
        so a flat spectrum stays flat right up to the edges.
    """
    n_spec, n_wave = flux.shape
    smeared = np.empty_like(flux)
    for j in prange(n_wave):
        sigma = FWHM_TO_SIGMA * fwhm[j]  # [pixel], of the pixel that receives
        reach = math.ceil(N_SIGMA * sigma)
        first = max(0, j - reach)
        stop = min(n_wave, j + reach + 1)
        weight = np.empty(stop - first)
        for k in range(first, stop):
            weight[k - first] = math.exp(-0.5 * ((k - j) / sigma) ** 2)
        norm = weight.sum()  # edges: the kernel is normalised over pixels that exist
        for i in range(n_spec):
            weighted = 0.0
            for k in range(first, stop):
                weighted += weight[k - first] * flux[i, k]  # one kernel serves all spectra
            smeared[i, j] = weighted / norm
    return smeared


@njit(cache=True)
def fill_pixel_weights(weight, first, count, start, edge, sigma, wave, cell):
    """Weights of grid samples in pixel averages: a Gaussian convolved with the pixel's box.

    Parameters
    ----------
    weight : float64 array, shape (n_weight,)
        Output, pixel after pixel; each pixel's weights sum to 1.
    first, count, start : int64 arrays, shape (n_pixel,)
        First grid sample, number of samples and place in ``weight`` of each pixel.
    edge : float64 array, shape (n_pixel + 1,)
        Pixel edges [unit of ``wave``].
    sigma : float64 array, shape (n_pixel,)
        Gaussian standard deviation at each pixel [unit of ``wave``], above 0.
    wave : float64 array, shape (n_grid,)
        Where the spectrum is sampled, increasing.
    cell : float64 array, shape (n_grid,)
        Trapezoid weight of each sample [unit of ``wave``].
    """
    for j in range(count.size):
        scale = SQRT_HALF / sigma[j]
        norm = 0.0
        for k in range(count[j]):
            at = wave[first[j] + k]
            upper = math.erf((edge[j + 1] - at) * scale)  # Gaussian integrated over the pixel
            lower = math.erf((edge[j] - at) * scale)
            value = (upper - lower) * cell[first[j] + k]
            weight[start[j] + k] = value
            norm += value
        for k in range(count[j]):
            weight[start[j] + k] /= norm  # flat spectra stay flat


class Tabulated(NamedTuple):
    """A kernel as numbers, and where each pixel of an arm finds its own in it.

    Attributes
    ----------
    offset : float64 array, shape (n_offset,)
        Pixel centre minus line, increasing [pixel].
    response : float64 array, shape (n_knot, n_offset)
    place : float64 array, shape (n_pixel,)
        Knot of each pixel, as a fractional row of ``response``.
    centre : float64 array, shape (n_pixel,)
        Pixel centres [unit of ``wave``].
    dispersion : float
        Of a pixel [unit of ``wave``].
    """

    offset: np.ndarray
    response: np.ndarray
    place: np.ndarray
    centre: np.ndarray
    dispersion: float


@njit(cache=True, error_model="numpy")
def fill_tabulated_weights(weight, first, start, table, wave, cell):
    """Weights of grid samples in pixel averages, from a tabulated kernel; not normalised.

    Linear between knots and between offsets, 0 beyond them: the bits of ``numpy.interp``.

    Parameters
    ----------
    weight : float64 array, shape (n_weight,)
        Output, pixel after pixel.
    first : int64 array, shape (n_pixel,)
        First grid sample of each pixel.
    start : int64 array, shape (n_pixel + 1,)
        Place of each pixel in ``weight``, and the end.
    table : Tabulated
    wave, cell : float64 arrays, shape (n_grid,)
        Where the spectrum is sampled, and the trapezoid weight of each sample.
    """
    last_knot, last = table.response.shape[0] - 1, table.offset.size - 1
    for j in range(first.size):
        left = min(int(table.place[j]), last_knot)
        low, high = table.response[left], table.response[min(left + 1, last_knot)]
        part = table.place[j] - left
        at = last  # offsets fall as wavelengths rise: one walk through the table a pixel
        for k in range(start[j + 1] - start[j]):
            i = first[j] + k
            x = (table.centre[j] - wave[i]) / table.dispersion
            value = 0.0
            if table.offset[0] <= x <= table.offset[last]:
                while table.offset[at] > x:
                    at -= 1
                value = (1.0 - part) * low[at] + part * high[at]
                if at < last and table.offset[at] != x:
                    after = (1.0 - part) * low[at + 1] + part * high[at + 1]
                    slope = (after - value) / (table.offset[at + 1] - table.offset[at])
                    value = slope * (x - table.offset[at]) + value
            weight[start[j] + k] = value * cell[i]
