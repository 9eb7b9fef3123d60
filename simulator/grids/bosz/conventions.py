"""Checks of what an archive does not state: the medium of its wavelengths, its flux factor."""

import numpy as np
from scipy.constants import sigma as STEFAN_BOLTZMANN_SI

from starsmith.data_contract.errors import GridError
from starsmith.simulator.grids.bosz.bosz_spectrum import ArchiveSpectrum
from starsmith.simulator.grids.bosz.names2017 import ArchiveName

__all__ = ["CA_II_AIR", "CA_II_VACUUM", "check_flux_factor", "check_medium", "triplet_medium"]

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

BOLOMETRIC_RANGE = (1100.0, 300000.0)  # [Å]
HIGHEST_BOLOMETRIC_TEFF = 12000.0  # hotter stars shine below 1000 Å, where archives end [K]
BOLOMETRIC_TOLERANCE = 0.1
CONFUSIONS = {
    "1/(4 pi)": 0.25 / np.pi,
    "1/4": 0.25,
    "1/pi": 1.0 / np.pi,
    "pi": np.pi,
    "4": 4.0,
    "4 pi": 4.0 * np.pi,
}
"""What a wrong convention between mean intensity, Eddington flux and flux leaves."""


def _minimum(wave: np.ndarray, depth: np.ndarray) -> float:
    """Position of the greatest depth, by the parabola through it and its neighbours [Å]."""
    deepest = int(np.clip(np.argmax(depth), 1, depth.size - 2))
    before, at, after = depth[deepest - 1 : deepest + 2]
    curvature = before - 2.0 * at + after
    shift = 0.5 * (before - after) / curvature if curvature < 0 else 0.0
    return wave[deepest] + shift * (wave[deepest + 1] - wave[deepest])


def triplet_medium(spectrum: ArchiveSpectrum) -> str | None:
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
        if np.count_nonzero(near) < LEAST_SAMPLES or not np.all(spectrum.continuum[near] > 0):
            continue
        depth = 1.0 - spectrum.flux[near].astype(np.float64) / spectrum.continuum[near]
        if depth.max() < LEAST_DEPTH:
            continue
        shift = (_minimum(spectrum.wave[near], depth) - vacuum) / (vacuum - air)
        votes["vacuum"] += abs(shift) < SHIFT_TOLERANCE
        votes["air"] += abs(shift + 1.0) < SHIFT_TOLERANCE
        votes["converted twice"] += abs(shift - 1.0) < SHIFT_TOLERANCE
    medium = max(votes, key=votes.__getitem__)
    return medium if votes[medium] >= LEAST_LINES else None


def check_medium(spectrum: ArchiveSpectrum, name: ArchiveName) -> bool:
    """Verify that wavelengths are vacuum, where the star and the resolution allow it.

    Returns
    -------
    verified : bool
        False where it cannot be told.

    Raises
    ------
    GridError
        If the triplet stands where another medium would put it.
    """
    if name.resolution < LEAST_RESOLUTION or name.labels.teff > HIGHEST_TEFF:
        return False
    medium = triplet_medium(spectrum)
    if medium in ("air", "converted twice"):
        stored = "air wavelengths" if medium == "air" else "vacuum wavelengths in an air release"
        raise GridError(
            f"its Ca II triplet tells of {stored}, against the {name.release} release; "
            "fetch it again, unconverted"
        )
    return medium == "vacuum"


def check_flux_factor(spectrum: ArchiveSpectrum, name: ArchiveName) -> bool:
    """Verify that the flux integrates to sigma Teff^4, where the range is whole.

    Returns
    -------
    verified : bool
        True within 10 %; False where it cannot be told.

    Raises
    ------
    GridError
        If the integral is off by a factor that separates two conventions of flux.
    """
    wave = spectrum.wave
    whole = wave[0] <= BOLOMETRIC_RANGE[0] and wave[-1] >= BOLOMETRIC_RANGE[1]
    if not whole or name.labels.teff > HIGHEST_BOLOMETRIC_TEFF:
        return False
    expected = STEFAN_BOLTZMANN_SI * 1e3 * name.labels.teff**4  # [erg/s/cm²]
    ratio = np.trapezoid(spectrum.flux.astype(np.float64), wave) / expected
    for factor, value in CONFUSIONS.items():
        if abs(ratio / value - 1.0) < BOLOMETRIC_TOLERANCE:
            raise GridError(
                f"its flux integrates to {ratio:.3f} sigma Teff^4: a factor {factor} off the "
                f"convention of the {name.release} release"
            )
    return abs(ratio - 1.0) < BOLOMETRIC_TOLERANCE
