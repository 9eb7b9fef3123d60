"""Median and 95th percentile of flux over error, straight from conditions, with few square roots.

Order statistics need few pixels exactly. The square of every pixel's ratio is computed to some
units of float32, without a root or a division in float64. A search finds a narrow window of it
around each rank, and the pixels in the window alone are computed as the error and its ratio are
elsewhere. What comes out has the bits of the long way, which spectra take that are not positive.
"""

import numpy as np
from numba import njit, prange

from starsmith.data_contract.kernels.flags import (
    FLAGS,
    count_flags,
    first_flag,
    flags_up_to,
)
from starsmith.data_contract.kernels.noise import (
    background_of,
    electrons_per_flux,
    error_of,
    mean_of,
    sky_row,
)
from starsmith.data_contract.kernels.order import (
    median_and_p95_of_row,
    median_of,
    p95_of,
)

__all__ = ["fill_signal_to_noise"]

SLACK = 64  # units in the last place: four times what short and long way may differ by
ENOUGH = 24  # pixels of a window that is narrow enough
NEAR = 4  # ranks from the one wanted that a search aims at, at least
LOW, LOW_COUNT, HIGH, HIGH_COUNT = 0, 1, 2, 3
"""Of a window: keys to either side of a rank, and how many keys are up to each."""
MOST = 256  # pixels of a window, else the long way is as short
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
def _count(keys, limits, counts):
    """Count the keys up to each of four limits."""
    first, second, third, last = limits[0], limits[1], limits[2], limits[3]
    n_first, n_second, n_third, n_last = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
    for j in range(keys.size):
        n_first = np.int32(n_first + np.int32(keys[j] <= first))
        n_second = np.int32(n_second + np.int32(keys[j] <= second))
        n_third = np.int32(n_third + np.int32(keys[j] <= third))
        n_last = np.int32(n_last + np.int32(keys[j] <= last))
    counts[0], counts[1], counts[2], counts[3] = n_first, n_second, n_third, n_last


@njit(cache=True)
def _is_wide(window):
    """Whether a window has more keys than are looked at one by one, and can be narrowed."""
    return window[HIGH_COUNT] - window[LOW_COUNT] > ENOUGH and window[HIGH] - window[LOW] > 1


@njit(cache=True)
def _aim(window, rank, side, step):
    """A limit inside a window: a little below the rank, or above it; now and then a third."""
    low, width = window[LOW], window[HIGH] - window[LOW]
    n_keys = window[HIGH_COUNT] - window[LOW_COUNT]
    margin = NEAR + n_keys // 16
    share = (rank + 1 + (2 * side - 1) * margin - window[LOW_COUNT]) / n_keys
    if step % 4 == 3:
        share = (1 + side) / 3
    return low + min(max(np.int64(width * share), 1), width - 1)


@njit(cache=True)
def _narrow(keys, sample, ranks, windows):
    """Narrow a window of keys about each rank, beginning with a sorted sample of the keys."""
    limits, counts, step = np.empty(4, np.int32), np.empty(4, np.int64), 0
    while _is_wide(windows[0]) or _is_wide(windows[1]):
        for k in range(4):
            window, rank, side = windows[k // 2], ranks[k // 2], k % 2
            if step == 0:
                at = sample.size * rank // keys.size + (2 * side - 1) * FEW
                limits[k] = sample[min(max(at, 0), sample.size - 1)]
            else:
                limits[k] = _aim(window, rank, side, step) if _is_wide(window) else window[LOW]
        _count(keys, limits, counts)
        for k in range(4):
            window = windows[k // 2]
            if not window[LOW] < limits[k] < window[HIGH]:
                continue
            if counts[k] <= ranks[k // 2]:
                window[LOW], window[LOW_COUNT] = limits[k], counts[k]
            else:
                window[HIGH], window[HIGH_COUNT] = limits[k], counts[k]
        step += 1


@njit(cache=True)
def _inside(keys, window, places):
    """Number of keys below a window and in it, and where those are, up to as many as are asked."""
    low, high = np.int32(window[LOW] - SLACK), np.int32(window[HIGH] + SLACK)
    n_below, n_inside = 0, 0
    for start in range(0, keys.size, FLAGS):
        below = flags_up_to(keys, start, low)
        n_below += count_flags(below)
        inside = flags_up_to(keys, start, high) & ~below
        while inside:
            places[min(n_inside, MOST - 1)] = start + first_flag(inside)
            n_inside += 1
            inside &= inside - np.uint64(1)
    return n_below, n_inside


@njit(cache=True)
def _next_above(keys, key):
    """The least key above one, or that one."""
    least = np.int32(2**31 - 1)
    for k in range(keys.size):
        least = min(least, keys[k] if keys[k] > key else np.int32(2**31 - 1))
    return np.int64(least) if least < np.int32(2**31 - 1) else key


@njit(cache=True, error_model="numpy")
def _pair(keys, rank, last, window, flux, sky, light, quiet, i, constant):
    """Ratios of a rank and the next, float32, whose keys lie in a window; and whether they do."""
    places = np.empty(MOST, np.int64)
    n_below, n_inside = _inside(keys, window, places)
    if n_below + n_inside < min(rank + 2, last + 1):
        window[HIGH] = _next_above(keys, np.int32(window[HIGH] + SLACK))
        n_below, n_inside = _inside(keys, window, places)
    at = rank - n_below
    if n_inside > MOST or at < 0 or at >= n_inside:
        return np.float32(0.0), np.float32(0.0), False
    ratios = _ratios(places[:n_inside], flux, sky, light, quiet, i, constant)
    ratios.sort()
    return ratios[at], ratios[min(at + 1, n_inside - 1)], True


@njit(cache=True, error_model="numpy")
def _short_way(out, flux, sky, light, quiet, i, constant):
    """Both statistics of one spectrum; False where they must go the long way."""
    whole = np.empty(-(-flux.size // FLAGS) * FLAGS, np.int32)
    keys, last = whole[: flux.size], flux.size - 1
    whole[flux.size :] = 2**31 - 1
    _squares(keys, flux, sky, light, quiet, i, constant)
    least, largest = np.int64(keys.min()), np.int64(keys.max())
    if least < LEAST or largest > LARGEST:
        return False
    sample = keys[:: max(flux.size // SAMPLED, 1)].copy()
    sample.sort()
    ranks = np.array([last // 2, 95 * last // 100])
    windows = np.empty((2, 4), np.int64)
    windows[:, LOW], windows[:, LOW_COUNT] = least - 1, 0
    windows[:, HIGH], windows[:, HIGH_COUNT] = largest, keys.size
    _narrow(keys, sample, ranks, windows)
    first, second, good = _pair(
        whole, ranks[0], last, windows[0], flux, sky, light, quiet, i, constant
    )
    out[0] = median_of(first, second, last)
    first, second, also = _pair(
        whole, ranks[1], last, windows[1], flux, sky, light, quiet, i, constant
    )
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
        row = np.int64(i)  # a parallel loop counts unsigned, and would compile what it calls twice
        sky_row(sky[1:-1], quiet, row)
        sky[0], sky[n_wave + 1] = sky[1], sky[n_wave]
        constant = quiet.scalars[i, 3] + quiet.scalars[i, 2] * mean_of(sky[1:-1])
        if not _short_way(snr[i], flux[i], sky, light, quiet, row, constant):
            _long_way(snr[i], flux[i], sky, light, quiet, row, constant)
