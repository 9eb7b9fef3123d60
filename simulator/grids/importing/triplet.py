"""The medium of wavelengths, seen from the Ca II triplet."""

import numpy as np

from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum

__all__ = ["CA_II_AIR", "CA_II_VACUUM", "HIGHEST_TEFF", "LEAST_RESOLUTION", "triplet_medium"]

CA_II_VACUUM = np.array([8500.36, 8544.44, 8664.52])
"""Ca II infrared triplet in vacuum [Å]."""

CA_II_AIR = np.array([8498.02, 8542.09, 8662.14])
"""The same in standard air [Å]."""

LEAST_RESOLUTION = 5000.0
HIGHEST_TEFF = 7000.0  # above, Paschen lines reach into the triplet [K]
SEARCH_HALF_WIDTH = 4.5  # [Å] around the vacuum wavelength; air is 2.3 Å below
SHIFT_TOLERANCE = 1.0 / 3.0  # of the distance between the media
LEAST_DEPTH = 0.05  # of the continuum
LEAST_SAMPLES = 5
LEAST_LINES = 2


def _minimum(wave: np.ndarray, depth: np.ndarray) -> float:
    """Position of the greatest depth, by the parabola through it and its neighbours [Å]."""
    deepest = int(np.clip(np.argmax(depth), 1, depth.size - 2))
    before, at, after = depth[deepest - 1 : deepest + 2]
    curvature = before - 2.0 * at + after
    shift = 0.5 * (before - after) / curvature if curvature < 0 else 0.0
    return wave[deepest] + shift * (wave[deepest + 1] - wave[deepest])


def triplet_medium(spectrum: ModelSpectrum) -> str | None:
    """Medium that the Ca II triplet's minima are seen in.

    Returns
    -------
    medium : str or None
        ``vacuum``, ``air``, or ``converted twice`` (as far above vacuum as air is below), if
        at least two of the three lines say so; None if the range does not hold them, or they
        are too shallow or elsewhere.
    """
    votes = {"vacuum": 0, "air": 0, "converted twice": 0}
    for vacuum, air in zip(CA_II_VACUUM, CA_II_AIR, strict=True):
        near = np.abs(spectrum.wave - vacuum) < SEARCH_HALF_WIDTH
        if np.count_nonzero(near) < LEAST_SAMPLES:
            continue
        flux = spectrum.flux[near].astype(np.float64)
        level = flux.max() if spectrum.continuum is None else spectrum.continuum[near]
        if not np.all(level > 0):
            continue
        depth = 1.0 - flux / level
        if depth.max() < LEAST_DEPTH:
            continue
        shift = (_minimum(spectrum.wave[near], depth) - vacuum) / (vacuum - air)
        votes["vacuum"] += abs(shift) < SHIFT_TOLERANCE
        votes["air"] += abs(shift + 1.0) < SHIFT_TOLERANCE
        votes["converted twice"] += abs(shift - 1.0) < SHIFT_TOLERANCE
    medium = max(votes, key=votes.__getitem__)
    return medium if votes[medium] >= LEAST_LINES else None
