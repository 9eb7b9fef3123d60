"""Figures of a data set: distributions of labels, magnitude and signal-to-noise."""

from pathlib import Path
from typing import TYPE_CHECKING

from starsmith.data_contract.figure_kit import (
    PAGE,
    axis_of,
    colour_of,
    legend_above,
    new_figure,
    save_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_dataset"]

COLUMNS = 4
ROW = 1.5  # inches


@styled
def plot_dataset(path: Path, summary: dict) -> None:
    """Draw histograms of what varies, and of the S/N of every split.

    Parameters
    ----------
    path : Path
        png, pdf or svg.
    summary : dict
        From `starsmith.data_contract.describe`, of a finished data set.
    """
    card = summary["card"]
    varying = {
        name: entry
        for name, entry in card["quantities"].items()
        if entry["range"][0] != entry["range"][1]
    }
    n_panel = len(varying) + 2  # the S/N is two panels wide
    n_row = -(-n_panel // COLUMNS)
    figure = new_figure(PAGE, ROW * n_row + 0.5)
    grid = figure.add_gridspec(n_row, COLUMNS)
    first = figure.add_subplot(grid[0, :2])
    _draw_snr(first, card["snr"])
    for k, (name, entry) in enumerate(varying.items(), start=2):
        _draw_histogram(figure.add_subplot(grid[k // COLUMNS, k % COLUMNS]), name, entry)
    total = sum(summary["counts"].values())
    grid_name, instrument = (summary[key].get("name", "") for key in ("grid", "instrument"))
    first.set_title(f"{total:,} spectra: {grid_name} stars, {instrument}", loc="left")
    legend_above(figure, first)
    save_figure(figure, path, summary["notice"])


def _draw_snr(axes: "Axes", snr: dict[str, dict[str, int]]) -> None:
    """Share of every split's spectra in each bin."""
    width = 0.8 / len(snr)
    for k, (split, bins) in enumerate(snr.items()):
        total = max(1, sum(bins.values()))
        places = [j + (k - (len(snr) - 1) / 2) * width for j in range(len(bins))]
        axes.bar(places, [n / total for n in bins.values()], width, label=split, color=colour_of(k))
    labels = [name.replace("..", "-").replace("-inf", "+") for name in next(iter(snr.values()))]
    axes.set_xticks(range(len(labels)), labels)
    axes.set(xlabel="S/N per pixel", ylabel="share of split")


def _draw_histogram(axes: "Axes", name: str, entry: dict) -> None:
    """Number of spectra in equal bins over the range found."""
    counts, (low, high) = entry["histogram"], entry["range"]
    width = (high - low) / len(counts)
    places = [low + (k + 0.5) * width for k in range(len(counts))]
    axes.bar(places, counts, width, color="0.55", edgecolor="white", linewidth=0.4)
    axes.set_xlabel(axis_of(name, unit=entry["unit"]))
