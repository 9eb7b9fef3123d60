"""Slow, obvious twins of the synthesizer's kernels, written from the formulae."""

import math

import numpy as np
from scipy.integrate import quad
from scipy.special import expn, wofz


def voigt(a, x):
    """H(a, x): real part of the Faddeeva function."""
    return wofz(np.asarray(x) + 1j * np.asarray(a)).real


def lines_opacity(lines, n_wave):
    """Opacity (n_depth, n_wave) of Voigt lines within their reach, one point at a time."""
    n_line, n_depth = lines.strength.shape
    opacity = np.zeros((n_depth, n_wave))
    for i in range(n_line):
        for k in range(n_depth):
            for j in range(n_wave):
                distance = j - lines.position[i]
                if abs(distance) <= lines.reach[i, k]:
                    x = distance / lines.width[i, k]
                    opacity[k, j] += lines.strength[i, k] * voigt(lines.damping[i, k], x)
    return opacity


def smooth_opacity(coarse, stride, n_wave):
    """Linear interpolation of (n_depth, n_coarse) onto n_wave fine points."""
    fine, knots = np.arange(n_wave), np.arange(coarse.shape[1]) * stride
    return np.array([np.interp(fine, knots, row) for row in coarse])


def bands_opacity(bands):
    """Band opacity (n_depth, n_wave) by linear interpolation between temperature rows."""
    total = 0.0
    for table, amount in zip(bands.table.astype(np.float64), bands.amount, strict=True):
        cool, hot = table[bands.row], table[bands.row + 1]
        mixed = cool + bands.fraction[:, None] * (hot - cool)
        total = total + amount[:, None] * mixed
    return total


def emergent_flux(tau, opacity, source):
    """2π ∫ S(t) E2(t) dt with S linear in t between depths, each piece exactly.

    ``tau`` (n_depth,), ``opacity``, ``source`` (n_depth, n_wave); ∫E2 = -E3, ∫t E2 = -t E3 - E4.
    """
    depth = opacity[0] * tau[0]
    flux = source[0] * (0.5 - expn(3, depth))
    for k in range(1, tau.size):
        below = depth + 0.5 * (opacity[k - 1] + opacity[k]) * (tau[k] - tau[k - 1])
        slope = (source[k] - source[k - 1]) / (below - depth)
        offset = source[k - 1] - slope * depth
        flux += offset * (expn(3, depth) - expn(3, below))
        first, last = (
            depth * expn(3, depth) + expn(4, depth),
            below * expn(3, below) + expn(4, below),
        )
        flux += slope * (first - last)
        depth = below
    return 2.0 * math.pi * (flux + source[-1] * expn(3, depth))


def stark_profile_area(profile, doppler):
    """Area of a profile over both sides, adaptive quadrature with the analytic far wing."""
    edge = 1e4 * max(1.0, doppler)
    knots = [doppler, 6.0 * doppler, 10.0, 100.0]
    inner = quad(profile, 0.0, edge, args=(doppler,), points=knots, limit=400)[0]
    return 2.0 * (inner + 2.0 * edge**-1.5)  # ∫ 3 β^-5/2 = 2 β^-3/2


def band_cross_section(position, strength, energy, inverse_kt, width, n_wave):
    """Sum of Gaussians, no truncation, shape (n_row, n_wave)."""
    j = np.arange(n_wave)
    rows = []
    for beta, w in zip(inverse_kt, width, strict=True):
        x = (j[None, :] - position[:, None]) / w
        peak = strength * np.exp(-energy * beta) / (math.sqrt(math.pi) * w)
        rows.append(np.sum(peak[:, None] * np.exp(-(x**2)), axis=0))
    return np.array(rows)


def metal_absorption(rows, atoms, wave, temperature):
    """Bound-free absorption [1/cm] at one wavelength [Å] and temperature [K].

    ``rows`` are dicts of the table's columns, ``atoms`` neutral atoms per partition function
    [1/cm³] by species.
    """
    total, wavenumber = 0.0, 1e8 / wave
    for row in rows:
        edge = float(row["edge"])
        if wavenumber < edge:
            continue
        if row["shape"] == "bump":
            shape = 1.0 / (1.0 + ((edge + 3000.0 - wavenumber) / edge / 0.1) ** 4)
        else:
            shape = (edge / wavenumber) ** float(row["power"])
        level = float(row["weight"]) * math.exp(-1.438777 * float(row["energy"]) / temperature)
        total += atoms[row["species"]] * level * float(row["sigma"]) * 1e-18 * shape
    return total


def line_profile(line, layer, ions, least):
    """Strength, Doppler width, Voigt parameter and reach of one line in one layer, or None."""
    per_absorber, thermal, per_rate, radiation, stark, vdw, abo, exponent = line["parts"]
    temperature, electrons, perturbers, warmth, turbulence = layer
    speed = np.sqrt(thermal * temperature + turbulence)
    height = per_absorber / speed * ions * np.exp(-line["lower"] / temperature)
    height *= 1.0 - np.exp(-line["quantum"] / temperature)
    if height <= least:
        return None
    collisions = vdw * warmth if np.isnan(abo) else abo * temperature**exponent
    damping = (radiation + stark * electrons + collisions * perturbers) * per_rate / speed
    contrast = height / least
    reach = max(np.sqrt(np.log(contrast)), np.sqrt(contrast * damping / np.sqrt(np.pi)))
    return height, speed, damping, reach
