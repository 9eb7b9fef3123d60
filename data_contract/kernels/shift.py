"""Radial velocity kernel: spectra on a logarithmic grid, shifted and summed into pixels."""

import math

import numpy as np
from numba import njit, prange

from starsmith.data_contract.kernels.fused import dot, fma

__all__ = ["collect_pixels"]


@njit(cache=True, parallel=True)
def collect_pixels(flux, samples, first, weights, shift):
    """Shift spectra by fractions of a sample and collect them in pixels.

    Weights are interpolated linearly between tabulated phases. Each pixel's weights sum to
    one, so a flat spectrum stays flat.

    Parameters
    ----------
    flux : float32 array, shape (n_spec, n_wave)
        Overwritten [unit of ``samples``].
    samples : float32 array, shape (n_spec, n_sample)
        Spectra at rest.
    first : int64 array, shape (n_wave,)
        First sample that each pixel collects at rest.
    weights : float32 array, shape (n_phase + 1, n_wave, n_tap)
        Shares of the samples after a shift by phase / n_phase.
    shift : float64 array, shape (n_spec,)
        Towards longer wavelengths [sample]; the caller keeps it within the samples.
    """
    n_phase = weights.shape[0] - 1  # kernels tabulated at so many fractions of a sample
    n_tap = weights.shape[2]  # samples that make one pixel
    for i in prange(flux.shape[0]):
        whole = math.floor(shift[i])  # whole samples move the window
        place = (shift[i] - whole) * n_phase  # the fraction chooses between two kernels
        phase = min(int(place), n_phase - 1)
        later = np.float32(place - phase)
        earlier = np.float32(1.0 - (place - phase))
        for j in range(flux.shape[1]):
            start = first[j] - whole
            near = samples[i, start : start + n_tap]
            before = dot(weights[phase, j], near)
            after = dot(weights[phase + 1, j], near)
            flux[i, j] = fma(earlier, before, later * after)
