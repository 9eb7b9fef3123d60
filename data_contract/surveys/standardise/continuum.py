"""Continuum of low-resolution LAMOST spectra, by polynomials that climb to the upper envelope.

The steps are those of ``gaspp_fitcont2`` in the public code of SpecCLIP (Zhao et al. 2025).
"""

from dataclasses import dataclass

import numpy as np
import scipy

from starsmith.data_contract.errors import DataError

__all__ = ["Gaspp", "gaspp_continuum"]

BLUE, RED = (3700.0, 5700.0), 6100.0  # Å
FEWEST = 100  # pixels of a part that is fitted
BLUE_ORDER, RED_ORDER = 5, 4
BLUE_ROUNDS, RED_ROUNDS = 10, 9
HOT = 4500.0  # Å; stars that peak below have broad Balmer lines
BALMER = ((4030.0, 4160.0), (4270.0, 4410.0), (4800.0, 4940.0))
REACH = 10.0  # Å around the ends of a window, where the highest flux is its end
RED_CLIP = 3.0  # σ


@dataclass(frozen=True)
class Gaspp:
    """How the continuum is fitted.

    Attributes
    ----------
    snr : float
        Of the spectra: below 50 they are smoothed over 55 - S/N pixels before the fit.
    bug_compatible : bool
        Repeat two slips of the original: windows of Balmer lines are counted from the first pixel
        of the spectrum, not of the blue part, and the blue part is not smoothed.
    """

    snr: float = 60.0
    bug_compatible: bool = False


def gaspp_continuum(wave: np.ndarray, flux: np.ndarray, options: Gaspp = Gaspp()) -> np.ndarray:
    """Fit the continuum of spectra on the same pixels, float64 (n_spec, n_wave).

    A median of 7 pixels; a quintic over 3700-5700 Å, fitted 11 times, each to the higher of flux
    and fit, with Balmer lines of hot stars bridged; a quartic over 6100 Å, 9 times, each to flux
    between the fit and 3 σ above it. Elsewhere it is the flux; where it is not positive, 1.

    Parameters
    ----------
    wave : float64 array, shape (n_wave,)
        Increasing [Å]; the original is given vacuum wavelengths at rest.
    flux : float array, shape (n_spec, n_wave)
        Finite.
    options : Gaspp

    Raises
    ------
    DataError
        If flux is not finite, or a slip that is to be repeated finds no pixel.
    """
    flux = np.asarray(flux, np.float64)
    if not np.isfinite(flux).all():
        raise DataError("the continuum needs finite flux; bridge unusable pixels first")
    smooth = scipy.ndimage.median_filter(flux, size=(1, 7), mode="constant")
    continuum = smooth.copy()
    blue = np.flatnonzero((wave >= BLUE[0]) & (wave <= BLUE[1]))
    red = np.flatnonzero(wave > RED)
    if blue.size > FEWEST:
        continuum[:, blue] = _blue(wave, smooth, blue, options)
    if red.size > FEWEST:
        continuum[:, red] = _red(wave[red], _less_noisy(smooth[:, red], options.snr))
    return np.where(continuum > 0.0, continuum, 1.0)


def _less_noisy(flux: np.ndarray, snr: float) -> np.ndarray:
    """Savitzky & Golay's filter: of 3 pixels and order 2, which changes nothing, from S/N 50 on."""
    if snr >= 50.0:
        return flux.copy()
    width = max(5, int(55.0 - snr) // 2 * 2 + 1)
    return scipy.signal.savgol_filter(flux, width, 4, mode="nearest", axis=1)


def _polynomials(wave: np.ndarray, order: int) -> np.ndarray:
    """Orthonormal polynomials, (n_wave, order + 1): the least-squares fit of y is Q Qᵀ y."""
    place = 2.0 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1.0
    return np.linalg.qr(np.polynomial.legendre.legvander(place, order))[0]


def _blue(wave: np.ndarray, smooth: np.ndarray, blue: np.ndarray, options: Gaspp) -> np.ndarray:
    part, at = wave[blue], smooth[:, blue]
    basis = _polynomials(part, BLUE_ORDER)
    start = _less_noisy(at, options.snr)
    hot = part[np.argmax((start @ basis) @ basis.T, axis=1)] < HOT
    if hot.any():
        at[hot] = _without_balmer(wave, at[hot], 0 if options.bug_compatible else blue[0])
    above = at if options.bug_compatible else _less_noisy(at, options.snr)
    for _ in range(BLUE_ROUNDS):
        above = np.maximum((above @ basis) @ basis.T, above)
    return (above @ basis) @ basis.T


def _without_balmer(wave: np.ndarray, flux: np.ndarray, first: int) -> np.ndarray:
    """Bridge each window between the highest flux near its ends; pixels count from ``first``."""
    flux = flux.copy()

    def within(low: float, high: float) -> np.ndarray:
        places = np.flatnonzero((wave >= low) & (wave <= high)) - first
        if places.size and not 0 <= places[0] <= places[-1] < flux.shape[1]:
            raise DataError(
                f"bug_compatible: the original fails on spectra that begin at {wave[0]:.0f} Å; "
                "cut them at 3700 Å or do without"
            )
        return places

    ends = [[within(end - REACH, end + REACH) for end in window] for window in BALMER]
    heights = [[flux[:, e].max(axis=1) if e.size else None for e in pair] for pair in ends]
    for (low, high), (left, right) in zip(BALMER, heights, strict=True):
        inside = within(low, high)
        if left is None or right is None or not inside.size:
            continue
        share = (wave[inside + first] - low) / (high - low)
        flux[:, inside] = left[:, None] + share * (right - left)[:, None]
    return flux


def _red(wave: np.ndarray, flux: np.ndarray) -> np.ndarray:
    basis = _polynomials(wave, RED_ORDER)
    for _ in range(RED_ROUNDS):
        fit = (flux @ basis) @ basis.T
        above = fit + RED_CLIP * np.std(flux - fit, axis=1, keepdims=True)
        flux = np.where((flux < fit) | (flux > above), fit, flux)
    return fit
