"""Physical constants in cgs and the conversions of the synthesizer, each derived once."""

import math

from scipy import constants as si

__all__ = [
    "AMU",
    "ANGSTROM",
    "BOHR_RADIUS",
    "BOLTZMANN",
    "BOLTZMANN_EV",
    "CLASSICAL_CROSS_SECTION",
    "ELECTRON_MASS",
    "HC_OVER_K",
    "LIGHT_SPEED",
    "PLANCK",
    "RYDBERG_EV",
    "SIGMA_SB",
    "THOMSON",
]

PLANCK = si.h * 1e7  # [erg s]
BOLTZMANN = si.k * 1e7  # [erg/K]
BOLTZMANN_EV = si.k / si.e  # [eV/K]
LIGHT_SPEED = si.c * 1e2  # [cm/s]
ELECTRON_MASS = si.m_e * 1e3  # [g]
AMU = si.atomic_mass * 1e3  # [g]
SIGMA_SB = si.sigma * 1e3  # [erg/s/cm²/K⁴]
THOMSON = si.value("Thomson cross section") * 1e4  # [cm²]
BOHR_RADIUS = si.value("Bohr radius") * 1e2  # [cm]
RYDBERG_EV = si.value("Rydberg constant times hc in eV") / (1.0 + si.m_e / si.m_p)  # hydrogen
HC_OVER_K = PLANCK * LIGHT_SPEED / BOLTZMANN  # [cm K]
ANGSTROM = 1e-8  # [cm]

# πe²/(m_e c): integral of the cross-section over frequency for f = 1 [cm² Hz]
CLASSICAL_CROSS_SECTION = math.pi * si.value("classical electron radius") * 1e2 * LIGHT_SPEED
