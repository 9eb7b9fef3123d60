"""Figure of how far a grid can be trusted: every measure over Teff and log g."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.figure_kit import (
    PAGE,
    axis_of,
    colour_of,
    new_figure,
    save_figure,
    styled,
)
from starsmith.data_contract.quality_map import LIMITS, WORDS, QualityMap

__all__ = ["plot_quality"]

DECADES = 2.0  # shown below and above a measure's limit
ROW = 2.5  # height of a map's panels [inch]


@styled
def plot_quality(path: Path, maps: Mapping[str, QualityMap], notice: str = "") -> None:
    """Draw every map over the first two labels: the worst along the others, crosses beyond limits.

    Raises
    ------
    GridError
        If there is no map.
    """
    from matplotlib.colors import LogNorm

    if not maps:
        raise GridError("no map of this grid is known; run 'specsim grid errors' first")
    columns = max(len(one.values) for one in maps.values())
    figure = new_figure(PAGE, ROW * len(maps))
    panels = figure.subplots(len(maps), columns, squeeze=False)
    for row, (name, one) in zip(panels, maps.items(), strict=True):
        for axes, (measure, values) in zip(row, one.values.items(), strict=False):
            x, y = list(one.edges)[:2]
            worst = _worst(values)
            limit = LIMITS[measure]
            norm = LogNorm(limit * 10.0**-DECADES, limit * 10.0**DECADES, clip=True)
            mesh = axes.pcolormesh(
                one.edges[x], one.edges[y], worst.T, norm=norm, cmap="viridis_r", rasterized=True
            )
            middles = [0.5 * (edges[1:] + edges[:-1]) for edges in (one.edges[x], one.edges[y])]
            at = np.argwhere(worst > limit)
            axes.plot(middles[0][at[:, 0]], middles[1][at[:, 1]], "x", ms=3, color=colour_of(1))
            axes.set_title(f"{name}: {WORDS[measure]}", loc="left")
            axes.set(xlabel=axis_of(x), ylabel=axis_of(y) if axes is row[0] else "")
            axes.invert_xaxis()
            axes.invert_yaxis()
            figure.colorbar(mesh, ax=axes)
        for axes in row[len(one.values) :]:
            axes.set_axis_off()
    save_figure(figure, path, notice)


def _worst(values: np.ndarray) -> np.ndarray:
    """Largest known value along all labels but the first two, NaN where none is known."""
    flat = values.reshape(*values.shape[:2], -1)
    known = np.isfinite(flat).any(axis=-1)
    return np.where(known, np.max(np.nan_to_num(flat, nan=0.0), axis=-1), np.nan)
