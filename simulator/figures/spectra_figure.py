"""Spectra of a data set from bright to faint, and their noise: any data set, observed or not."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.figure_kit import (
    FLUX_AXIS,
    INK,
    PAGE,
    SHADE,
    WAVE_AXIS,
    colour_of,
    legend_above,
    new_figure,
    save_figure,
    styled,
)
from starsmith.data_contract.spectrum_figure import mark_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Shown", "plot_dataset_errors", "plot_dataset_spectra", "shown_of"]

SMOOTH = 51  # pixels of a running median: a level to divide noise by where no noiseless flux is
LEVELS = (2.0, 35.0, 65.0, 98.0)  # percentiles of the spectra shown unless magnitudes are named


@dataclass(frozen=True, eq=False)
class Shown:
    """Some spectra of a split, brightest first.

    Attributes
    ----------
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    flux, error, level : float32 arrays, shape (n_spec, n_wave)
        Observed, its 1σ error, and noiseless or smoothed flux; NaN where not usable.
    names : list of str
        Magnitude and S/N of each.
    noiseless : bool
        Whether ``level`` is the noiseless flux.
    arms : list of slice
        Pixels of each arm.
    """

    wave: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    level: np.ndarray
    names: list[str]
    noiseless: bool
    arms: list[slice]


def shown_of(split: Split, mags: tuple[float, ...] = ()) -> Shown:
    """Choose spectra from bright to faint: nearest to magnitudes, or over the whole range.

    Where a data set knows no magnitudes they are chosen by signal-to-noise.

    Raises
    ------
    ConfigError
        If magnitudes are named that the data set has not.
    DataError
        If the split is empty, or its spectra have no error.
    """
    if not len(split):
        raise DataError(f"split {split.name!r} holds no spectra; choose another --split")
    mag, snr = split.draws.mag, split.snr
    known = bool(np.isfinite(mag).all() and np.ptp(mag) > 0)
    if mags and not known:
        raise ConfigError("--mags: these spectra do not differ in a known magnitude; drop --mags")
    faintness = mag if known else -np.where(np.isfinite(snr), snr, np.nanmin(snr))
    wanted = mags or np.percentile(faintness, LEVELS)
    rows = list(dict.fromkeys(int(np.argmin(np.abs(faintness - value))) for value in wanted))
    seen = split.observe(np.array(rows))
    if seen.error is None:
        raise DataError(f"split {split.name!r}: its spectra have no error; nothing to draw")
    bad = seen.mask > 0
    flux, error = (np.where(bad, np.nan, values) for values in (seen.flux, seen.error))
    try:
        level, noiseless = split.flux_model(np.array(rows)), True
    except DataError:  # observed or frozen
        filled = np.where(bad, np.nanmedian(flux, axis=1)[:, None], seen.flux)
        level, noiseless = median_filter(filled, (1, SMOOTH)), False
    names = [
        (f"mag {mag[row]:.2f}, " if np.isfinite(mag[row]) else "") + f"S/N {snr[row]:.1f} per pixel"
        for row in rows
    ]
    arms = [arm.pixels for arm in split.header.arms] or [slice(0, split.wave.size)]
    return Shown(split.wave, flux, error, level, names, noiseless, arms)


@styled
def plot_dataset_spectra(path: Path, shown: Shown, notice: str = "") -> None:
    """Draw every spectrum in a panel of its own: observed, 1σ, noiseless flux where it is known."""
    figure = new_figure(PAGE, 0.7 + 1.3 * len(shown.names))
    panels = figure.subplots(len(shown.names), 1, sharex=True, squeeze=False)[:, 0]
    for row, axes in enumerate(panels):
        _draw(axes, shown, row)
        axes.set_title(shown.names[row], loc="left", pad=3 if row else 10)
    mark_features(panels[0], shown.wave)
    panels[-1].set_xlabel(WAVE_AXIS)
    figure.supylabel(FLUX_AXIS)
    legend_above(figure, panels[0])
    save_figure(figure, path, notice)


def _draw(axes: "Axes", shown: Shown, row: int) -> None:
    """One spectrum, arm by arm."""
    flux, error, level = shown.flux[row], shown.error[row], shown.level[row]
    for k, arm in enumerate(shown.arms):
        label = ("observed", r"$\pm 1\sigma$ error", "noiseless") if k == 0 else (None,) * 3
        wave = shown.wave[arm]
        axes.fill_between(
            wave, (level - error)[arm], (level + error)[arm], color=SHADE, lw=0, label=label[1]
        )
        axes.plot(wave, flux[arm], lw=0.35, color=colour_of(row), label=label[0])
        if shown.noiseless:
            axes.plot(wave, level[arm], lw=0.7, color=INK, label=label[2])
    usable = flux[np.isfinite(flux)]
    if usable.size:  # the range follows the bulk of the pixels, not the sky lines
        low, high = np.percentile(usable, [1.5, 98.5])
        pad = 0.4 * (high - low)
        axes.set_ylim(min(0.0, low - pad), high + pad)
    axes.set_xlim(shown.wave.min(), shown.wave.max())


@styled
def plot_dataset_errors(path: Path, shown: Shown, notice: str = "") -> None:
    """Draw the 1σ error against wavelength, absolute and over the flux, a curve a spectrum."""
    figure = new_figure(PAGE, 2.9)
    absolute, relative = figure.subplots(1, 2)
    for row in reversed(range(len(shown.names))):  # brightest on top: its noise differs least
        for k, arm in enumerate(shown.arms):
            style = {"lw": 0.4, "color": colour_of(row)}
            style["label"] = shown.names[row] if k == 0 else None
            level = np.where(shown.level[row] > 0, shown.level[row], np.nan)[arm]
            absolute.plot(shown.wave[arm], shown.error[row][arm], **style)
            relative.plot(shown.wave[arm], shown.error[row][arm] / level, **style)
    of = "flux" if shown.noiseless else "smoothed flux"
    absolute.set(ylabel=FLUX_AXIS.replace("flux", r"$\sigma$"), yscale="log", xlabel=WAVE_AXIS)
    relative.set(ylabel=rf"$\sigma$ / {of}", yscale="log", xlabel=WAVE_AXIS)
    legend_above(figure, relative, 2)
    save_figure(figure, path, notice)
