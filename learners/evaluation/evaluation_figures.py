"""Figures on predictions: one model, several side by side, and the truth of uncertainties."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom

from starsmith.data_contract.figure_kit import (
    GUIDE,
    INK,
    PAGE,
    SHADE,
    add_notice,
    axis_of,
    colour_of,
    legend_above,
    new_figure,
    save_figure,
    styled,
    symbol_of,
)
from starsmith.data_contract.predictions import Predictions
from starsmith.learners.evaluation.calibration import N_PIT, calibrate, z_scores
from starsmith.learners.scores.metrics import mae, r2, sigma_robust

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "calibration_figure",
    "models_figure",
    "plot_calibration",
    "plot_models",
    "plot_predictions",
]

DENSITY_BINS = 60  # cells a side of the mesh that points are counted on
MOST_PANELS = 4


@styled
def models_figure(tables: Sequence[Predictions], label: str | None = None) -> "Figure":
    """Draw predicted against true label of some models, and all their errors together.

    Parameters
    ----------
    tables : sequence of Predictions
        For the same spectra; the first four have a panel of their own.
    label : str, optional
        By default the first.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    label = label or tables[0].labels[0]
    shown = tables[:MOST_PANELS]
    n_row = 1 if len(shown) < 3 else 2
    n_column = -(-(len(shown) + 1) // n_row)
    figure = new_figure(PAGE, 2.6 * n_row + 0.3)
    panels = figure.subplots(n_row, n_column, squeeze=False).ravel()
    for spare in panels[len(shown) + 1 :]:
        spare.set_axis_off()
    panels = panels[: len(shown) + 1]
    column, unit = tables[0].column(label), tables[0].units[tables[0].column(label)]
    truth = tables[0].truth[:, column]
    ends = np.array([truth.min(), truth.max()]) + np.ptp(truth) * np.array([-0.08, 0.08])
    for axes, table in zip(panels, shown, strict=False):
        rows = table.found(label)
        x, y = table.truth[rows, table.column(label)], table.value[rows, table.column(label)]
        density = local_density(x, y)
        order = np.argsort(density)
        axes.scatter(x[order], y[order], c=density[order], s=2, rasterized=True)
        axes.plot(ends, ends, color=INK, lw=0.8, ls="--", label="1:1")
        axes.set(xlim=ends, ylim=ends, xlabel=axis_of(label, "true"))
        axes.set_ylabel(axis_of(label, "predicted"))
        axes.set_title(f"{table.model}\n$R^2$ {r2(x, y):.3f}, MAE {mae(x, y):.3f}")
    _error_histograms(panels[-1], tables, label, unit)
    legend_above(figure, panels.tolist(), 3)
    add_notice(figure, tables[0].notice)
    return figure


def _error_histograms(axes, tables: Sequence[Predictions], label: str, unit: str) -> None:
    errors = []
    for table in tables:
        rows, column = table.found(label), table.column(label)
        errors.append(table.value[rows, column] - table.truth[rows, column])
    reach = max(np.percentile(np.abs(e), 99.0) for e in errors)
    bins = np.linspace(-reach, reach, 51)
    for k, (table, error) in enumerate(zip(tables, errors, strict=True)):
        spread = sigma_robust(np.zeros_like(error), error)
        axes.hist(
            error,
            bins=bins,
            density=True,
            histtype="step",
            color=colour_of(k),
            label=rf"{table.model}, $\sigma$ {spread:.2f}",
        )
    axes.axvline(0.0, color=GUIDE, lw=0.6, zorder=0)
    axes.set(xlabel=axis_of(label, "predicted - true", unit), yticks=[])
    axes.set_title("errors")


def plot_models(tables: Sequence[Predictions], path: Path | str, label: str | None = None) -> None:
    """Write `models_figure` to a file."""
    save_figure(models_figure(tables, label), path)


@styled
def calibration_figure(tables: Sequence[Predictions], label: str | None = None) -> "Figure":
    """Draw PIT histogram, coverage against probability, and z-scores of some models.

    Grey bands hold 95 % of what a perfect model with as many spectra would show.

    Parameters
    ----------
    tables : sequence of Predictions
        With uncertainties.
    label : str, optional

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    DataError
        If a model states no uncertainties.
    """
    label = label or tables[0].labels[0]
    figure = new_figure(PAGE, 2.6)
    pit, coverage, scores = figure.subplots(1, 3)
    levels = np.linspace(0.02, 0.98, 49)
    reach = ndtri(0.5 + 0.5 * levels)
    n_least = min(len(z_scores(table, label)) for table in tables)
    edges = np.linspace(0.0, 1.0, N_PIT + 1)
    low, high = binom.ppf([0.025, 0.975], n_least, 1.0 / N_PIT) * N_PIT / n_least
    pit.axhspan(low, high, color=SHADE, lw=0, zorder=0, label="95 % of perfect models")
    band = binom.ppf([[0.025], [0.975]], n_least, levels) / n_least - levels
    coverage.fill_between(levels, *band, color=SHADE, lw=0, zorder=0)
    grid = np.linspace(-4.0, 4.0, 200)
    scores.plot(
        grid,
        np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi),
        color=GUIDE,
        lw=1.0,
        zorder=0,
        label="standard normal",
    )
    for k, table in enumerate(tables):
        z = z_scores(table, label)
        found = calibrate(table, label)
        pit.stairs(
            np.array(found.pit) * N_PIT / z.size, edges, color=colour_of(k), label=table.model
        )
        seen = (np.abs(z)[:, None] < reach).mean(axis=0)
        coverage.plot(levels, seen - levels, color=colour_of(k), label=table.model)
        scores.hist(
            np.clip(z, -4.0, 4.0),
            bins=np.linspace(-4.0, 4.0, 41),
            density=True,
            histtype="step",
            color=colour_of(k),
            label=f"z of {table.model}: {found.z_mean:+.2f} ± {found.z_std:.2f}",
        )
    pit.set(xlabel=r"$\Phi(z)$: probability below the truth", ylabel="density", ylim=(0, None))
    coverage.axhline(0.0, color=GUIDE, lw=0.6)
    coverage.set(xlabel="probability of the interval", ylabel="fraction of stars inside - it")
    scores.set(xlabel=rf"$z$ = (true - predicted {symbol_of(label)}) / $\sigma$", ylabel="density")
    legend_above(figure, [pit, scores], 3)
    add_notice(figure, tables[0].notice)
    return figure


