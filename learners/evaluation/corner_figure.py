"""Corner plot: every label of a posterior by itself and against every other."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.figure_kit import (
    axis_of,
    colour_of,
    new_figure,
    save_figure,
    styled,
)
from starsmith.learners.prediction.posterior_draws import PosteriorDraws

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["corner_figure", "plot_corner"]

PANEL, BINS = 1.5, 40  # inch; a side of a panel


@styled
def corner_figure(draws: PosteriorDraws, row: int = 0) -> "Figure":
    """Draw the posterior of one spectrum, its quantiles at 16, 50 and 84 % as lines."""
    value, weight = draws.value[row], np.exp(draws.log_weight[row])
    quantiles = draws.quantiles((0.16, 0.5, 0.84))[row]
    n_label = len(draws.labels)
    figure = new_figure(PANEL * n_label + 0.6, PANEL * n_label + 0.4)
    panels = figure.subplots(n_label, n_label, squeeze=False, sharex="col")
    for i, below in enumerate(draws.labels):
        for j, name in enumerate(draws.labels):
            panel = panels[i, j]
            if j > i:
                panel.set_axis_off()
                continue
            if i == j:
                panel.hist(value[:, i], BINS, weights=weight, histtype="step", color=colour_of(0))
                panel.set_yticks([])
                for edge in quantiles[:, i]:
                    panel.axvline(edge, color=colour_of(1), linewidth=0.8, zorder=0)
            else:
                panel.hist2d(
                    value[:, j], value[:, i], BINS, weights=weight, cmap="Greys", rasterized=True
                )
            if i == n_label - 1:
                panel.set_xlabel(axis_of(name))
            if j == 0 and i > 0:
                panel.set_ylabel(axis_of(below))
    figure.align_labels()
    return figure


def plot_corner(draws: PosteriorDraws, path: Path | str, row: int = 0) -> None:
    """Write `corner_figure` to a file."""
    save_figure(corner_figure(draws, row), path)
