"""Checks of what an archive does not state: the medium of its wavelengths, its flux factor."""

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.simulator.grids.importing.energy import bolometric_flux, convention_factor
from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum
from starsmith.simulator.grids.importing.node_labels import ArchiveName
from starsmith.simulator.grids.importing.triplet import (
    CA_II_AIR,
    CA_II_VACUUM,
    HIGHEST_TEFF,
    LEAST_RESOLUTION,
    triplet_medium,
)

__all__ = ["CA_II_AIR", "CA_II_VACUUM", "check_flux_factor", "check_medium", "triplet_medium"]

BOLOMETRIC_RANGE = (1100.0, 300000.0)  # [Å]
HIGHEST_BOLOMETRIC_TEFF = 12000.0  # hotter stars shine below 1000 Å, where archives end [K]
BOLOMETRIC_TOLERANCE = 0.1


def check_medium(spectrum: ModelSpectrum, name: ArchiveName) -> bool:
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


def check_flux_factor(spectrum: ModelSpectrum, name: ArchiveName) -> bool:
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
    expected = bolometric_flux(name.labels.teff)
    ratio = np.trapezoid(spectrum.flux.astype(np.float64), wave) / expected
    if factor := convention_factor(ratio):
        raise GridError(
            f"its flux integrates to {ratio:.3f} sigma Teff^4: a factor {factor} off the "
            f"convention of the {name.release} release"
        )
    return abs(ratio - 1.0) < BOLOMETRIC_TOLERANCE