def plot_calibration(
    tables: Sequence[Predictions], path: Path | str, label: str | None = None
) -> None:
    """Write `calibration_figure` to a file."""
    save_figure(calibration_figure(tables, label), path)


def local_density(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Count of points in the cell of each point, float64 (n_spec,), on a 60 x 60 mesh."""
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=DENSITY_BINS)
    column = np.clip(np.searchsorted(x_edges, x, side="right") - 1, 0, DENSITY_BINS - 1)
    row = np.clip(np.searchsorted(y_edges, y, side="right") - 1, 0, DENSITY_BINS - 1)
    return counts[column, row]


@styled
def plot_predictions(predictions: Predictions, path: Path | str, label: str | None = None) -> None:
    """Draw predicted against true label, coloured by density, and the errors' histogram.

    Parameters
    ----------
    predictions : Predictions
    path : path
        Where the figure goes; its suffix says which format.
    label : str, optional
        By default the first.
    """
    label = label or predictions.labels[0]
    column = predictions.column(label)
    truth, value = predictions.truth[:, column], predictions.value[:, column]
    unit = predictions.units[column]
    figure = new_figure(PAGE, 3.2)
    scatter, histogram = figure.subplots(1, 2, width_ratios=(1.2, 1.0))
    density = local_density(truth, value)
    order = np.argsort(density)
    points = scatter.scatter(truth[order], value[order], c=density[order], s=2, rasterized=True)
    ends = [min(truth.min(), value.min()), max(truth.max(), value.max())]
    scatter.plot(ends, ends, color=INK, lw=0.8, ls="--", label="1:1")
    scatter.set(
        xlabel=axis_of(label, "true", unit),
        ylabel=axis_of(label, "predicted", unit),
        aspect="equal",
    )
    figure.colorbar(points, ax=scatter, label="spectra per cell")
    scatter.set_title(
        f"{predictions.model}: $R^2$ {r2(truth, value):.3f}, MAE {mae(truth, value):.3g}"
    )
    error = value - truth
    reach = np.percentile(np.abs(error), 99.5)
    histogram.hist(error, bins=np.linspace(-reach, reach, 61), color=GUIDE)
    histogram.axvline(0.0, color=INK, lw=0.8)
    histogram.axvline(np.median(error), color=colour_of(1), lw=1.0, ls="--", label="median")
    histogram.set(xlabel=axis_of(label, "predicted - true", unit), ylabel="spectra")
    histogram.set_title(rf"robust $\sigma$ {sigma_robust(truth, value):.3g}, n {error.size}")
    legend_above(figure, [scatter, histogram])
    save_figure(figure, path, predictions.notice)
