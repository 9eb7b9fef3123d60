"""Wavelengths held against a model's own: the same, the same in another order, or which others."""

from dataclasses import replace

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.observed import Observed

__all__ = ["check_wave", "in_order_of", "same_wave", "unit_hint", "wave_difference"]

WAVE_TOLERANCE = 0.01  # Å; a fortieth of a PFS pixel, 0.35 km/s
AIR_RATIO = 1.000275  # vacuum over air wavelength in the red, to 2e-6


def same_wave(own: np.ndarray, wave: np.ndarray) -> bool:
    """Whether wavelengths are the model's own."""
    return wave.shape == own.shape and bool(np.abs(wave - own).max() <= WAVE_TOLERANCE)


def unit_hint(own: np.ndarray, wave: np.ndarray) -> str:
    """What wavelengths look like that are not the model's own: air, nanometres; or nothing."""
    if wave.shape == own.shape:
        ratio = float(np.median(own / wave))
        if abs(ratio - AIR_RATIO) < 1e-5:
            return "these look like air wavelengths: convert them to vacuum (--air)"
        if abs(ratio - 10.0) < 1e-3:
            return "these look like nanometres: multiply them by 10, or give the column its unit"
    elif (
        wave.size and wave.max() < own.min() <= 10.0 * wave.max() and 10.0 * wave.min() < own.max()
    ):
        return "these look like nanometres: multiply them by 10, or give the column its unit"
    return ""


def check_wave(own: np.ndarray, wave: np.ndarray, what: str) -> None:
    """Refuse any wavelength grid but the model's own; raises DataError saying what differs."""
    wave = np.asarray(wave, dtype=np.float64)
    if same_wave(own, wave):
        return
    hint = unit_hint(own, wave) or (
        "resample the spectrum onto the model's grid, or train on a data set with this grid"
    )
    raise DataError(f"{what}: {wave_difference(own, wave)}; {hint}")


def wave_difference(own: np.ndarray, wave: np.ndarray) -> str:
    """What pixels a spectrum has and what the model expects, in words."""
    expected = f"{own.size} pixels, {own[0]:.3f}..{own[-1]:.3f} Å (vacuum)"
    found = f"{wave.size} pixels, {wave.min():.3f}..{wave.max():.3f}" if wave.size else "none"
    if wave.shape == own.shape:
        found += f", off by up to {np.abs(wave - own).max():.3g} Å"
    return f"wavelength grid has {found}; the model expects {expected}"


def in_order_of(wave: np.ndarray, seen: Observed) -> Observed:
    """Pixels of a spectrum in the order of those of a model, where they are the same.

    Files order pixels by wavelength, joined arms follow each other.
    """
    if seen.wave.shape != wave.shape:
        return seen
    place = np.empty(wave.size, dtype=np.int64)
    place[np.argsort(wave, kind="stable")] = np.argsort(seen.wave, kind="stable")
    if np.abs(seen.wave[place] - wave).max() > WAVE_TOLERANCE:
        return seen
    return replace(seen[place], wave=seen.wave[place])
