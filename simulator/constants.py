"""Physical constants and every unit conversion of the simulator, derived once, as floats."""

from math import pi

from scipy import constants

__all__ = [
    "AB_FNU_CGS",
    "ARCSEC_PER_RADIAN",
    "BOLTZMANN_NM_K",
    "CM2_PER_M2",
    "ELECTRONVOLT_NM",
    "FLUX_UNIT_CGS",
    "LIGHT_SPEED_ANGSTROM_S",
    "PHOTONS_PER_ERG_NM",
]

LIGHT_SPEED_ANGSTROM_S = constants.c / constants.angstrom
ARCSEC_PER_RADIAN = 180.0 * 3600.0 / pi
CM2_PER_M2 = 1.0e4

PHOTONS_PER_ERG_NM = constants.erg * constants.nano / (constants.h * constants.c)
"""Photons in one erg of light at 1 nm; times wavelength [nm] elsewhere."""

BOLTZMANN_NM_K = constants.h * constants.c / (constants.k * constants.nano)
"""Photon energy over temperature [K] times wavelength [nm]: the exponent of Planck's law."""

ELECTRONVOLT_NM = constants.h * constants.c / (constants.eV * constants.nano)
"""Photon energy [eV] times wavelength [nm]."""

AB_FNU_CGS = 3631e-23
"""Flux density of AB magnitude zero [erg/s/cm²/Hz]."""

FLUX_UNIT_CGS = 1.0e-17
"""The unit of ``flux`` in every file [erg/s/cm²/Å]."""
