"""Figures of a stellar grid: its nodes, lines against labels, whole windows, differences."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.figure_kit import (
    GUIDE,
    INK,
    PAGE,
    WAVE_AXIS,
    axis_of,
    colour_of,
    legend_above,
    new_figure,
    save_figure,
    styled,
    symbol_of,
)
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.grids import crop
from starsmith.simulator.grids.grid_comparison import interpolate_grid, smooth_to_resolution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_differences", "plot_grid", "plot_stars", "plot_triplet"]

TRIPLET = (8480.0, 8690.0)  # vacuum Å
WINDOW = (7100.0, 8850.0)
CENTRAL_STAR = {"teff": 4750.0, "logg": 2.5, "m_h": -0.5}
VARIED = {"logg": (1.0, 2.0, 3.0, 4.0, 5.0), "teff": (4000.0, 4500.0, 5000.0, 5500.0, 6000.0)}
VARIED["m_h"] = (-2.5, -1.5, -0.5, 0.0, 0.5)
STARS = ((3750.0, 1.0, 0.0), (4250.0, 1.5, -0.5), (5000.0, 3.0, -2.0), (5750.0, 4.5, 0.0))
STARS = (*STARS, (6250.0, 4.0, -0.5))
COMPARED_RESOLUTION = 5000.0


@styled
def plot_grid(path: Path, grid: GridData) -> None:
    """Draw which (Teff, log g) nodes a grid fills, and one of its spectra per temperature."""
    figure = new_figure(PAGE, 2.9)
    coverage, spectra = figure.subplots(1, 2)
    names = list(grid.axes)
    filled = grid.valid.reshape(*grid.valid.shape[:2], -1).mean(axis=-1)
    x, y = np.meshgrid(grid.axes[names[0]], grid.axes[names[1]], indexing="ij")
    dots = coverage.scatter(x.ravel(), y.ravel(), c=filled.ravel(), vmin=0, vmax=1, s=14)
    figure.colorbar(dots, ax=coverage, label="fraction of nodes with a model")
    holed = filled < 1
    if holed.any():
        coverage.scatter(
            x[holed], y[holed], marker="x", s=25, lw=0.8, c=colour_of(1), label="holes"
        )
    coverage.set(xlabel=axis_of(names[0]), ylabel=axis_of(names[1]))
    coverage.invert_xaxis()
    coverage.invert_yaxis()
    middle = tuple(n // 2 for n in grid.valid.shape[1:])
    step = max(1, grid.wave.size // 4000)
    for k, teff in enumerate(grid.axes[names[0]][:: max(1, len(grid.axes[names[0]]) // 4)]):
        node = (int(np.searchsorted(grid.axes[names[0]], teff)), *middle)
        if grid.valid[node]:
            flux = grid.flux[node]
            spectra.plot(
                grid.wave[::step], flux[::step] / np.nanmedian(flux), lw=0.5,
                color=colour_of(k), label=f"{teff:g} K",
            )  # fmt: skip
    spectra.set(xlabel=WAVE_AXIS, ylabel="flux / median")
    legend_above(figure, [coverage, spectra], 6)
    save_figure(figure, path, grid.notice)


@styled
def plot_triplet(path: Path, grid: GridData) -> None:
    """The Ca II triplet against log g, Teff and [M/H], the other labels held."""
    grid = crop(grid, *TRIPLET)
    figure = new_figure(PAGE, 6.2)
    panels = figure.subplots(3, 1, sharex=True)
    for axes, (name, values) in zip(panels, VARIED.items(), strict=True):
        inside = [v for v in values if grid.axes[name][0] <= v <= grid.axes[name][-1]]
        for k, value in enumerate(inside):
            star = _inside(grid, CENTRAL_STAR | {name: value})
            _draw_normalised(axes, grid, star, k, f"{symbol_of(name)} {value:g}")
        held = ", ".join(f"{symbol_of(k)} {v:g}" for k, v in CENTRAL_STAR.items() if k != name)
        axes.set_title(f"Ca II triplet at {held}", loc="left")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.set_ylabel("flux / continuum")
    panels[-1].set_xlabel(WAVE_AXIS)
    save_figure(figure, path, grid.notice)


@styled
def plot_stars(path: Path, grid: GridData) -> None:
    """The whole window of five stars, from a cool giant to a warm subgiant."""
    grid = crop(grid, *WINDOW)
    figure = new_figure(PAGE, 6.6)
    panels = figure.subplots(len(STARS), 1, sharex=True)
    for k, (axes, labels) in enumerate(zip(panels, STARS, strict=True)):
        star = _inside(grid, dict(zip(("teff", "logg", "m_h"), labels, strict=True)))
        _draw_normalised(axes, grid, star, k, _star_name(star))
        axes.set_title(_star_name(star), loc="left", pad=2)
        axes.set_ylabel("flux / cont.")
    panels[-1].set_xlabel(WAVE_AXIS)
    save_figure(figure, path, grid.notice)


@styled
def plot_differences(path: Path, grid: GridData, references: Sequence[tuple]) -> None:
    """Reference spectra and the grid at R = 5000, each over its own running level.

    ``references`` holds (name, wave [vacuum Å], flux, (Teff, log g, [M/H])).
    """
    figure = new_figure(PAGE, 3.2 * len(references))
    panels = figure.subplots(2 * len(references), 1, sharex=True)
    for (upper, lower), (name, wave, flux, labels) in zip(
        panels.reshape(-1, 2), references, strict=True
    ):
        star = _inside(grid, dict(zip(("teff", "logg", "m_h"), labels, strict=True)))
        inside = (wave > max(WINDOW[0], wave[0])) & (wave < min(WINDOW[1], wave[-1]))
        seen = _level(smooth_to_resolution(wave, flux, COMPARED_RESOLUTION))[inside]
        ours = np.interp(wave, grid.wave, interpolate_grid(grid, star))
        ours = _level(smooth_to_resolution(wave, ours, COMPARED_RESOLUTION))[inside]
        rms = float(np.std(ours - seen))
        upper.plot(wave[inside], seen, color=INK, lw=0.6, label=name)
        upper.plot(
            wave[inside], ours, color=colour_of(0), lw=0.7, label=f"grid, {_star_name(star)}"
        )
        upper.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderpad=0)
        upper.set_ylabel("flux / level")
        lower.plot(wave[inside], ours - seen, color=colour_of(1), lw=0.6)
        lower.axhline(0.0, color=GUIDE, lw=0.6)
        lower.set_title(
            f"difference at R = {COMPARED_RESOLUTION:.0f}: rms {rms:.4f}", loc="left", pad=2
        )
        lower.set_ylabel("grid - reference")
    panels[-1].set_xlabel(WAVE_AXIS)
    save_figure(figure, path, grid.notice)


def _inside(grid: GridData, star: dict[str, float]) -> dict[str, float]:
    """Label values on every axis of the grid: zero, or the nearest, where the star names none."""
    full = {}
    for name, nodes in grid.axes.items():
        value = star.get(name, float(nodes[np.argmin(np.abs(nodes))]))
        if not nodes[0] <= value <= nodes[-1]:
            raise GridError(
                f"grid {grid.name}: {name} {value:g} is outside {nodes[0]:g}..{nodes[-1]:g}"
            )
        full[name] = value
    return full


def _draw_normalised(axes: "Axes", grid: GridData, star: dict, k: int, label: str) -> None:
    flux = interpolate_grid(grid, star)
    if grid.continuum is not None:
        flux = flux / interpolate_grid(grid, star, continuum=True)
    else:
        flux = _level(flux)
    axes.plot(grid.wave, flux, color=colour_of(k), lw=0.6, label=label)
    axes.margins(x=0.0)


def _level(flux: np.ndarray) -> np.ndarray:
    """Flux over its own 90th percentile in tenths of the range, joined linearly."""
    edges = np.linspace(0, flux.size, 11).astype(int)
    centre = 0.5 * (edges[:-1] + edges[1:])
    top = [np.percentile(flux[a:b], 90) for a, b in pairwise(edges)]
    return flux / np.interp(np.arange(flux.size), centre, top)


def _star_name(star: dict[str, float]) -> str:
    labels = (f"{symbol_of(name)} {star[name]:g}" for name in ("teff", "logg", "m_h"))
    return ", ".join(labels)
