"""Median and 95th percentile of flux over error, straight from conditions, with few square roots.

Order statistics need few pixels exactly. The square of every pixel's ratio is computed to some
units of float32, without a root or a division in float64. A search finds a narrow window of it
around each rank, and the pixels in the window alone are computed as the error and its ratio are
elsewhere. What comes out has the bits of the long way, which spectra take that are not positive.
"""

import numpy as np
from numba import njit, prange

from starsmith.data_contract.kernels.noise import (
    background_of,
    electrons_per_flux,
    error_of,
    mean_of,
    sky_row,
)
from starsmith.data_contract.kernels.order import (
    count_up_to,
    median_and_p95_of_row,
    median_of,
    p95_of,
)

__all__ = ["fill_signal_to_noise"]

SLACK = 64  # units in the last place: four times what short and long way may differ by
ENOUGH = 12  # pixels of a window that is narrow enough
NEAR = 4  # ranks from the one wanted that a search aims at
MOST = 256  # pixels of a window, else the long way is as short
BLOCK = 64  # pixels looked at together
SAMPLED = 64  # pixels that tell about where a rank lies
FEW = 3  # of the sample, to either side
LEAST, LARGEST = (np.array([1e-30, 1e30], np.float32).view(np.int32)).tolist()
"""Bits of squares that float32 holds well; those of a negative or undefined one lie outside."""


@njit(cache=True, error_model="numpy")
def _squares(keys, flux, sky, light, quiet, i, constant):
    """Bits of the squares of signal over noise of one exposure, of the sign of the signal.

    ``sky`` has a pixel more on either side, equal to its neighbour.
    """
    smooth, exposure, sample_factor = light.smooth[i], light.exposure[i], light.sample_factor
    factor, floor = quiet.scalars[i, 0], quiet.scalars[i, 1]
    for knot in range(smooth.size - 1):
        low = smooth[knot]
        rise = smooth[knot + 1] - low
        first, stop = light.first_pixel[knot], light.first_pixel[knot + 1]
        conversion, fraction = light.conversion[first:stop], light.knot_fraction[first:stop]
        left, here, right = sky[first:], sky[first + 1 :], sky[first + 2 :]
        star, out = flux[first:stop], keys[first:stop]
        for j in range(out.size):
            brightest = max(max(left[j], here[j]), right[j])
            background = background_of(here[j], brightest, factor, floor, constant)
            sensitivity = electrons_per_flux(exposure, conversion[j], low, fraction[j], rise)
            electrons = sensitivity * star[j]
            square = np.float32(electrons * abs(electrons))
            square /= np.float32(sample_factor * electrons + background)
            out[j] = np.float32(square).view(np.int32)


@njit(cache=True, error_model="numpy")
def _ratios(places, flux, sky, light, quiet, i, constant):
    """Flux over error of some pixels in ascending order, float32, as the long way has it."""
    smooth, first_pixel, n = light.smooth[i], light.first_pixel, light.n_exposure[i]
    factor, floor, exposure = quiet.scalars[i, 0], quiet.scalars[i, 1], light.exposure[i]
    ratios = np.empty(places.size, np.float32)
    knot = 0
    for k in range(places.size):
        j = places[k]
        while first_pixel[knot + 1] <= j:
            knot += 1
        low, rise = smooth[knot], smooth[knot + 1] - smooth[knot]
        brightest = max(max(sky[j], sky[j + 1]), sky[j + 2])
        background = background_of(sky[j + 1], brightest, factor, floor, constant)
        sensitivity = electrons_per_flux(
            exposure, light.conversion[j], low, light.knot_fraction[j], rise
        )
        error = error_of(flux[j], sensitivity, background, light.sample_factor, n)
        ratios[k] = flux[j] / np.float32(error)
    return ratios


@njit(cache=True)
def _narrow(keys, rank, low, n_low, high, n_high):
    """Keys about a rank with few others between them, and how many keys are up to each."""
    step = 0
    while n_high - n_low > ENOUGH and high - low > 1:
        wanted = rank + 1 - NEAR if rank + 1 - n_low > n_high - rank - 1 else rank + 1 + NEAR
        share = 0.5 if step % 4 == 3 else (wanted - n_low) / (n_high - n_low)
        middle = low + min(max(np.int64((high - low) * share), 1), high - low - 1)
        n = np.int64(count_up_to(keys, np.int32(middle)))
        if n <= rank:
            low, n_low = middle, n
        else:
            high, n_high = middle, n
        step += 1
    return low, n_low, high, n_high


