"""Kernels of the optional noise terms: correlated sky residuals and counted photons."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

__all__ = [
    "Distortion",
    "SkyResidual",
    "add_distortion",
    "add_sky_residual",
    "distortion_row",
    "fill_counts",
    "fill_floor_modes",
    "fill_lost",
    "look_up",
    "poisson_quantile",
    "sky_residual_row",
    "widen_error",
]

FEW = 30.0  # below this mean the quantile is summed up, above it is expanded


class SkyResidual(NamedTuple):
    """What sky subtraction leaves in many pixels at once.

    Attributes
    ----------
    scale : float
        Fractional error of the sky.
    shift : float
        Error of its wavelengths [pixel].
    amplitude : float32 array, shape (n_spec, 2)
        Standard normals, one per mode.
    """

    scale: float
    shift: float
    amplitude: np.ndarray


class Distortion(NamedTuple):
    """Errors in proportion to the noiseless flux.

    Attributes
    ----------
    shapes : float32 array, shape (n_mode, n_wave)
        Fractional error for an amplitude of one.
    variance : float32 array, shape (n_wave,)
        Of the fractional error.
    amplitude : float32 array, shape (n_spec, n_mode)
        Standard normals.
    """

    shapes: np.ndarray
    variance: np.ndarray
    amplitude: np.ndarray


@njit(cache=True, parallel=True, error_model="numpy")
def fill_floor_modes(modes, sky, sensitivity, scale, shift):
    """Flux of a sky residual: an error of the sky's scale, and one of its wavelengths.

    Parameters
    ----------
    modes : float64 array, shape (n_spec, n_wave, 2)
        Overwritten [flux unit].
    sky : float64 array, shape (n_spec, n_wave)
        [electron per exposure].
    sensitivity : float64 array, shape (n_spec, n_wave)
        [electron per exposure / flux unit].
    scale : float64
        Fractional error of the sky.
    shift : float64
        Error of its wavelengths [pixel].
    """
    n_spec, n_wave = sky.shape
    for i in prange(n_spec):
        for j in range(n_wave):
            step = sky[i, min(j + 1, n_wave - 1)] - sky[i, max(j - 1, 0)]
            modes[i, j, 0] = scale * sky[i, j] / sensitivity[i, j]
            modes[i, j, 1] = 0.5 * shift * step / sensitivity[i, j]


@njit(cache=True, error_model="numpy")
def _with_residual(noise, sigma, sky, step, sensitivity, scale, half, a, b):
    """Noise of a pixel whose sky rises by ``step`` from one neighbour to the other."""
    per_electron = 1.0 / sensitivity
    bright = scale * sky * per_electron  # in units of flux, as all below
    moved = half * step * per_electron
    # what the modes leave is independent: the variance stays
    rest = sigma * sigma - bright * bright - moved * moved
    return math.sqrt(max(rest, 0.0)) * noise + a * bright + b * moved


@njit(cache=True, error_model="numpy")
def sky_residual_row(noise, sigma, sky, sensitivity, residual, i):
    """One spectrum of `add_sky_residual`."""
    last = noise.size - 1
    scale, half = residual.scale, 0.5 * residual.shift  # centred difference per pixel
    a, b = residual.amplitude[i, 0], residual.amplitude[i, 1]
    for j in range(0, last + 1, max(last, 1)):  # both ends
        step = sky[min(j + 1, last)] - sky[max(j - 1, 0)]
        noise[j] = _with_residual(
            noise[j], sigma[j], sky[j], step, sensitivity[j], scale, half, a, b
        )
    for j in range(1, last):  # no branch: vectors
        step = sky[j + 1] - sky[j - 1]
        noise[j] = _with_residual(
            noise[j], sigma[j], sky[j], step, sensitivity[j], scale, half, a, b
        )


@njit(cache=True, parallel=True, error_model="numpy")
def add_sky_residual(noise, sigma, sky, sensitivity, residual):
    """Turn unit normals into noise whose sky residual is correlated.

    The variance of every pixel is sigma squared: what the two modes carry of it is taken from
    the independent part.

    Parameters
    ----------
    noise : float32 array, shape (n_spec, n_wave)
        Standard normals, overwritten with the noise [flux unit].
    sigma : float32 array, shape (n_spec, n_wave)
        [flux unit].
    sky, sensitivity
        As in `fill_floor_modes`.
    residual : SkyResidual
    """
    for i in prange(noise.shape[0]):
        sky_residual_row(noise[i], sigma[i], sky[i], sensitivity[i], residual, np.int64(i))


@njit(cache=True, error_model="numpy")
def _widened(sigma, model, variance):
    return math.sqrt(sigma * sigma + model * model * variance)


@njit(cache=True, error_model="numpy")
def distortion_row(flux, sigma, flux_model, distortion, i):
    """One spectrum of `add_distortion`."""
    shapes, size = distortion.shapes, distortion.amplitude[i]
    total = size[0] * shapes[0]  # float32 (n_wave,): sum over modes
    for k in range(1, len(shapes)):
        shape, own = shapes[k], size[k]
        for j in range(total.size):
            total[j] += own * shape[j]
    for j in range(total.size):
        model = flux_model[j]
        flux[j] += model * total[j]
        sigma[j] = _widened(sigma[j], model, distortion.variance[j])


@njit(cache=True, parallel=True, error_model="numpy")
def add_distortion(flux, sigma, flux_model, distortion):
    """Add errors in proportion to the noiseless flux, and their variance to that of sigma.

    Parameters
    ----------
    flux, sigma : float32 arrays, shape (n_spec, n_wave)
        Changed in place [flux unit].
    flux_model : float32 array, shape (n_spec, n_wave)
        [flux unit].
    distortion : Distortion
    """
    for i in prange(flux.shape[0]):
        distortion_row(flux[i], sigma[i], flux_model[i], distortion, np.int64(i))


@njit(cache=True, parallel=True, error_model="numpy")
def widen_error(sigma, flux_model, variance):
    """Add errors in proportion to the noiseless flux to a standard deviation, in quadrature.

    Parameters
    ----------
    sigma : float32 array, shape (n_spec, n_wave)
        Changed in place [flux unit].
    flux_model : float32 array, shape (n_spec, n_wave)
        [flux unit].
    variance : float32 array, shape (n_wave,)
        Of the fractional error.
    """
    n_spec, n_wave = sigma.shape
    for i in prange(n_spec):
        for j in range(n_wave):
            sigma[i, j] = _widened(sigma[i, j], flux_model[i, j], variance[j])


@njit(cache=True, error_model="numpy")
def poisson_quantile(mean, normal):
    """Number of counts at the quantile of a Poisson law that ``normal`` has in the normal law.

    Up to a mean of 30 by summation, above by the expansion of Giles (2016, ACM Trans. Math.
    Softw. 42, 1, equation 11), wrong by one count in less than 1e-4 of the draws.

    Parameters
    ----------
    mean : float64
    normal : float64
        Standard normal number.
    """
    if mean <= 0.0:
        return 0.0
    if mean < FEW:
        # Φ(z): the quantile keeps the normal's keys
        probability = 0.5 * math.erfc(-normal / math.sqrt(2.0))
        term = math.exp(-mean)
        total = term
        count = 0.0
        while total < probability and count < 200.0:  # 200: far beyond what any double can ask for
            count += 1.0
            term *= mean / count  # next Poisson term by recursion
            total += term
        return count
    w = normal  # Cornish-Fisher expansion of the quantile
    root = math.sqrt(mean)
    value = mean + root * w + 1.0 / 3.0 + w * w / 6.0
    value += (-w / 36.0 - w**3 / 72.0) / root
    value += (-8.0 / 405.0 + 7.0 * w * w / 810.0 + w**4 / 270.0) / mean
    return max(math.floor(value), 0.0)


@njit(cache=True, parallel=True, error_model="numpy")
def fill_counts(noise, rest, flux, sensitivity, photons, factors, sigma, n_exposure):
    """Noise of counted photons, and Gaussian noise for the rest of the variance.

    Photons of star and background arrive in lumps of the gain that makes their variance the
    calculator's (1 where its empirical factors are), so mean and variance are exact.

    Parameters
    ----------
    noise : float32 array, shape (n_spec, n_wave)
        Standard normals that pick the counts, overwritten with the noise [flux unit].
    rest : float32 array, shape (n_spec, n_wave)
        Standard normals of everything that is not photons.
    flux : float32 array, shape (n_spec, n_wave)
        Noiseless flux [flux unit].
    sensitivity : float64 array, shape (n_spec, n_wave)
        [electron per exposure / flux unit].
    photons : float64 array, shape (n_spec, n_wave)
        Of sky, stray light and dark current [electron per exposure].
    factors : (float64, float64)
        Variance per electron of the star and of the background.
    sigma : float32 array, shape (n_spec, n_wave)
        Standard deviation to be met [flux unit].
    n_exposure : float64 array, shape (n_spec, n_wave)
        Exposures that count.
    """
    n_spec, n_wave = flux.shape
    of_star, of_background = factors
    for i in prange(n_spec):
        for j in range(n_wave):
            electrons = n_exposure[i, j] * sensitivity[i, j]  # per unit of flux, all exposures
            star = max(electrons * flux[i, j], 0.0)
            background = n_exposure[i, j] * photons[i, j]
            mean = star + background
            variance = of_star * star + of_background * background  # of counting alone [electron²]
            total = (sigma[i, j] * electrons) ** 2  # of everything [electron²]
            gain = variance / mean if mean > 0.0 else 1.0  # > 1: electrons come in lumps of so many
            lumps = mean / gain
            counted = gain * (poisson_quantile(lumps, noise[i, j]) - lumps)
            # read noise, dark, floor: normal
            other = math.sqrt(max(total - variance, 0.0)) * rest[i, j]
            noise[i, j] = (counted + other) / electrons


@njit(cache=True, parallel=True, error_model="numpy")
def fill_lost(lost, uniform, threshold, reach):
    """Exposures lost to cosmic rays in every pixel of a coadd.

    Parameters
    ----------
    lost : uint16 array, shape (n_spec, n_wave)
        Overwritten; not yet limited to the number of exposures.
    uniform : float64 array, shape (n_spec, n_wave)
        Uniform numbers in (0, 1): one per pixel for all exposures together.
    threshold : float64 array, shape (n_spec, n_most)
        Probability of at most 0, 1, 2, ... hits in a pixel.
    reach : int
        Neighbours on each side that a hit spoils.
    """
    n_spec, n_wave = lost.shape
    n_most = threshold.shape[1]
    for i in prange(n_spec):
        hits = np.zeros(n_wave, dtype=np.uint16)  # exposures lost in a pixel
        for j in range(n_wave):
            k = 0
            # inverse of the binomial's distribution function
            while k < n_most and uniform[i, j] > threshold[i, k]:
                k += 1
            hits[j] = k
        for j in range(n_wave):
            total = 0
            # a hit spoils its neighbours too
            for k in range(max(j - reach, 0), min(j + reach + 1, n_wave)):
                total += hits[k]
            lost[i, j] = total


@njit(cache=True, parallel=True, error_model="numpy")
def look_up(values, table, number):
    """Take an entry of each spectrum's own table in every pixel.

    Parameters
    ----------
    values : float array, shape (n_spec, n_wave)
        Overwritten.
    table : float64 array, shape (n_spec, n_entry)
    number : uint16 array, shape (n_spec, n_wave)
        Entry wanted.
    """
    n_spec, n_wave = number.shape
    for i in prange(n_spec):
        for j in range(n_wave):
            values[i, j] = table[i, number[i, j]]
