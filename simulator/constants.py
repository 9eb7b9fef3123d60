"""Physical constants and every unit conversion of the simulator, derived once, as floats."""

from math import pi

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

LIGHT_SPEED, PLANCK, BOLTZMANN = 299_792_458.0, 6.626_070_15e-34, 1.380_649e-23  # [SI]
"""Exact by definition (BIPM, SI Brochure, 9th edition, 2019), as is the charge of the electron."""

ELECTRONVOLT = 1.602_176_634e-19  # [J]
ERG, NANO, ANGSTROM = 1e-7, 1e-9, 1e-10  # [SI]

LIGHT_SPEED_ANGSTROM_S = LIGHT_SPEED / ANGSTROM
ARCSEC_PER_RADIAN = 180.0 * 3600.0 / pi
CM2_PER_M2 = 1.0e4

PHOTONS_PER_ERG_NM = ERG * NANO / (PLANCK * LIGHT_SPEED)
"""Photons in one erg of light at 1 nm; times wavelength [nm] elsewhere."""

BOLTZMANN_NM_K = PLANCK * LIGHT_SPEED / (BOLTZMANN * NANO)
"""Photon energy over temperature [K] times wavelength [nm]: the exponent of Planck's law."""

ELECTRONVOLT_NM = PLANCK * LIGHT_SPEED / (ELECTRONVOLT * NANO)
"""Photon energy [eV] times wavelength [nm]."""

AB_FNU_CGS = 3631e-23
"""Flux density of AB magnitude zero [erg/s/cm²/Hz]."""

FLUX_UNIT_CGS = 1.0e-17
"""The unit of ``flux`` in every file [erg/s/cm²/Å]."""
