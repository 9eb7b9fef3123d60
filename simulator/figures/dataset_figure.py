"""Figures of a data set: distributions of labels, magnitude and signal-to-noise."""

from pathlib import Path
from typing import TYPE_CHECKING

from starsmith.data_contract.figure_kit import colour_of, new_figure, save_figure
from starsmith.data_contract.quantities import QUANTITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_dataset"]

COLUMNS = 4
PANEL = 2.6, 2.1  # inches
SYMBOLS = {quantity.name: quantity.symbol for quantity in QUANTITIES if quantity.symbol}


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
    figure = new_figure(PANEL[0] * COLUMNS, PANEL[1] * n_row + 0.4)
    grid = figure.add_gridspec(n_row, COLUMNS)
    _draw_snr(figure.add_subplot(grid[0, :2]), card["snr"])
    for k, (name, entry) in enumerate(varying.items(), start=2):
        _draw_histogram(figure.add_subplot(grid[k // COLUMNS, k % COLUMNS]), name, entry)
    total = sum(summary["counts"].values())
    grid_name, instrument = (summary[key].get("name", "") for key in ("grid", "instrument"))
    title = f"{total:,} spectra: {grid_name} stars, {instrument}"
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path, summary["notice"])


def _draw_snr(axes: "Axes", snr: dict[str, dict[str, int]]) -> None:
    """Share of every split's spectra in each bin."""
    width = 0.8 / len(snr)
    for k, (split, bins) in enumerate(snr.items()):
        total = max(1, sum(bins.values()))
        places = [j + (k - (len(snr) - 1) / 2) * width for j in range(len(bins))]
        axes.bar(places, [n / total for n in bins.values()], width, label=split, color=colour_of(k))
    labels = [name.replace("..", "-").replace("-inf", "+") for name in next(iter(snr.values()))]
    axes.set_xticks(range(len(labels)), labels, fontsize=7)
    axes.set_xlabel("S/N per pixel", fontsize=8)
    axes.set_ylabel("share of split", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False)


def _draw_histogram(axes: "Axes", name: str, entry: dict) -> None:
    """Number of spectra in equal bins over the range found."""
    counts, (low, high) = entry["histogram"], entry["range"]
    width = (high - low) / len(counts)
    places = [low + (k + 0.5) * width for k in range(len(counts))]
    axes.bar(places, counts, width, color="0.55", edgecolor="white", linewidth=0.5)
    axes.set_xlabel(SYMBOLS.get(name, f"{name.replace('_', ' ')} [{entry['unit']}]"), fontsize=8)
    axes.tick_params(labelsize=7)
