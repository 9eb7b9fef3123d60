"""Figures: predicted against true labels, and training curves."""

from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.figure_kit import new_figure, save_figure
from starsmith.data_contract.files.outside import read_json_lines
from starsmith.data_contract.predictions import Predictions
from starsmith.learners.evaluation.metrics import mae, r2, sigma_robust
from starsmith.learners.training.run_folder import METRICS

__all__ = ["plot_predictions", "plot_training"]

DENSITY_BINS = 60


def local_density(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Count of points in the cell of each point, float64 (n_spec,), on a 60 x 60 mesh."""
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=DENSITY_BINS)
    column = np.clip(np.searchsorted(x_edges, x, side="right") - 1, 0, DENSITY_BINS - 1)
    row = np.clip(np.searchsorted(y_edges, y, side="right") - 1, 0, DENSITY_BINS - 1)
    return counts[column, row]


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
    figure = new_figure(9.0, 4.2)
    scatter, histogram = figure.subplots(1, 2, width_ratios=(1.2, 1.0))
    density = local_density(truth, value)
    order = np.argsort(density)
    points = scatter.scatter(
        truth[order], value[order], c=density[order], s=4, cmap="viridis", rasterized=True
    )
    ends = [min(truth.min(), value.min()), max(truth.max(), value.max())]
    scatter.plot(ends, ends, color="crimson", lw=1.0, label="1:1")
    scatter.set(
        xlabel=f"true {label} [{unit}]", ylabel=f"predicted {label} [{unit}]", aspect="equal"
    )
    scatter.legend(loc="upper left", frameon=False)
    figure.colorbar(points, ax=scatter, label="spectra per cell")
    scatter.set_title(
        f"{predictions.model}: R² {r2(truth, value):.3f}, MAE {mae(truth, value):.3g}", fontsize=10
    )
    error = value - truth
    reach = np.percentile(np.abs(error), 99.5)
    histogram.hist(error, bins=np.linspace(-reach, reach, 61), color="0.35")
    histogram.axvline(0.0, color="crimson", lw=1.0)
    histogram.axvline(np.median(error), color="tab:blue", lw=1.0, ls="--", label="median")
    histogram.set(xlabel=f"predicted - true {label} [{unit}]", ylabel="spectra")
    histogram.set_title(f"robust σ {sigma_robust(truth, value):.3g}, n {error.size}", fontsize=10)
    histogram.legend(frameon=False)
    save_figure(figure, path, predictions.notice)


def plot_training(folder: Path | str, path: Path | str, notice: str = "") -> None:
    """Draw loss and validation error against epoch of a network's run folder.

    Parameters
    ----------
    folder : path
        What `fit` wrote.
    path : path
        Where the figure goes.
    notice : str
        Of the grid behind the data set.

    Raises
    ------
    DataError
        If the folder holds no epochs: ridge and trees have none.
    """
    source = Path(folder) / METRICS
    rows = read_json_lines(source)
    rows = [row for row in rows if "epoch" in row]
    if not rows:
        raise DataError(f"{source}: holds no epochs; only networks have training curves")
    epochs = [row["epoch"] for row in rows]
    figure = new_figure(9.0, 3.6)
    loss, error = figure.subplots(1, 2)
    loss.plot(epochs, [row["train_loss"] for row in rows], color="0.2")
    loss.set(xlabel="epoch", ylabel="training loss")
    for label in rows[0]["val_mae"]:
        error.plot(epochs, [row["val_mae"][label] for row in rows], label=label)
    best = [row["epoch"] for row in rows if row["best"]]
    if best:
        error.axvline(best[-1], color="crimson", lw=1.0, ls="--", label=f"best: {best[-1]}")
    error.set(xlabel="epoch", ylabel="validation MAE [label unit]")
    error.legend(frameon=False)
    save_figure(figure, path, notice)
