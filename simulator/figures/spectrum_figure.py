"""Figures of spectra: one, one at several magnitudes, and the noise of these."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.arms import ArmSpan
from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.figure_kit import (
    FLUX_AXIS,
    WAVE_AXIS,
    colour_of,
    new_figure,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mark_features", "plot_errors", "plot_magnitudes", "plot_spectrum"]

FEATURES = {8185.5: "Na I", 8500.4: "", 8544.4: "Ca II", 8664.5: ""}  # vacuum Å; doublets once


def mark_features(axes: "Axes", wave: np.ndarray) -> None:
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


def _spectrum_panel(axes: "Axes", batch: SpectrumBatch, row: int) -> None:
    for arm in batch.arms or (ArmSpan("", 0, batch.wave.size),):
        first = arm.start == 0
        wave, observed, model = (
            values[arm.pixels] for values in (batch.wave, batch.flux[row], batch.flux_model[row])
        )
        axes.plot(wave, observed, lw=0.4, color=colour_of(row), label="observed" if first else None)
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
    figure = new_figure(9.0, 3.6)
    axes = figure.subplots()
    _spectrum_panel(axes, batch, 0)
    mark_features(axes, batch.wave)
    axes.set(xlabel=WAVE_AXIS, ylabel=FLUX_AXIS)
    axes.legend(loc="upper right", fontsize=8)
    save_figure(figure, path, notice)


def plot_magnitudes(path: Path, batch: SpectrumBatch, notice: str) -> None:
    """Draw the same star at several magnitudes, noisy over noiseless, one panel each."""
    figure = new_figure(9.0, 2.0 * len(batch))
    panels = figure.subplots(len(batch), 1, sharex=True, squeeze=False)[:, 0]
    for row, axes in enumerate(panels):
        _spectrum_panel(axes, batch, row)
    mark_features(panels[0], batch.wave)
    panels[0].legend(loc="upper right", fontsize=8)
    panels[-1].set_xlabel(WAVE_AXIS)
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
    figure = new_figure(11.0, 4.0)
    absolute, relative = figure.subplots(1, 2)
    for row in reversed(range(len(batch))):  # brightest on top: its noise differs least
        style = {"lw": 0.5, "color": colour_of(row)}
        style["label"] = f"mag {batch.draws.mag[row]:g}"
        absolute.plot(batch.wave, sigma[row], **style)
        relative.plot(batch.wave, sigma[row] / batch.flux_model[row], **style)
    absolute.set(ylabel=FLUX_AXIS.replace("flux", r"$\sigma$"), yscale="log", xlabel=WAVE_AXIS)
    relative.set(ylabel=r"$\sigma$ / flux", yscale="log", xlabel=WAVE_AXIS)
    relative.legend(fontsize=8, reverse=True)
    save_figure(figure, path, notice)
