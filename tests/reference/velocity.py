"""Slow twin of the radial velocity: the star is shifted first, at full resolution."""

import numpy as np

LIGHT_SPEED_KM_S = 299792.458


def moving_star_plainly(star, rv, instrument, resolution, pixels):
    """Fluxes of some pixels, of ``star(wave)`` [Å], which has a Gaussian profile of ``resolution``.

    Line profile and pixel are integrated together on a fine uniform grid around each pixel.
    """
    arm = instrument.arm
    edge = 10.0 * np.linspace(arm.wave_min_nm, arm.wave_max_nm, arm.n_pixel + 1)
    fwhm = instrument.lsf_fwhm(instrument.wave)
    left = np.sqrt(fwhm**2 - (instrument.wave / resolution) ** 2) / np.sqrt(8 * np.log(2))
    flux = np.empty(len(pixels))
    offset = np.linspace(-6, 6, 61)
    weight = np.exp(-0.5 * offset**2) / np.exp(-0.5 * offset**2).sum()
    for k, j in enumerate(pixels):
        width = edge[j + 1] - edge[j]
        inside = edge[j] + width * (np.arange(8) + 0.5) / 8
        wave = inside[:, None] + left[j] * offset
        flux[k] = (star(wave / (1 + rv / LIGHT_SPEED_KM_S)) @ weight).mean()
    return flux
