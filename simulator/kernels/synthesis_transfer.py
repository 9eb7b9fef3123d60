"""Opacity of a spectrum's lines on its depth grid, and the emergent flux."""

import math
from collections import namedtuple

import numpy as np
from numba import njit, prange

from starsmith.simulator.kernels.synthesis_voigt import add_voigt

__all__ = ["Bands", "Lines", "Smooth", "convolved", "emergent_flux", "flux_from_opacity"]

CHUNK = (
    584  # wavelengths worked on together; rows of 4096 bytes would share one set of the first cache
)
E4_MAX = 14.0  # beyond this optical depth nothing escapes: E4(14) = 5e-8
E4_PER_UNIT = 32  # table cells per unit optical depth; cubic Hermite, error below 2e-7

Lines = namedtuple("Lines", "position strength width damping reach")
"""Atomic lines: ``position`` float64 (n_line,) [step of the fine grid]; ``strength`` (n_line,
n_depth) opacity at the centre of an undamped profile over the standard opacity; ``width`` Doppler
width [step]; ``damping`` Voigt parameter; ``reach`` half-width of the window [step]."""

Smooth = namedtuple("Smooth", "opacity source stride excess", defaults=[np.zeros((1, 1))])
"""What varies slowly: ``opacity`` over the standard one and ``source`` function, float64 (n_depth,
n_coarse), on every ``stride``-th point of the fine grid; ``excess``, opacity times what its source
has over ``source``, alike, or (1, 1) where all sources are the same."""

Bands = namedtuple("Bands", "table amount row fraction n_speed", defaults=[1])
"""Molecular bands: ``table`` float32 (n_band, n_row, n_wave) cross-section [1e-20 cm²] by
temperature; ``amount`` (n_band, n_depth) molecules over the standard opacity [1e20/cm²]; ``row``,
``fraction`` (n_depth,) place of each depth between two rows; each system has ``n_speed`` bands in
turn, whose sum counts where it is positive."""


@njit(cache=True, parallel=True)
def emergent_flux(tau, smooth, hydrogen, lines, bands, e4_table, n_wave):
    """Flux leaving a plane-parallel atmosphere at every point of a fine wavelength grid.

    Parameters
    ----------
    tau : float64 array, shape (n_depth,)
        Optical depth in the standard opacity, increasing.
    smooth : Smooth
        Continuum and source function.
    hydrogen : Smooth
        Hydrogen lines; the source is not read.
    lines : Lines
    bands : Bands
    e4_table : float64 array, shape (n_cell, 4)
        From `exponential_integral_table`.
    n_wave : int
        Points of the fine grid.

    Returns
    -------
    flux : float64 array, shape (n_wave,)
        π times the mean intensity of the disc, in the unit of the source function.
    """
    flux = np.empty(n_wave)
    widest = widest_reach(lines)
    n_chunk = (n_wave + CHUNK - 1) // CHUNK
    for i in prange(n_chunk):
        start = i * CHUNK
        stop = min(start + CHUNK, n_wave)
        # relative to the Rosseland mean, shape (n_depth, chunk)
        opacity = np.zeros((tau.size, stop - start))
        source = np.zeros((tau.size, stop - start))
        add_smooth(opacity, smooth.opacity, smooth.stride, start)  # continuum
        # Planck function, interpolated as the continuum is
        add_smooth(source, smooth.source, smooth.stride, start)
        add_smooth(opacity, hydrogen.opacity, hydrogen.stride, start)
        add_bands(opacity, bands, start)
        add_lines(opacity, lines, widest, start)
        if smooth.excess.shape[1] > 1:
            excess = np.zeros((tau.size, stop - start))
            add_smooth(excess, smooth.excess, smooth.stride, start)
            source += excess / opacity  # (κ_c S_c + κ_l B) / (κ_c + κ_l)
        flux_from_opacity(flux[start:stop], tau, opacity, source, e4_table)
    return flux


