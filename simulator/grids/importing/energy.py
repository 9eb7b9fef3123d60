"""Whether a flux is one that a star of its temperature can have."""

import numpy as np
from scipy.constants import c, h, k
from scipy.constants import sigma as STEFAN_BOLTZMANN_SI

from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.errors import GridError
from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum

__all__ = ["bolometric_flux", "check_energy", "convention_factor"]

SEEN_WHOLE = 0.9  # of a black body's flux, from which on the integral is compared
WHOLE_TOLERANCE = 0.25  # a star is no black body where its range ends
MOST = 1.3  # of sigma Teff^4, in any range
LEAST = 1e-3  # of the black body in the same range
METRE = 1e-9 / ANGSTROM_PER_NM  # m in an Å
SI_TO_CGS = 1e3  # erg/s/cm² in a W/m²
FACTORS = {
    "1/(4 pi)": 0.25 / np.pi,
    "1/4": 0.25,
    "1/pi": 1.0 / np.pi,
    "pi": np.pi,
    "4": 4.0,
    "4 pi": 4.0 * np.pi,
}
"""What a wrong convention between mean intensity, Eddington flux and flux leaves."""
FACTOR_TOLERANCE = 0.1


def bolometric_flux(teff: float) -> float:
    """Surface flux of a star of effective temperature ``teff`` [K], σ Teff⁴ [erg/s/cm²]."""
    return STEFAN_BOLTZMANN_SI * SI_TO_CGS * teff**4


def convention_factor(ratio: float) -> str:
    """Factor between two conventions of flux that a ratio is, to 10 %; empty for any other."""
    near = [name for name, value in FACTORS.items() if abs(ratio / value - 1.0) < FACTOR_TOLERANCE]
    return near[0] if near else ""


def check_energy(spectrum: ModelSpectrum, teff: float) -> bool:
    """Compare the integral of a flux with sigma Teff^4.

    Parameters
    ----------
    spectrum : ModelSpectrum
    teff : float
        Effective temperature [K].

    Returns
    -------
    verified : bool
        True where the range holds most of a black body's flux and the integral is within 25 %.

    Raises
    ------
    GridError
        If it is not; or if a part of a spectrum outshines the whole star, or is a thousand times
        fainter than a black body.
    """
    wave = spectrum.wave
    whole = bolometric_flux(teff)
    metre = wave * METRE
    with np.errstate(over="ignore"):
        planck = 2.0 * np.pi * h * c**2 / metre**5 / np.expm1(h * c / (metre * k * teff))
    black = np.trapezoid(planck * SI_TO_CGS, metre)
    shines = np.trapezoid(spectrum.flux.astype(np.float64), wave)
    if black < SEEN_WHOLE * whole:
        if shines > MOST * whole or shines < LEAST * black:
            raise GridError(
                f"its flux from {wave[0]:.0f} to {wave[-1]:.0f} Å is {shines / black:.2g} times "
                f"a black body's of {teff:g} K; correct --flux or --flux-unit"
            )
        return False
    ratio = shines / black
    if abs(ratio - 1.0) < WHOLE_TOLERANCE:
        return True
    factor = convention_factor(ratio)
    raise GridError(
        f"its flux integrates to {ratio:.3g} times sigma Teff^4 of {teff:g} K"
        f"{f', a factor {factor} off' if factor else ''}; correct --flux or --flux-unit"
    )