@njit(cache=True)
def _within(keys, low, high, places):
    """Number of keys up to ``low``; of those above it up to ``high``, whose places are written."""
    n_below, found = 0, 0
    low, high = np.int32(low), np.int32(high)
    for start in range(0, keys.size, BLOCK):
        part = keys[start : start + BLOCK]
        below, up_to = np.int32(0), np.int32(0)
        for k in range(part.size):
            below = np.int32(below + np.int32(part[k] <= low))
            up_to = np.int32(up_to + np.int32(part[k] <= high))
        n_below += below
        if up_to > below:
            for k in range(part.size):
                if part[k] > low and part[k] <= high and found < places.size:
                    places[found] = start + k
                    found += 1
    return n_below, found


@njit(cache=True)
def _next_above(keys, key):
    """The least key above one, or that one."""
    least = np.int32(2**31 - 1)
    for k in range(keys.size):
        least = min(least, keys[k] if keys[k] > key else np.int32(2**31 - 1))
    return np.int64(least) if least < np.int32(2**31 - 1) else key


@njit(cache=True, error_model="numpy")
def _pair(keys, rank, low, high, flux, sky, light, quiet, i, constant):
    """Ratios of a rank and the next, float32, whose keys lie in a window; and whether it did."""
    places = np.empty(MOST, np.int64)
    n_below, found = _within(keys, low - SLACK, high + SLACK, places)
    if n_below + found < min(rank + 2, keys.size):
        high = _next_above(keys, np.int32(high + SLACK))
        n_below, found = _within(keys, low - SLACK, high + SLACK, places)
    ratios = _ratios(places[:found], flux, sky, light, quiet, i, constant)
    ratios.sort()
    at = rank - n_below
    if found == MOST or at < 0 or at >= found:
        return np.float32(0.0), np.float32(0.0), False
    return ratios[at], ratios[min(at + 1, found - 1)], True


@njit(cache=True)
def _bracket(keys, sample, rank, low, n_low, high, n_high):
    """Keys about a rank, from a sorted sample of them, and how many keys are up to each."""
    at = sample.size * rank // keys.size
    for k in (max(at - FEW, 0), min(at + FEW, sample.size - 1)):
        middle = np.int64(sample[k])
        if low < middle < high:
            n = np.int64(count_up_to(keys, sample[k]))
            if n <= rank:
                low, n_low = middle, n
            else:
                high, n_high = middle, n
    return _narrow(keys, rank, low, n_low, high, n_high)


@njit(cache=True, error_model="numpy")
def _short_way(out, flux, sky, light, quiet, i, constant):
    """Both statistics of one spectrum; False where they must go the long way."""
    keys = np.empty(flux.size, np.int32)
    _squares(keys, flux, sky, light, quiet, i, constant)
    least, largest, last = np.int64(keys.min()), np.int64(keys.max()), flux.size - 1
    if least < LEAST or largest > LARGEST:
        return False
    sample = keys[:: max(flux.size // SAMPLED, 1)].copy()
    sample.sort()
    rank = last // 2
    low, n_low, high, _ = _bracket(keys, sample, rank, least - 1, 0, largest, keys.size)
    first, second, good = _pair(keys, rank, low, high, flux, sky, light, quiet, i, constant)
    out[0] = median_of(first, second, last)
    rank = 95 * last // 100
    low, _, high, _ = _bracket(keys, sample, rank, low, n_low, largest, keys.size)
    first, second, also = _pair(keys, rank, low, high, flux, sky, light, quiet, i, constant)
    out[1] = p95_of(first, second, last)
    return good and also


@njit(cache=True, error_model="numpy")
def _long_way(out, flux, sky, light, quiet, i, constant):
    """Both statistics from the ratio of every pixel."""
    ratios = _ratios(np.arange(flux.size), flux, sky, light, quiet, i, constant)
    median_and_p95_of_row(ratios, np.ones(flux.size, np.float32), out)


@njit(cache=True, parallel=True)
def fill_signal_to_noise(snr, flux, light, quiet):
    """Median and 95th percentile over pixels of flux over its error, straight from conditions.

    The bits of `fill_expected_error` and then `median_and_p95`; no error leaves the cache.

    Parameters
    ----------
    snr : float64 array, shape (n_spec, 2)
        Overwritten.
    flux : float32 array, shape (n_spec, n_wave)
    light : Light
    quiet : Quiet
        Of a spectrograph of one arm.
    """
    n_spec, n_wave = flux.shape
    for i in prange(n_spec):
        sky = np.empty(n_wave + 2)
        sky_row(sky[1:-1], quiet, i)
        sky[0], sky[n_wave + 1] = sky[1], sky[n_wave]
        constant = quiet.scalars[i, 3] + quiet.scalars[i, 2] * mean_of(sky[1:-1])
        if not _short_way(snr[i], flux[i], sky, light, quiet, i, constant):
            _long_way(snr[i], flux[i], sky, light, quiet, i, constant)
