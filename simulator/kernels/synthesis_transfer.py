"""Opacity of a spectrum's lines on its depth grid, and the emergent flux."""

import math
from collections import namedtuple

import numpy as np
from numba import njit, prange

from starsmith.simulator.kernels.synthesis_escape import flux_from_opacity
from starsmith.simulator.kernels.synthesis_voigt import add_voigt

__all__ = ["HYDROGEN_STRIDE", "Bands", "Lines", "Smooth", "convolved", "emergent_flux"]

HYDROGEN_STRIDE = 4  # fine steps between points of the hydrogen lines
# wavelengths worked on together, a multiple of that; rows of 4096 bytes would share one set of the
# first cache
CHUNK = 584

Lines = namedtuple("Lines", "position strength width damping reach")
"""Atomic lines: ``position`` float64 (n_line,) [step of the fine grid]; ``strength`` (n_line,
n_depth) opacity at the centre of an undamped profile over the standard opacity; ``width`` Doppler
width [step]; ``damping`` Voigt parameter; ``reach`` half-width of the window [step]."""

Smooth = namedtuple("Smooth", "opacity source stride excess", defaults=[np.zeros((1, 1))])
"""What varies slowly: ``opacity`` over the standard one and ``source`` function, float64 (n_depth,
n_coarse), on every ``stride``-th point of the fine grid; ``excess``, opacity times what its source
has over ``source``, alike, or (1, 1) where all sources are the same."""

Bands = namedtuple("Bands", "table amount row fraction share", defaults=[np.ones(1)])
"""Molecular bands: ``table`` float32 (n_system * n_speed, n_row, n_wave) cross-section [1e-20 cm²]
by temperature; ``amount`` (n_system, n_depth) molecules over the standard opacity [1e20/cm²];
``row``, ``fraction`` (n_depth,) place of each depth between two rows; ``share`` (n_speed,) weight
of each table of a system, whose sum counts where it is positive."""


