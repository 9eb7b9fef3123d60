"""Spectra moved by their radial velocity onto the same pixels, at rest."""

import math
from dataclasses import replace

import numpy as np
import scipy

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.unit_conversion import plain_value

__all__ = ["RV_METHOD", "shift_to_rest", "stretch_of"]

FASTEST = 3000.0  # km/s; a galaxy's velocity is no star's
GAP = 3.0  # median pixels; wider steps of wavelength lie between arms

RV_METHOD = "cubic spline between pixels, arm by arm"
"""How a shifted spectrum is brought back onto the pixels, in words."""


def stretch_of(rv: float) -> float:
    """Observed wavelength over that at rest, √((1+β)/(1-β)) with β = v/c; rv in km/s."""
    if not abs(rv) <= FASTEST:
        raise DataError(f"a radial velocity of {rv:g} km/s; expected -{FASTEST:g} to {FASTEST:g}")
    beta = rv / LIGHT_SPEED_KM_S
    return math.sqrt((1.0 + beta) / (1.0 - beta))


def shift_to_rest(observed: Observed, rv: float) -> Observed:
    """Move one spectrum by its radial velocity onto the same pixels, at rest.

    The flux at rest wavelength λ is that observed at λ √((1+β)/(1-β)), β = v/c, times that
    factor: f_λ dλ is conserved. Between pixels it is a cubic spline along each arm; unusable
    pixels are bridged by a straight line first. A pixel can be used where both neighbours that it
    falls between can; its error is theirs, interpolated linearly, and no longer independent of
    the next pixel's.

    Parameters
    ----------
    observed : Observed
        One spectrum, shape (n_wave,).
    rv : float or Quantity
        Receding positive [km/s].

    Returns
    -------
    shifted : Observed

    Raises
    ------
    DataError
        If the velocity is no star's.
    """
    rv = plain_value("rv", rv)
    if rv == 0.0:
        return observed
    stretch = stretch_of(rv)
    n_wave = observed.wave.size
    flux, error = np.zeros(n_wave), np.ones(n_wave)
    usable = np.zeros(n_wave, dtype=bool)
    step = np.diff(observed.wave)
    breaks = np.flatnonzero((step <= 0) | (step > GAP * np.median(step))) + 1
    for arm in np.split(np.arange(n_wave), breaks):
        good = observed.usable[arm]
        if good.sum() < 2:
            continue
        wave, at = observed.wave[arm], observed.wave[arm] * stretch
        whole = np.interp(wave, wave[good], observed.flux[arm][good].astype(np.float64))
        flux[arm] = scipy.interpolate.CubicSpline(wave, whole)(at) * stretch
        right = np.clip(np.searchsorted(wave, at), 1, wave.size - 1)
        usable[arm] = good[right - 1] & good[right] & (at >= wave[0]) & (at <= wave[-1])
        if observed.error is not None:
            error[arm] = np.interp(at, wave[good], observed.error[arm][good]) * stretch
    return replace(
        observed,
        flux=np.where(usable, flux, 0.0),
        error=None if observed.error is None else error,
        mask=np.where(usable, 0, mask_value("NO_DATA")).astype(np.uint32),
    )
