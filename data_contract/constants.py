"""Constants that several rooms use: a unit, the speed of light, widths of a Gaussian."""

import math

__all__ = ["ANGSTROM_PER_NM", "FWHM_TO_SIGMA", "LIGHT_SPEED_KM_S", "MAD_TO_SIGMA"]

ANGSTROM_PER_NM = 10.0
LIGHT_SPEED_KM_S = 299792.458  # exact, by definition of the metre
FWHM_TO_SIGMA = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
MAD_TO_SIGMA = 1.4826  # sigma over the median absolute deviation
