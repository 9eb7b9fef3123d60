"""Figure of an instrument beside the official exposure-time calculator."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.figure_kit import (
    GUIDE,
    INK,
    PAGE,
    WAVE_AXIS,
    colour_of,
    legend_above,
    new_figure,
    save_figure,
    styled,
)
from starsmith.data_contract.spectrum_figure import mark_features
from starsmith.simulator.instruments.pfs_etc.validate import SETTINGS, EtcComparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_comparison"]


@styled
def plot_comparison(path: Path, comparison: EtcComparison) -> None:
    """Draw S/N per pixel beside the calculator's; below, our signal and noise over theirs."""
    figure = new_figure(PAGE, 5.0)
    both, signal, noise = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
    wave = comparison.wave
    both.plot(wave, comparison.etc_snr, lw=0.6, color=INK, label="exposure-time calculator")
    both.plot(wave, comparison.snr, lw=0.6, color=colour_of(0), alpha=0.8, label="starsmith")
    both.set(ylabel="S/N per pixel", ylim=(0, 1.05 * np.max(comparison.etc_snr)))
    both.margins(x=0.01)
    inside = f"{100 * comparison.snr_within_5_percent:.1f} % of pixels within 5 %"
    stated = comparison.settings
    words = [s.text.format(stated[name]) for name, s in SETTINGS.items() if name in stated]
    both.set_title(f"{', '.join(words)}\n{inside}", pad=12)
    legend_above(figure, both)
    mark_features(both, wave)
    _deviation(signal, wave, comparison.signal / comparison.etc_signal - 1.0, "signal")
    _deviation(noise, wave, comparison.noise / comparison.etc_noise - 1.0, "variance, no star")
    noise.set_xlabel(WAVE_AXIS)
    save_figure(figure, path)


def _deviation(axes: "Axes", wave: np.ndarray, deviation: np.ndarray, what: str) -> None:
    """Relative deviation pixel by pixel, its greatest written beside it."""
    axes.axhline(0.0, color=GUIDE, lw=0.6)
    axes.plot(wave, deviation, lw=0.5, color=colour_of(1))
    worst, typical = np.max(np.abs(deviation)), np.median(deviation)
    # a few pixels at the edges of lines may be far off; the others decide the scale
    scale = 1.5 * max(np.percentile(np.abs(deviation), 99.5), 1e-6)
    axes.set(ylabel=f"{what}\nours / theirs - 1", ylim=(-scale, scale))
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    text = f"median {typical:.1e}, greatest {worst:.1e}"
    axes.set_title(text, loc="right", pad=2)