@njit(cache=True, parallel=True)
def emergent_flux(tau, smooth, hydrogen, lines, bands, n_wave):
    """Flux leaving a plane-parallel atmosphere at every point of a fine wavelength grid.

    Parameters
    ----------
    tau : float64 array, shape (n_depth,)
        Optical depth in the standard opacity, increasing.
    smooth : Smooth
        Continuum and source function.
    hydrogen : float64 array, shape (n_depth, n_point)
        Opacity of hydrogen lines over the standard one, on every `HYDROGEN_STRIDE`-th point.
    lines : Lines
    bands : Bands
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
        opacity = np.empty((tau.size, stop - start))
        source = np.empty((tau.size, stop - start))
        fill_smooth(opacity, smooth.opacity, smooth.stride, start)  # continuum
        # Planck function, interpolated as the continuum is
        fill_smooth(source, smooth.source, smooth.stride, start)
        add_hydrogen(opacity, hydrogen, start)
        add_bands(opacity, bands, start)
        add_lines(opacity, lines, widest, start)
        if smooth.excess.shape[1] > 1:
            add_excess(source, opacity, smooth, start)
        flux_from_opacity(flux[start:stop], tau, opacity, source)
    return flux


@njit(cache=True)
def fill_smooth(values, coarse, stride, start):
    """Fill ``values`` with ``coarse`` (n_depth, n_coarse), linear between points, from a step."""
    n_depth, n = values.shape
    last_cell = coarse.shape[1] - 2
    per_step = 1.0 / stride
    for k in range(n_depth):
        j, cell = 0, min(start // stride, last_cell)
        while j < n:
            # coarse cell of this step; the last is extended
            stop = n if cell == last_cell else min(n, (cell + 1) * stride - start)
            left = coarse[k, cell]
            slope = (coarse[k, cell + 1] - left) * per_step
            origin = left + slope * (start + j - cell * stride)  # value at the first step
            part = values[k, j:stop]
            for i in range(part.size):
                part[i] = origin + slope * i
            j = stop
            cell += 1


@njit(cache=True, error_model="numpy")
def add_excess(source, opacity, smooth, start):
    """Add to ``source`` what other sources have over it: (κ_c S_c + κ_l B) / (κ_c + κ_l)."""
    excess = np.empty(source.shape)
    fill_smooth(excess, smooth.excess, smooth.stride, start)
    for k in range(source.shape[0]):
        for j in range(source.shape[1]):
            source[k, j] += excess[k, j] / opacity[k, j]


@njit(cache=True)
def add_hydrogen(values, coarse, start):
    """Add ``coarse`` (n_depth, n_coarse), linearly interpolated, to ``values`` from ``start``.

    ``start`` is a point of the coarse grid.
    """
    n_depth, n = values.shape
    n_cell = n // HYDROGEN_STRIDE
    first = start // HYDROGEN_STRIDE
    for k in range(n_depth):
        points, fine = coarse[k, first:], values[k]
        if not points[: n_cell + 2].any():
            continue  # no line reaches here
        for cell in range(n_cell):
            slope = (points[cell + 1] - points[cell]) / HYDROGEN_STRIDE
            for i in range(HYDROGEN_STRIDE):
                fine[cell * HYDROGEN_STRIDE + i] += points[cell] + slope * i
        for i in range(n - n_cell * HYDROGEN_STRIDE):
            slope = (points[n_cell + 1] - points[n_cell]) / HYDROGEN_STRIDE
            fine[n_cell * HYDROGEN_STRIDE + i] += points[n_cell] + slope * i


@njit(cache=True)
def add_bands(opacity, bands, start):
    """Add molecular bands to ``opacity`` (n_depth, n) from fine point ``start`` on."""
    n_depth, n = opacity.shape
    n_row = bands.table.shape[1]
    rows = np.empty((n_row, n), dtype=np.float32)  # as the tables
    for i in range(bands.amount.shape[0]):
        is_mixed = np.zeros(n_row, dtype=np.bool_)
        for k in range(n_depth):
            if bands.amount[i, k] == 0.0:
                continue  # too weak to be seen
            row = bands.row[k]
            for needed in (row, row + 1):
                if not is_mixed[needed]:
                    mix_speeds(rows[needed], bands, i, needed, start)
                    is_mixed[needed] = True
            # linear in θ between two rows of the table
            weight_hot = np.float32(bands.amount[i, k] * bands.fraction[k])
            weight_cool = np.float32(bands.amount[i, k] * (1.0 - bands.fraction[k]))
            cool, hot, part = rows[row], rows[row + 1], opacity[k]
            for j in range(n):
                part[j] += max(weight_cool * cool[j] + weight_hot * hot[j], np.float32(0.0))


@njit(cache=True)
def mix_speeds(values, bands, system, row, start):
    """Fill ``values`` with a row of a system, its tables weighted by their shares."""
    values[:] = 0.0
    for speed in range(bands.share.size):
        share = np.float32(bands.share[speed])
        part = bands.table[system * bands.share.size + speed, row, start : start + values.size]
        for j in range(values.size):
            values[j] += share * part[j]


@njit(cache=True)
def widest_reach(lines):
    """Largest reach of each line over depth, float64 (n_line,)."""
    widest = np.full(lines.position.size, -1.0)  # negligible
    for i in range(widest.size):
        for reach in lines.reach[i]:
            widest[i] = max(widest[i], reach)
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


@njit(cache=True)
def convolved(fine, kernel, first, stride, n):
    """Convolution with a symmetric kernel at every ``stride``-th fine point, float64 (n,).

    ``first`` is the fine point of the first value; the kernel stays inside the fine grid.
    """
    values = np.zeros(n)
    size = n + (kernel.size - 1) // stride
    part = np.empty(size)  # every stride-th point, side by side
    for phase in range(stride):
        begin = first - kernel.size // 2 + phase
        for i in range(min(size, (fine.size - begin + stride - 1) // stride)):
            part[i] = fine[begin + i * stride]
        for k in range(phase, kernel.size, stride):
            shifted = part[k // stride :]
            for i in range(n):
                values[i] += kernel[k] * shifted[i]
    return values
