"""Slow twins of the line-spread function: dense matrices and plain quadrature."""

import numpy as np
from scipy.integrate import quad


def convolve_lsf_dense(flux, fwhm):
    """Variable-width Gaussian smearing as one dense matrix product."""
    pixel = np.arange(flux.shape[1])
    sigma = fwhm / np.sqrt(8 * np.log(2))
    weights = np.exp(-0.5 * ((pixel[None, :] - pixel[:, None]) / sigma[:, None]) ** 2)
    return flux @ (weights / weights.sum(axis=1, keepdims=True)).T


def pixel_average(flux, centre, width, fwhm):
    """Mean over one pixel of the function ``flux`` smeared by a Gaussian, by quadrature."""
    sigma = fwhm / np.sqrt(8 * np.log(2))
    reach = 7 * sigma
    wave = np.linspace(centre - width / 2 - reach, centre + width / 2 + reach, 20_001)
    value = flux(wave)

    def smeared(at):
        gauss = np.exp(-0.5 * ((wave - at) / sigma) ** 2)
        return np.sum(gauss * value) / np.sum(gauss)

    return quad(smeared, centre - width / 2, centre + width / 2, epsrel=1e-8)[0] / width
