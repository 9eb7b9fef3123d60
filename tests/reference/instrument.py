"""Slow twin of the noise tables: every pixel and condition straight from the formulae."""

import math

import numpy as np
from scipy.special import j0, j1

ARCSEC = 206264.80624709636
PHOTONS_PER_ERG_NM = 5.034116567e8


def field_value(telescope, values, field_angle):
    return float(np.interp(field_angle, telescope.field_angle_deg, values))


def encircled_energy_plainly(instrument, seeing, field_angle, wave_nm):
    """Hankel sum over 50 frequencies, one at a time."""
    telescope, fibre = instrument.telescope, instrument.fibre
    focal = field_value(telescope, telescope.focal_length_m, field_angle)
    radius = fibre.radius_um * 1e-6 / focal * ARCSEC
    spot = field_value(telescope, telescope.spot_rms_um, field_angle) * 1e-6 / focal * ARCSEC
    diffraction = 1e-9 * wave_nm / 8.3 / (1 - 0.22) * ARCSEC
    energy = 0.0
    for i in range(50):
        u = 0.024 * (i + 0.5)
        k = 2 * math.pi * u
        image = math.exp(-((k * spot) ** 2) / 2)
        image *= math.exp(-((u / (0.465 / seeing * (wave_nm / 800) ** 0.2)) ** (5 / 3)))
        image *= math.exp(-4 / math.pi * u * diffraction) * j0(k * fibre.offset_arcsec)
        energy += radius * 2 * math.pi * 0.024 * j1(k * radius) * image
    return energy


def area_plainly(instrument, field_angle):
    """Collecting area [m²]."""
    telescope = instrument.telescope
    shadow = (1 - (0.27 + (0.36 - 0.27) / 0.675 * field_angle)) / (1 - 0.19)
    vignetting = field_value(telescope, telescope.vignetting, field_angle)
    return math.pi / 4 * 8.3**2 * (1 - 0.22**2) * vignetting * shadow


def fibre_area_plainly(instrument, field_angle):
    """Fibre's area on the sky [arcsec²]."""
    telescope = instrument.telescope
    focal = field_value(telescope, telescope.focal_length_m, field_angle)
    return math.pi * (instrument.fibre.radius_um * 1e-6 / focal * ARCSEC) ** 2


def sensitivity_plainly(instrument, tables, pixel, seeing, zenith, field_angle, exp_time):
    """Electrons per exposure and flux unit in one pixel; no nodes, no interpolation."""
    wave_nm = instrument.wave[pixel] / 10
    extinction = np.interp(wave_nm, [700, 800, 900], [0.10, 0.07, 0.05])
    through_air = 10 ** (-0.4 * extinction / math.cos(math.radians(zenith)))
    energy = encircled_energy_plainly(instrument, seeing, field_angle, wave_nm)
    area = area_plainly(instrument, field_angle)
    return tables.conversion[pixel] * through_air * energy * area * exp_time


def sky_plainly(instrument, lines, response, pixel, zenith, telluric, sky_fraction):
    """Sky rate in one pixel: a loop over lines, then the continuum [electron/s/m²/arcsec²].

    ``lines`` (n_line, 2) [nm, 1e-12 erg/s/m²/arcsec²]; ``response(wave_nm, offset)`` and
    ``sky_fraction(wave_nm)`` come from the profile, which has its own tests.
    """
    arm = instrument.arm
    dispersion = (arm.wave_max_nm - arm.wave_min_nm) / arm.n_pixel
    path = 1 / math.sqrt(1 - 0.96 * math.sin(math.radians(zenith)) ** 2)

    def electrons(wave_nm):
        throughput = 1.20 * np.interp(wave_nm, arm.throughput_wave_nm, arm.throughput)
        return throughput * sky_fraction(wave_nm) * PHOTONS_PER_ERG_NM * wave_nm

    total = 0.0
    for wave_nm, intensity in lines:
        place = (wave_nm - arm.wave_min_nm) / dispersion
        first = min(max(math.floor(place - 15.5), 0), arm.n_pixel - 32)
        if abs(place - arm.n_pixel / 2) < arm.n_pixel / 2 + 15 and first <= pixel < first + 32:
            offset = pixel - place
            dimmed = 10 ** (-0.4 * np.interp(wave_nm, [700, 800, 900], [0.10, 0.07, 0.05]) * path)
            light = 1e-12 * intensity * electrons(wave_nm) * path / 1.1 * dimmed
            total += light * response(wave_nm, offset)

    wave_nm = arm.wave_min_nm + dispersion * (pixel + 0.5)
    mag = 24.316 - 5.199e-3 * wave_nm + 1.465e-6 * wave_nm**2 - 6.14656e9 / wave_nm**4
    mag -= 0.55 * math.exp(-0.005 * (wave_nm - 594) ** 2)
    glow = 1e-11 * 0.01089 * 10 ** (0.4 * (22.5 - mag)) * 1e6 / wave_nm**2
    glow *= 1.774005 - 1.022782e-3 * wave_nm if wave_nm <= 800 else 1.0
    extinction = np.interp(wave_nm, [700, 800, 900], [0.10, 0.07, 0.05])
    dimmed = 10 ** (-0.4 * extinction / math.cos(math.radians(zenith))) * telluric
    return total + glow * electrons(wave_nm) * path * dimmed * dispersion