@njit(cache=True)
def add_smooth(values, coarse, stride, start):
    """Add ``coarse`` (n_depth, n_coarse), linearly interpolated, to ``values`` from ``start``."""
    n_depth, n = values.shape
    last_cell = coarse.shape[1] - 2
    first_cell = min(start // stride, last_cell)
    per_step = 1.0 / stride
    for k in range(n_depth):
        right = coarse[k, first_cell]
        j, cell = 0, first_cell
        while j < n:
            # coarse cell of this step; the last is extended
            stop = n if cell == last_cell else min(n, (cell + 1) * stride - start)
            left, right = right, coarse[k, cell + 1]
            if left != 0.0 or right != 0.0:
                slope = (right - left) * per_step
                origin = left + slope * (start + j - cell * stride)  # value at the first step
                part = values[k, j:stop]
                for i in range(part.size):
                    part[i] += origin + slope * i
            j = stop
            cell += 1


@njit(cache=True)
def add_bands(opacity, bands, start):
    """Add molecular bands to ``opacity`` (n_depth, n) from fine point ``start`` on."""
    n = opacity.shape[1]
    stop = start + n
    system = np.empty(n, dtype=np.float32)  # as the tables
    for first in range(0, bands.amount.shape[0], bands.n_speed):
        for k in range(opacity.shape[0]):
            if not bands.amount[first : first + bands.n_speed, k].any():
                continue  # too weak to be seen
            system[:] = 0
            for band in range(first, first + bands.n_speed):
                cool = bands.table[band, bands.row[k], start:stop]
                hot = bands.table[band, bands.row[k] + 1, start:stop]
                # linear in θ between two rows of the table
                weight_hot = np.float32(bands.amount[band, k] * bands.fraction[k])
                weight_cool = np.float32(bands.amount[band, k] * (1.0 - bands.fraction[k]))
                for j in range(n):
                    system[j] += weight_cool * cool[j] + weight_hot * hot[j]
            part = opacity[k]
            for j in range(n):
                part[j] += max(system[j], np.float32(0.0))


@njit(cache=True)
def widest_reach(lines):
    """Largest reach of each line over depth, float64 (n_line,)."""
    widest = np.empty(lines.position.size)
    for i in range(widest.size):
        widest[i] = lines.reach[i].max()
    return widest


@njit(cache=True, error_model="numpy")
def add_lines(opacity, lines, widest, start):
    """Add Voigt profiles, each within its reach, to ``opacity`` (n_depth, n) from ``start`` on.

    ``widest`` (n_line,) is the largest reach over depth, by which most lines are passed over.
    """
    n_depth, n = opacity.shape
    for i in range(lines.position.size):
        centre = lines.position[i] - start  # in steps of the chunk
        if centre + widest[i] < 0.0 or centre - widest[i] > n - 1.0:
            continue
        for k in range(n_depth):
            reach = lines.reach[i, k]
            first = max(0, math.ceil(centre - reach))
            stop = min(n, math.floor(centre + reach) + 1)
            if first >= stop:
                continue
            add_voigt(
                opacity[k, first:stop],
                first - centre,
                lines.strength[i, k],
                lines.damping[i, k],
                1.0 / lines.width[i, k],
            )


@njit(cache=True, error_model="numpy")
def flux_from_opacity(flux, tau, opacity, source, e4_table):
    """Exact flux of a source function linear in optical depth between the depth points.

    F = 2π [S(0)/2 + Σ (dS/dτ) (E4(τ_k) - E4(τ_k+1))] (Hubeny & Mihalas 2014, ch. 11, integrated by
    parts), the source being constant above the first depth.

    Parameters
    ----------
    flux : float64 array, shape (n,)
        Overwritten with the flux.
    tau : float64 array, shape (n_depth,)
        Standard optical depth.
    opacity, source : float64 array, shape (n_depth, n)
        Opacity over the standard one; source function.
    e4_table : float64 array, shape (n_cell, 4)
    """
    n_depth, n = opacity.shape
    depth, step = np.empty(n), np.empty(n)
    above, below = np.empty(n), np.empty(n)
    for j in range(n):
        depth[j] = opacity[0, j] * tau[0]  # above the first layer opacity is that of the first
        flux[j] = 0.5 * source[0, j]  # ∫ S E2 dτ by parts: S(0)/2 + Σ dS/dτ ΔE4
    fill_integral(above, depth, e4_table)
    for k in range(1, n_depth):
        half_step = 0.5 * (tau[k] - tau[k - 1])  # trapezoid in τ
        upper, lower = opacity[k - 1], opacity[k]
        for j in range(n):
            step[j] = half_step * (upper[j] + lower[j])
            depth[j] += step[j]
        fill_integral(below, depth, e4_table)
        upper, lower = source[k - 1], source[k]
        for j in range(n):
            # source is linear in optical depth between layers
            flux[j] += (lower[j] - upper[j]) / step[j] * (above[j] - below[j])
        above, below = below, above
    for j in range(n):
        flux[j] *= 2.0 * math.pi  # F = 2π ∫ S E2 dτ


@njit(cache=True)
def convolved(fine, kernel, first, stride, n):
    """Convolution with a symmetric kernel at every ``stride``-th fine point, float64 (n,).

    ``first`` is the fine point of the first value; the kernel stays inside the fine grid.
    """
    values = np.zeros(n)
    for k in range(kernel.size):
        part = fine[first - kernel.size // 2 + k :]
        for i in range(n):
            values[i] += kernel[k] * part[i * stride]
    return values


@njit(cache=True)
def fill_integral(value, x, e4_table):
    """Fill ``value`` with the E4 of every ``x``, both float64 (n,)."""
    for j in range(x.size):
        value[j] = exponential_integral(x[j], e4_table)


@njit(cache=True, inline="always")
def exponential_integral(x, e4_table):
    """E4(x) from its table of cubic pieces; zero beyond the table."""
    place = x * E4_PER_UNIT
    cell = int(min(place, e4_table.shape[0] - 1.0))
    t = place - cell
    c = e4_table[cell]
    value = c[0] + t * (c[1] + t * (c[2] + t * c[3]))
    return value if place < e4_table.shape[0] else 0.0
