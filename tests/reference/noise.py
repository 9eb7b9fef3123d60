"""Slow twin of the noise view: one pixel of one spectrum at a time, in Python floats."""

import math

import numpy as np


def between(nodes, values, x):
    """Linear interpolation of scalars, by search from the left."""
    k = 0
    while k < len(nodes) - 2 and x >= nodes[k + 1]:
        k += 1
    part = (x - nodes[k]) / (nodes[k + 1] - nodes[k])
    return values[k] + part * (values[k + 1] - values[k])


def pixel_sensitivity(tables, conditions, j):
    """Electrons per exposure for unit flux in pixel ``j``."""
    seeing, zenith, field, exp_time = (float(conditions[k]) for k in (0, 1, 2, 6))
    smooth = []
    for knot in range(len(tables.knot_wave)):
        by_seeing = [
            between(tables.field_angle, tables.encircled_energy[s, :, knot], field)
            for s in range(len(tables.seeing))
        ]
        airmass = 1 / math.cos(math.radians(zenith))
        transmission = 10 ** (-0.4 * tables.extinction[knot] * airmass)
        smooth.append(between(tables.seeing, by_seeing, seeing) * transmission)
    area = between(tables.field_angle, tables.collecting_area, field)
    factor = between(tables.knot_wave, smooth, tables.wave[j])
    return area * exp_time * tables.conversion[j] * factor


def moonlight(tables, conditions, j):
    """Moonlight in pixel ``j`` [electron/s/m²/arcsec²]; Krisciunas & Schaefer (1991)."""
    zenith, moon_zenith, distance, phase = (float(conditions[k]) for k in (1, 3, 4, 5))
    if tables.moon_rate is None or moon_zenith >= 90 or phase in (0, 1):
        return 0.0
    angle = abs(phase - 0.5) * 360
    mag = 3.84 + 0.026 * angle + 4e-9 * angle**4
    moon = 10 ** (-0.4 * mag) * (1.35 - 0.05 * angle if angle < 7 else 1.0)
    paths = [
        1 / math.sqrt(1 - 0.96 * math.sin(math.radians(z)) ** 2) for z in (moon_zenith, zenith)
    ]
    through, lost = (10 ** (-0.4 * tables.moon_extinction * path) for path in paths)
    molecules = 2.29e5 * (1.06 + math.cos(math.radians(distance)) ** 2) * tables.moon_rate[0, j]
    aerosols = 10 ** (6.15 - distance / 40) * tables.moon_rate[1, j]
    return (molecules + aerosols) * moon * through * (1 - lost)


def sky_electrons(tables, conditions):
    """Sky counts of every pixel, one exposure."""
    zenith, field, exp_time = (float(conditions[k]) for k in (1, 2, 6))
    area = between(tables.field_angle, tables.collecting_area, field)
    fibre = between(tables.field_angle, tables.fibre_area, field)
    return [
        area
        * fibre
        * exp_time
        * (
            between(tables.zenith_angle, tables.sky_rate[:, j], zenith)
            + moonlight(tables, conditions, j)
        )
        for j in range(len(tables.wave))
    ]


def pixel_background(tables, conditions, j):
    """Variance of one exposure without the star in pixel ``j`` [electron²]."""
    exp_time, exp_count = float(conditions[6]), float(conditions[7])
    sky = sky_electrons(tables, conditions)
    residual = tables.floor_fraction * max(sky[max(j - 1, 0) : j + 2]) * math.sqrt(exp_count)
    stray = tables.stray_fraction * sum(sky) / len(sky)
    counted = tables.sample_factor * (sky[j] + stray + tables.dark_rate * exp_time)
    return tables.variance_factor * (counted + residual**2 + tables.read_variance)


def pixel_error(tables, flux, conditions, j):
    """1σ of a coadd in pixel ``j``, object photons from ``flux`` there."""
    sensitivity = pixel_sensitivity(tables, conditions, j)
    electrons = max(float(flux) * sensitivity, 0.0) * tables.sample_factor
    variance = (electrons + pixel_background(tables, conditions, j)) / float(conditions[7])
    return math.sqrt(variance) / sensitivity


def broad_mean(row, half_width):
    """Means of the pixels within ``half_width`` of every ``half_width``-th, straight between."""
    knots = sorted({*range(0, len(row), half_width), len(row) - 1})
    windows = [row[max(k - half_width, 0) : k + half_width + 1] for k in knots]
    return np.interp(range(len(row)), knots, [sum(w) / len(w) for w in windows])
