"""Median and 95th percentile of flux over error, straight from conditions, with few square roots.

Order statistics need few pixels exactly. The square of every pixel's ratio is computed to some
units of float32, without a root and without float64. A search in the upper bits of it finds a
narrow window around each rank, and the pixels in the window alone are computed as the error and
its ratio are elsewhere. What comes out has the bits of the long way, which spectra take that are
not positive.
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
    Light,
    background_of,
    electrons_per_flux,
    error_of,
    mean_of,
    sky_row,
)
from starsmith.data_contract.kernels.order import (
    extremes,
    median_and_p95_of_row,
    median_of,
    p95_of,
)

__all__ = ["fill_signal_to_noise"]

# Roundings of the short way add up to 80 units in the last place at most: 24 of the sensitivity,
# where the smooth part changes by no more than STEEPEST between knots, and as many of the variance.
SLACK = 256  # units: three times that, and twice is needed
STEEPEST = 4.0  # ratio of the smooth part at two neighbouring knots, up to which that holds
ENOUGH = 12  # pixels of a window that is narrow enough
NEAR = 4  # ranks from the one wanted that a search aims at, at least
LOW, LOW_COUNT, HIGH, HIGH_COUNT = 0, 1, 2, 3
"""Of a window: coarse keys to either side of a rank, and how many are up to each."""
MOST = 256  # pixels of a window, else the long way is as short
SAMPLED = 64  # pixels that tell about where a rank lies
FEW = 3  # of the sample, to either side
LEAST, LARGEST = (np.array([1e-30, 1e30], np.float32).view(np.int32)).tolist()
"""Bits of squares that float32 holds well; those of a negative or undefined one lie outside."""
ONE = np.array(1.0, np.float32).view(np.int32).item()
COARSE = 13  # bits that a coarse key leaves out; S/N of 2^-16 to 2^16 has one of its own
FIRST, FINAL = -(2**15), 2**15 - 1  # coarse keys, of all that is below or above as well
AT_ONCE = 2**14  # pixels that 16 bits can count


@njit(cache=True, error_model="numpy")
def _is_gentle(smooth):
    """Whether the smooth part changes so little between knots that float32 does for its slope."""
    gentle = True
    for knot in range(smooth.size - 1):
        low, high = smooth[knot], smooth[knot + 1]
        gentle = gentle and low < STEEPEST * high and high < STEEPEST * low
    return gentle


@njit(cache=True)
def _in_single(light):
    """The same in float32."""
    return Light(
        light.conversion.astype(np.float32),
        light.first_pixel,
        light.knot_fraction.astype(np.float32),
        light.smooth.astype(np.float32),
        light.exposure.astype(np.float32),
        light.n_exposure,
        np.float32(light.sample_factor),
    )


@njit(cache=True, error_model="numpy")
def _squares(keys, coarse, flux, sky, light, scalars):
    """Bits of the squares of signal over noise of one exposure, of the sign of the signal.

    All in float32: ``sky`` has a pixel more on either side, equal to its neighbour; ``light`` is
    of one spectrum; ``scalars`` are variance factor, floor fraction and constant background.
    """
    smooth, exposure, sample_factor = light.smooth, light.exposure, light.sample_factor
    factor, floor, constant = scalars
    sensitivity = np.empty(keys.size, np.float32)
    for knot in range(smooth.size - 1):
        low = smooth[knot]
        rise = smooth[knot + 1] - low
        pixels = slice(light.first_pixel[knot], light.first_pixel[knot + 1])
        conversion, fraction = light.conversion[pixels], light.knot_fraction[pixels]
        out = sensitivity[pixels]
        for j in range(out.size):
            out[j] = electrons_per_flux(exposure, conversion[j], low, fraction[j], rise)
    left, here, right = sky, sky[1:], sky[2:]
    for j in range(keys.size):
        brightest = max(max(left[j], here[j]), right[j])
        background = background_of(here[j], brightest, factor, floor, constant)
        electrons = sensitivity[j] * flux[j]
        square = electrons * (abs(electrons) / (sample_factor * electrons + background))
        keys[j] = np.float32(square).view(np.int32)
    for j in range(keys.size):
        upper = np.int32(np.int32(keys[j] - ONE) >> COARSE)
        coarse[j] = np.int16(min(max(upper, np.int32(FIRST)), np.int32(FINAL)))


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
def _ranked(values):
    """The values in ascending order: few enough to count those below each."""
    ranked = np.full(values.size, extremes(values)[0])
    for k in range(values.size):
        value, n_below = values[k], np.int32(0)
        for j in range(values.size):
            n_below = np.int32(n_below + np.int32(values[j] < value))
        ranked[n_below] = value
    for k in range(1, values.size):  # equal ones lie in the first of their places
        ranked[k] = max(ranked[k], ranked[k - 1])
    return ranked


@njit(cache=True)
def _count(keys, limits, counts):
    """Count the keys, int16, up to each of four limits."""
    first, second, third, last = limits[0], limits[1], limits[2], limits[3]
    counts[:] = 0
    for start in range(0, keys.size, AT_ONCE):
        some = keys[start : start + AT_ONCE]
        n_first, n_second, n_third, n_last = np.int16(0), np.int16(0), np.int16(0), np.int16(0)
        for j in range(some.size):
            n_first = np.int16(n_first + np.int16(some[j] <= first))
            n_second = np.int16(n_second + np.int16(some[j] <= second))
            n_third = np.int16(n_third + np.int16(some[j] <= third))
            n_last = np.int16(n_last + np.int16(some[j] <= last))
        counts[0] += n_first
        counts[1] += n_second
        counts[2] += n_third
        counts[3] += n_last


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
def _narrow(keys, ranks, windows):
    """Narrow a window of coarse keys about each rank and the next, beginning with a sample."""
    sample = _ranked(keys[:: max(keys.size // SAMPLED, 1)].copy())
    limits, counts, step = np.empty(4, np.int16), np.empty(4, np.int64), 0
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
    for k in range(2):
        if windows[k, HIGH_COUNT] < min(ranks[k] + 2, keys.size):
            windows[k, HIGH] = _next_above(keys, np.int16(windows[k, HIGH]))


@njit(cache=True)
def _next_above(keys, key):
    """The least key, int16, above one that is not the last."""
    least = np.int16(2**15 - 1)
    for k in range(keys.size):
        least = min(least, keys[k] if keys[k] > key else np.int16(2**15 - 1))
    return least


@njit(cache=True)
def _inside(keys, windows, places):
    """Keys below each window and in it, int64 (2, 2), and where the latter are, as many as fit."""
    limits = np.empty((2, 2), np.int32)
    for k in range(2):
        limits[k, 0] = ONE - 1 + ((windows[k, LOW] + 1) << COARSE) - SLACK
        limits[k, 1] = ONE - 1 + ((windows[k, HIGH] + 1) << COARSE) + SLACK
    counts = np.zeros((2, 2), np.int64)
    for start in range(0, keys.size, FLAGS):
        for k in range(2):
            below = flags_up_to(keys, start, limits[k, 0])
            counts[k, 0] += count_flags(below)
            inside = flags_up_to(keys, start, limits[k, 1]) & ~below
            while inside:
                places[k, min(counts[k, 1], MOST - 1)] = start + first_flag(inside)
                counts[k, 1] += 1
                inside &= inside - np.uint64(1)
    return counts


@njit(cache=True, error_model="numpy")
def _short_way(out, flux, sky, light, single, quiet, i, constant):
    """Both statistics of one spectrum; False where they must go the long way."""
    whole, last = np.empty(-(-flux.size // FLAGS) * FLAGS, np.int32), flux.size - 1
    keys, coarse = whole[: flux.size], np.empty(flux.size, np.int16)
    whole[flux.size :] = 2**31 - 1
    own = Light(
        single.conversion,
        single.first_pixel,
        single.knot_fraction,
        single.smooth[i],
        single.exposure[i],
        single.n_exposure[i],
        single.sample_factor,
    )
    factor, floor = np.float32(quiet.scalars[i, 0]), np.float32(quiet.scalars[i, 1])
    scalars = factor, floor, np.float32(constant)
    _squares(keys, coarse, flux, sky.astype(np.float32), own, scalars)
    faintest, brightest = extremes(keys)
    if faintest < LEAST or brightest > LARGEST or not _is_gentle(light.smooth[i]):
        return False
    ranks = np.array([last // 2, 95 * last // 100])
    windows = np.empty((2, 4), np.int64)
    windows[:, LOW], windows[:, LOW_COUNT] = FIRST - 1, 0
    windows[:, HIGH], windows[:, HIGH_COUNT] = FINAL, keys.size
    _narrow(coarse, ranks, windows)
    if min(windows[0, LOW], windows[1, LOW]) < FIRST:
        return False
    if max(windows[0, HIGH], windows[1, HIGH]) >= FINAL:
        return False
    places = np.empty((2, MOST), np.int64)
    counts = _inside(whole, windows, places)
    pairs = np.empty((2, 2), np.float32)
    for k in range(2):
        at, n_inside = ranks[k] - counts[k, 0], counts[k, 1]
        if n_inside > MOST or at < 0 or at >= n_inside:
            return False
        ratios = _ranked(_ratios(places[k, :n_inside], flux, sky, light, quiet, i, constant))
        pairs[k, 0], pairs[k, 1] = ratios[at], ratios[min(at + 1, n_inside - 1)]
    out[0] = median_of(pairs[0, 0], pairs[0, 1], last)
    out[1] = p95_of(pairs[1, 0], pairs[1, 1], last)
    return True


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
    single = _in_single(light)
    for i in prange(n_spec):
        sky = np.empty(n_wave + 2)
        row = np.int64(i)  # a parallel loop counts unsigned, and would compile what it calls twice
        sky_row(sky[1:-1], quiet, row)
        sky[0], sky[n_wave + 1] = sky[1], sky[n_wave]
        constant = quiet.scalars[i, 3] + quiet.scalars[i, 2] * mean_of(sky[1:-1])
        if not _short_way(snr[i], flux[i], sky, light, single, quiet, row, constant):
            _long_way(snr[i], flux[i], sky, light, quiet, row, constant)
