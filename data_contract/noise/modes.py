"""Correlated noise: what errs in many pixels at once, as a few modes per spectrum.

With U the modes, one column each, the covariance of a spectrum is C = D + U Uᵀ, D diagonal.
"""

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.kernels.noise_terms import fill_floor_modes
from starsmith.data_contract.noise.detector import sensitivity, sky_counts
from starsmith.data_contract.noise.noise_tables import NoiseTables

__all__ = [
    "FLOOR_MODES",
    "floor_amplitudes",
    "floor_modes",
    "floor_share",
    "smooth_shapes",
    "telluric_depth",
]

FLOOR_MODES = 2  # per arm: a scale of the sky, a shift in wavelength
SCALE_SHARE = 0.5  # of the floor's variance: at most this much of it is an error of scale
POLYNOMIALS = 4  # of the flux calibration: Legendre orders 0 to 3

OXYGEN = ((7588.0, 7740.0),)  # the A band
WATER = ((7160.0, 7420.0), (8090.0, 8420.0))  # the 720 and 820 nm bands
EDGE = 12.0  # [Å] on each side of a band that count as free of lines


def floor_amplitudes(tables: NoiseTables) -> tuple[float, float]:
    """Rms of the two modes of one arm's sky residual.

    A share of one half each makes their variance at most that of the calculator's floor in
    every pixel, whatever the sky: (a s)² + (b Δs/2)² ≤ floor² max(s)² where |Δs| ≤ max(s).

    Parameters
    ----------
    tables : NoiseTables
        Of one arm.

    Returns
    -------
    scale : float
        Fractional error of the sky's brightness.
    shift : float
        Error of its wavelengths [pixel].
    """
    # the empirical factor widens the floor too
    rms = np.sqrt(tables.variance_factor) * tables.floor_fraction
    return float(rms * np.sqrt(SCALE_SHARE)), float(2.0 * rms * np.sqrt(1.0 - SCALE_SHARE))


def floor_modes(tables: NoiseTables, conditions: np.ndarray) -> np.ndarray:
    """Modes of a correlated sky residual: an error of scale and a shift, per arm.

    They do not average down with the number of exposures, nor does the floor they are part of.
    Their squares add up to at most the floor's variance; what they leave of it is independent
    from pixel to pixel, so that the variance of each pixel is the calculator's.

    Parameters
    ----------
    tables : NoiseTables
    conditions : float64 array, shape (n_spec, 8)

    Returns
    -------
    modes : float64 array, shape (n_spec, n_wave, 2 n_arm)
        U [1e-17 erg/s/cm²/Å], each column for a standard normal amplitude; columns of an arm
        are zero outside it.
    """
    sky, electrons = sky_counts(tables, conditions), sensitivity(tables, conditions)
    modes = np.zeros((*sky.shape, FLOOR_MODES * len(tables.arms)))
    for k, (arm, own) in enumerate(zip(tables.arms, tables.by_arm, strict=True)):
        first = FLOOR_MODES * k
        fill_floor_modes(
            modes[:, arm.pixels, first : first + FLOOR_MODES],
            sky[:, arm.pixels],
            electrons[:, arm.pixels],
            *floor_amplitudes(own),
        )
    return modes


def floor_share(tables: NoiseTables, conditions: np.ndarray) -> np.ndarray:
    """Fraction of the floor's variance, summed over electrons, that its modes carry.

    Parameters
    ----------
    tables : NoiseTables
    conditions : float64 array, shape (n_spec, 8)

    Returns
    -------
    share : float64 array, shape (n_spec,)
        0.50 for PFS MR under any sky.
    """
    sky = sky_counts(tables, conditions)
    carried, floor = np.zeros(len(sky)), np.zeros(len(sky))
    for arm, own in zip(tables.arms, tables.by_arm, strict=True):
        # edges repeat, as in the kernel
        padded = np.pad(sky[:, arm.pixels], ((0, 0), (1, 1)), mode="edge")
        before, here, after = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
        scale, shift = floor_amplitudes(own)
        modes = (scale * here) ** 2 + (0.5 * shift * (after - before)) ** 2
        peak = np.maximum(np.maximum(before, here), after)
        carried += modes.sum(axis=1)
        floor += own.variance_factor * own.floor_fraction**2 * (peak**2).sum(axis=1)
    return carried / floor


def telluric_depth(tables: NoiseTables) -> np.ndarray:
    """Optical depth of telluric oxygen and water as the instrument sees it.

    Read off the instrument's conversion: -ln of its ratio to a straight line between the
    edges of each band.

    Parameters
    ----------
    tables : NoiseTables

    Returns
    -------
    depth : float64 array, shape (2, n_wave)
        Oxygen (A band), water (720 and 820 nm); 0 elsewhere, never negative.
    """
    depth = np.zeros((2, tables.wave.size))
    for k, bands in enumerate((OXYGEN, WATER)):
        for arm in tables.arms:
            wave, conversion = tables.wave[arm.pixels], tables.conversion[arm.pixels]
            for band in bands:
                depth[k, arm.pixels] += _band_depth(wave, conversion, *band)
    return depth


def _band_depth(wave: np.ndarray, conversion: np.ndarray, low: float, high: float) -> np.ndarray:
    inside = (wave >= low) & (wave <= high)
    depth = np.zeros(wave.size)
    # free of lines on either side
    sides = [(wave >= low - EDGE) & (wave < low), (wave > high) & (wave <= high + EDGE)]
    edges = [
        (at, conversion[s].mean()) for at, s in zip((low, high), sides, strict=True) if s.any()
    ]
    if inside.any() and edges:
        at, level = np.array(edges).T
        # to a straight line across the band
        ratio = conversion[inside] / np.interp(wave[inside], at, level)
        depth[inside] = np.maximum(-fixed.log(ratio), 0.0)
    return depth


def smooth_shapes(tables: NoiseTables, size: float) -> np.ndarray:
    """Errors of the flux scale: Legendre polynomials in wavelength, of equal weight.

    Parameters
    ----------
    tables : NoiseTables
    size : float
        Rms fractional error: their mean square over the spectrum adds up to its square.

    Returns
    -------
    shapes : float64 array, shape (4, n_wave)
    """
    low, high = tables.wave.min(), tables.wave.max()
    order = np.arange(POLYNOMIALS)
    x = (2.0 * tables.wave - low - high) / (high - low)  # -1..1 over all arms
    legendre = np.polynomial.legendre.legvander(x, POLYNOMIALS - 1).T
    rms = size / np.sqrt(POLYNOMIALS)
    # Legendre polynomials of unit mean square
    return rms * np.sqrt(2.0 * order + 1.0)[:, None] * legendre
