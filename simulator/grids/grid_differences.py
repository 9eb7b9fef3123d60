"""How spectra of two grids differ, node by node: lines, Ca II triplet, flux at 800 nm."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.data_contract.quality_map import QualityMap
from starsmith.simulator.grids.grid_comparison import interpolate_grid, smooth_to_resolution

__all__ = ["Star", "difference_map", "spectrum_differences"]

TRIPLET = air_to_vacuum(np.array([8498.02, 8542.09, 8662.14]))
TRIPLET_REACH = 15.0  # [Å]
COMPARED = 5000.0  # λ/FWHM
POINTS = np.arange(6420.0, 8980.0, 1.0)  # R = 5000 needs no finer [Å]
MARGIN = 20.0  # of the smoothing at the ends [Å]
RED = 8000.0  # where fluxes are compared [Å]
LEVEL_WIDTH = 100  # points of a running level, where a grid has no continuum


@dataclass(frozen=True)
class Star:
    """A spectrum to be compared: vacuum ``wave`` [Å], ``flux``, ``continuum`` or None, and R."""

    wave: np.ndarray
    flux: np.ndarray
    continuum: np.ndarray | None
    resolution: float

    def at(self, points: np.ndarray, resolution: float) -> tuple[np.ndarray, np.ndarray]:
        """Flux over its continuum, and the continuum, at ``points`` and a resolution."""
        flux = self.flux if self.continuum is None else self.flux / self.continuum
        if self.resolution > resolution * 1.001:
            left = (resolution**-2 - self.resolution**-2) ** -0.5
            flux = smooth_to_resolution(self.wave, flux, left)
        flux = np.interp(points, self.wave, flux)
        if self.continuum is not None:
            return flux, np.interp(points, self.wave, self.continuum)
        blocks = np.array_split(np.arange(points.size), max(1, points.size // LEVEL_WIDTH))
        level = np.interp(
            points,
            [points[block].mean() for block in blocks],
            [np.percentile(flux[block], 90.0) for block in blocks],
        )
        return flux / level, level


def spectrum_differences(star: Star, other: Star) -> dict[str, float]:
    """``rms``, ``ca_ii`` and ``flux`` of `QualityMap` of two spectra; NaN out of their range."""
    low = max(star.wave[0], other.wave[0]) + MARGIN
    high = min(star.wave[-1], other.wave[-1]) - MARGIN
    points = POINTS[(low < POINTS) & (high > POINTS)]
    if not points.size:
        raise GridError(
            f"the spectra have nothing in common within {POINTS[0]:g}..{POINTS[-1]:g} Å"
        )
    if other.continuum is None or star.continuum is None:  # the same level for both
        star, other = (Star(s.wave, s.flux, None, s.resolution) for s in (star, other))
    resolution = min(COMPARED, star.resolution, other.resolution)
    (a, level_a), (b, level_b) = (s.at(points, resolution) for s in (star, other))
    near = np.abs(points[:, None] - TRIPLET) < TRIPLET_REACH
    whole = (points[0] < TRIPLET[0] - TRIPLET_REACH) & (points[-1] > TRIPLET[-1] + TRIPLET_REACH)
    widths = [np.sum((1.0 - normalised)[:, None] * near) for normalised in (a, b)]
    red = [np.interp(RED, points, level, left=np.nan, right=np.nan) for level in (level_a, level_b)]
    return {
        "rms": float(np.sqrt(np.mean((a - b) ** 2))),
        "ca_ii": abs(float(np.log(widths[0] / widths[1]))) if whole and min(widths) > 0 else np.nan,
        "flux": abs(float(np.log(red[0] / red[1]))),
    }


def difference_map(
    grid: GridData, other: GridData, progress: Callable[[int, int], None] | None = None
) -> QualityMap:
    """Compare a grid, interpolated, with every node of another grid inside its labels.

    Parameters
    ----------
    grid, other : GridData
        Labels that one of them lacks are zero in the other.
    progress : callable, optional
        Called with (nodes done, nodes in all).

    Returns
    -------
    QualityMap
        A cell around each node of ``other``; NaN where it has a hole or leaves the grid.

    Raises
    ------
    GridError
        If no node of ``other`` lies inside the grid.
    """
    names = [name for name in other.axes if name in grid.axes]
    if missing := [name for name in grid.axes if name not in other.axes and not _zero(grid, name)]:
        raise GridError(f"grid {other.name!r} has no axis {missing}, grid {grid.name!r} has no 0")
    shape = tuple(other.axes[name].size for name in names)
    values = {key: np.full(shape, np.nan) for key in ("rms", "ca_ii", "flux")}
    places = list(np.argwhere(other.valid))
    for n, place in enumerate(places):
        labels = {k: float(axis[i]) for (k, axis), i in zip(other.axes.items(), place, strict=True)}
        if any(value != 0.0 for name, value in labels.items() if name not in names):
            continue
        there = {name: labels.get(name, 0.0) for name in grid.axes}
        if all(axis[0] <= there[name] <= axis[-1] for name, axis in grid.axes.items()):
            has = grid.continuum is not None
            ours = Star(
                grid.wave,
                interpolate_grid(grid, there),
                interpolate_grid(grid, there, continuum=True) if has else None,
                grid.resolution,
            )
            theirs = Star(
                other.wave,
                other.flux[tuple(place)].astype(np.float64),
                None if other.continuum is None else other.continuum[tuple(place)],
                other.resolution,
            )
            at = tuple(i for name, i in zip(other.axes, place, strict=True) if name in names)
            for key, value in spectrum_differences(ours, theirs).items():
                values[key][at] = value
        if progress:
            progress(n + 1, len(places))
    if not np.isfinite(values["rms"]).any():
        raise GridError(f"no node of grid {other.name!r} lies inside grid {grid.name!r}")
    return QualityMap(
        edges={name: _around(other.axes[name]) for name in names},
        values=values,
        about=f"differences from grid {other.name}, {other.provenance.get('release', '')}",
    )


def _zero(grid: GridData, name: str) -> bool:
    return bool(grid.axes[name][0] <= 0.0 <= grid.axes[name][-1])


def _around(nodes: np.ndarray) -> np.ndarray:
    """Edges of cells around nodes, half-way to their neighbours."""
    if nodes.size == 1:
        return np.array([nodes[0] - 1e-3, nodes[0] + 1e-3])
    middle = 0.5 * (nodes[1:] + nodes[:-1])
    return np.concatenate([[2 * nodes[0] - middle[0]], middle, [2 * nodes[-1] - middle[-1]]])
