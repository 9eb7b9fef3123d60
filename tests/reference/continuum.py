"""Slow twin of the LAMOST continuum: one spectrum at a time, numpy's own least squares."""

import numpy as np
from numpy.polynomial import Polynomial
from scipy.signal import savgol_filter


def gaspp_one(wave, flux, snr=60.0, bug_compatible=False):
    """Continuum of one spectrum, step by step as the original describes itself."""
    wave, flux = np.asarray(wave, float), np.asarray(flux, float)
    padded = np.concatenate([np.zeros(3), flux, np.zeros(3)])
    smooth = np.array([sorted(padded[i : i + 7])[3] for i in range(flux.size)])
    continuum = smooth.copy()
    is_blue = [3700.0 <= w <= 5700.0 for w in wave]
    is_red = [w > 6100.0 for w in wave]
    if sum(is_blue) > 100:
        continuum[is_blue] = _blue_one(wave, smooth, np.array(is_blue), snr, bug_compatible)
    if sum(is_red) > 100:
        w, y = wave[is_red], _filtered(smooth[is_red], snr)
        for _ in range(9):
            fit = Polynomial.fit(w, y, 4)(w)
            top = fit + 3.0 * np.std(y - fit)
            y = np.array([f if v < f or v > t else v for v, f, t in zip(y, fit, top, strict=True)])
        continuum[is_red] = fit
    continuum[continuum <= 0] = 1.0
    return continuum


def _filtered(y, snr):
    if snr >= 50:
        return y.copy()
    width = int(55 - snr)
    width += 1 - width % 2
    return savgol_filter(y, max(5, width), 4, mode="nearest")


def _blue_one(wave, smooth, is_blue, snr, bug_compatible):
    w, y = wave[is_blue], smooth[is_blue]
    first = Polynomial.fit(w, _filtered(y, snr), 5)(w)
    if w[np.argmax(first)] < 4500.0:
        counted = wave if bug_compatible else w
        bridges = []
        for low, high in ((4030, 4160), (4270, 4410), (4800, 4940)):
            left = y[np.where(abs(counted - low) <= 10)[0]].max()
            right = y[np.where(abs(counted - high) <= 10)[0]].max()
            bridges.append((low, high, left, right))
        for low, high, left, right in bridges:
            inside = np.where((counted >= low) & (counted <= high))[0]
            y[inside] = np.interp(counted[inside], [low, high], [left, right])
    if not bug_compatible:
        y = _filtered(y, snr)
    for _ in range(10):
        y = np.maximum(Polynomial.fit(w, y, 5)(w), y)
    return Polynomial.fit(w, y, 5)(w)
