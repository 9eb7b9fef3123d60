"""Cosmic rays: exposures lost in some pixels, the error and the mask that are left."""

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.kernels.noise_terms import fill_lost
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.random import DrawKey, uniforms

__all__ = ["EXTRACTED_CM2", "hit_mask", "interpolate_lost", "lost_exposures"]

PIXEL_CM = 15.0e-4  # of the PFS detectors
TRACE_PIXELS = 5  # detector pixels summed into an extracted one
EXTRACTED_CM2 = TRACE_PIXELS * PIXEL_CM**2
REACH = 1  # neighbours on each side that a hit spoils: charge diffuses, tracks are slanted
MOST_HITS = 8  # in one pixel of a coadd; more are as improbable as they are alike


def lost_exposures(
    rate: float,
    conditions: np.ndarray,
    key: DrawKey,
    n_wave: int,
    sub: int = 0,
) -> np.ndarray:
    """How many exposures each pixel of a coadd lost.

    Hits strike each extracted pixel and exposure independently with probability rate x area x
    time, and spoil its neighbours as well.

    Parameters
    ----------
    rate : float
        Hits on the detector [cm⁻² s⁻¹].
    conditions : float64 array, shape (n_spec, 8)
    key : DrawKey
    n_wave : int
    sub : int
        Realisation of the stream.

    Returns
    -------
    lost : uint16 array, shape (n_spec, n_wave)
        At most ``exp_count``.
    """
    count = conditions[:, CONDITIONS.index("exp_count")]
    # of a hit in a pixel and exposure
    chance = rate * EXTRACTED_CM2 * conditions[:, CONDITIONS.index("exp_time")]
    threshold = _at_most(np.minimum(chance, 1.0), count)
    lost = np.empty((len(conditions), n_wave), dtype=np.uint16)
    uniform = uniforms(key, "cosmic_rays", n_wave, sub)
    fill_lost(lost, uniform, threshold, REACH)
    return np.minimum(lost, count[:, None].astype(np.uint16))


def _at_most(chance: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Binomial probability of at most 0, 1, ... hits, float64 (n_spec, MOST_HITS)."""
    terms = np.empty((count.size, MOST_HITS))
    terms[:, 0] = fixed.power(1.0 - chance, count)  # binomial: none of the exposures is hit
    odds = chance / np.maximum(1.0 - chance, np.finfo(float).tiny)
    for k in range(1, MOST_HITS):
        # next term by recursion
        terms[:, k] = terms[:, k - 1] * odds * np.maximum(count - k + 1, 0.0) / k
    return np.cumsum(terms, axis=1)


def hit_mask(lost: np.ndarray, exp_count: np.ndarray) -> np.ndarray:
    """Mask of a coadd: ``CR`` where exposures are lost, ``INTRP`` and ``NO_DATA`` where all are.

    Parameters
    ----------
    lost : uint16 array, shape (n_spec, n_wave)
    exp_count : float64 array, shape (n_spec,)

    Returns
    -------
    mask : uint32 array, shape (n_spec, n_wave)
    """
    mask = np.where(lost > 0, np.uint32(mask_value("CR")), np.uint32(0))
    # no exposure left: interpolated, marked as without data
    mask[lost >= exp_count[:, None]] |= np.uint32(mask_value("INTRP", "NO_DATA"))
    return mask


def interpolate_lost(flux: np.ndarray, lost: np.ndarray, exp_count: np.ndarray) -> None:
    """Fill pixels without any exposure from their neighbours, in place.

    Parameters
    ----------
    flux : float32 array, shape (n_spec, n_wave)
    lost : uint16 array, shape (n_spec, n_wave)
    exp_count : float64 array, shape (n_spec,)
    """
    gone = lost >= exp_count[:, None]
    for i in np.flatnonzero(gone.any(axis=1) & ~gone.all(axis=1)):
        left = np.flatnonzero(~gone[i])
        flux[i, gone[i]] = np.interp(np.flatnonzero(gone[i]), left, flux[i, left])
