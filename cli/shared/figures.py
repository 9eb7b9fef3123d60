"""Figures: arrays in, a file out; the grid's notice is printed on every one."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from starsmith.cli.shared.files import staged_file
from starsmith.data_contract.arms import ArmSpan
from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.grid.grid_file import GridData

__all__ = [
    "check_suffix",
    "plot_errors",
    "plot_grid",
    "plot_magnitudes",
    "plot_predictions",
    "plot_spectrum",
]

SUFFIXES = (".pdf", ".png", ".svg")
# Okabe & Ito (2008): told apart by colour-blind readers, and in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
FLUX_AXIS = r"flux [$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$]"
WAVE_AXIS = "vacuum wavelength [Å]"
FEATURES = {8185.5: "Na I", 8500.4: "", 8544.4: "Ca II", 8664.5: ""}  # vacuum Å; doublets once


def check_suffix(path: Path | None) -> None:
    """Raise ConfigError, before any work, where a figure cannot be written in that format."""
    if path is not None and Path(path).suffix not in SUFFIXES:
        raise ConfigError(f"{path}: figures are written as {SUFFIXES}; give --plot one of these")


def new_figure(n_row: int, n_col: int, size: tuple[float, float], **kwargs):
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(n_row, n_col, squeeze=False, **kwargs)


def save_figure(figure: Figure, path: Path, notice: str) -> None:
    check_suffix(path)
    if notice:
        figure.text(0.5, -0.01, notice, ha="center", va="top", fontsize=8, color="#B00020")
    with staged_file(path) as partial:
        figure.savefig(partial, dpi=150, bbox_inches="tight")


def mark_features(axes: Axes, wave: np.ndarray) -> None:
    """Name the strong features above the spectrum."""
    for centre, name in FEATURES.items():
        if wave[0] < centre < wave[-1]:
            axes.axvline(centre, color="0.6", lw=0.6, ls=":", zorder=0)
            axes.annotate(
                name,
                (centre, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color="0.4",
            )


def _spectrum_panel(axes: Axes, batch: SpectrumBatch, row: int, colour: str) -> None:
    for arm in batch.arms or (ArmSpan("", 0, batch.wave.size),):
        first = arm.start == 0
        wave, observed, model = (
            values[arm.pixels] for values in (batch.wave, batch.flux[row], batch.flux_model[row])
        )
        axes.plot(wave, observed, lw=0.4, color=colour, label="observed" if first else None)
        axes.plot(wave, model, lw=0.7, color="0.25", label="noiseless" if first else None)
    # the range follows the bulk of the pixels, not the sky lines
    low, high = np.percentile(batch.flux[row], [1.5, 98.5])
    pad = 0.4 * (high - low)
    axes.set_ylim(min(0.0, low - pad), high + pad)
    axes.margins(x=0.01)
    text = f"mag {batch.draws.mag[row]:.2f}, S/N {batch.snr[row]:.1f} per pixel"
    axes.text(0.01, 0.05, text, transform=axes.transAxes, fontsize=9, va="bottom")


def plot_spectrum(path: Path, batch: SpectrumBatch, notice: str) -> None:
    """Draw the first spectrum of a batch over its noiseless flux."""
    figure, ((axes,),) = new_figure(1, 1, (9, 3.6))
    _spectrum_panel(axes, batch, 0, COLOURS[0])
    mark_features(axes, batch.wave)
    axes.set(xlabel=WAVE_AXIS, ylabel=FLUX_AXIS)
    axes.legend(loc="upper right", fontsize=8)
    save_figure(figure, path, notice)


def plot_magnitudes(path: Path, batch: SpectrumBatch, notice: str) -> None:
    """Draw the same star at several magnitudes, noisy over noiseless, one panel each."""
    figure, grid = new_figure(len(batch), 1, (9, 2.0 * len(batch)), sharex=True)
    for row, (axes,) in enumerate(grid):
        _spectrum_panel(axes, batch, row, COLOURS[row % len(COLOURS)])
    mark_features(grid[0, 0], batch.wave)
    grid[0, 0].legend(loc="upper right", fontsize=8)
    grid[-1, 0].set_xlabel(WAVE_AXIS)
    figure.supylabel(FLUX_AXIS, fontsize=10)
    save_figure(figure, path, notice)


def plot_errors(path: Path, batch: SpectrumBatch, sigma: np.ndarray, notice: str) -> None:
    """Draw the 1σ noise against wavelength, absolute and relative, one curve per magnitude.

    Parameters
    ----------
    path : Path
    batch : SpectrumBatch
        The same star at several magnitudes.
    sigma : float32 array, shape (n_spec, n_wave)
        Standard deviation of the noise [1e-17 erg/s/cm²/Å].
    notice : str
    """
    figure, ((absolute, relative),) = new_figure(1, 2, (11, 4))
    for row in reversed(range(len(batch))):  # brightest on top: its noise differs least
        style = {"lw": 0.5, "color": COLOURS[row % len(COLOURS)]}
        style["label"] = f"mag {batch.draws.mag[row]:g}"
        absolute.plot(batch.wave, sigma[row], **style)
        relative.plot(batch.wave, sigma[row] / batch.flux_model[row], **style)
    absolute.set(ylabel=FLUX_AXIS.replace("flux", r"$\sigma$"), yscale="log", xlabel=WAVE_AXIS)
    relative.set(ylabel=r"$\sigma$ / flux", yscale="log", xlabel=WAVE_AXIS)
    relative.legend(fontsize=8, reverse=True)
    save_figure(figure, path, notice)


def plot_predictions(
    path: Path, truth: np.ndarray, predicted: Mapping[str, np.ndarray], label: str, notice: str
) -> None:
    """Draw predicted against true, a density panel per model, and all residuals.

    Parameters
    ----------
    path : Path
    truth : float array, shape (n_spec,)
    predicted : dict of str to float array, shape (n_spec,)
        Title of the panel, which starts with the model's name, and its predictions.
    label : str
        Axis text of the quantity, with its unit.
    notice : str
    """
    n_panel = len(predicted) + 1
    figure, (panels,) = new_figure(1, n_panel, (3.6 * n_panel, 3.6))
    span = float(truth.min()), float(truth.max())
    residual_span = (span[0] - span[1]) / 2, (span[1] - span[0]) / 2
    for k, (title, values) in enumerate(predicted.items()):
        axes = panels[k]
        axes.hist2d(truth, values, bins=60, range=(span, span), cmin=1, cmap="viridis")
        axes.plot(span, span, ls="--", lw=1, color="k")
        axes.set(xlabel=f"true {label}", ylabel=f"predicted {label}", aspect="equal")
        axes.set_title(title, fontsize=10)
        panels[-1].hist(
            values - truth, bins=50, range=residual_span, histtype="step",
            color=COLOURS[k], label=title.split()[0],
        )  # fmt: skip
    panels[-1].axvline(0, color="k", ls="--", lw=0.8)
    panels[-1].set(xlabel=f"predicted − true {label}", ylabel="spectra per bin")
    panels[-1].set_ylim(0, 1.3 * panels[-1].get_ylim()[1])  # room for the legend
    panels[-1].legend(fontsize=8, loc="upper right")
    save_figure(figure, path, notice)


def plot_grid(path: Path, grid: GridData) -> None:
    """Draw which (Teff, log g) nodes a grid fills, and one of its spectra per temperature."""
    figure, ((coverage, spectra),) = new_figure(1, 2, (11, 4))
    names = list(grid.axes)
    filled = grid.valid.reshape(*grid.valid.shape[:2], -1).mean(axis=-1)
    x, y = np.meshgrid(grid.axes[names[0]], grid.axes[names[1]], indexing="ij")
    dots = coverage.scatter(x.ravel(), y.ravel(), c=filled.ravel(), vmin=0, vmax=1, cmap="viridis")
    figure.colorbar(dots, ax=coverage, label="fraction of nodes with a model")
    holed = filled < 1
    if holed.any():
        coverage.scatter(x[holed], y[holed], marker="x", s=50, lw=1, c="#D55E00", label="holes")
        coverage.legend(fontsize=8)
    coverage.set(xlabel=f"{names[0]} [K]", ylabel=f"{names[1]} [dex(cgs)]")
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
                color=COLOURS[k % len(COLOURS)], label=f"{teff:g} K",
            )  # fmt: skip
    spectra.set(xlabel=WAVE_AXIS, ylabel="flux / median")
    spectra.legend(fontsize=8)
    save_figure(figure, path, grid.notice)
