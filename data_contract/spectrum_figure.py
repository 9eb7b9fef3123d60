"""Figures of spectra: one, one at several magnitudes, and the noise of these."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.arms import ArmSpan
from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.figure_kit import (
    FLUX_AXIS,
    GUIDE,
    INK,
    PAGE,
    SHADE,
    WAVE_AXIS,
    add_notice,
    colour_of,
    legend_above,
    new_figure,
    save_figure,
    styled,
    symbol_of,
)
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quantities import SOMETIMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "mark_features",
    "observed_figure",
    "plot_errors",
    "plot_magnitudes",
    "plot_spectrum",
    "spectrum_figure",
    "star_words",
]

FEATURES = {8185.5: "Na I", 8500.4: "", 8544.4: "Ca II", 8664.5: ""}  # vacuum Å; doublets once
TRIPLET = (8470.0, 8700.0)  # vacuum Å
DIGITS = {"teff": "{:.0f} K", "logg": "{:.2f}"}  # others "{:+.2f}"


def mark_features(axes: "Axes", wave: np.ndarray) -> None:
    """Name the strong features above the spectrum."""
    for centre, name in FEATURES.items():
        if wave[0] < centre < wave[-1]:
            axes.axvline(centre, color=GUIDE, lw=0.6, ls=":", zorder=0)
            axes.annotate(
                name,
                (centre, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize="small",
                color="0.4",
            )


def _number(name: str, value: float) -> str:
    return DIGITS.get(name, "{:+.2f}").format(value)


def star_words(batch: SpectrumBatch, row: int = 0) -> str:
    """What star it is and how it was seen, typeset: labels, magnitude, S/N, exposures, seeing."""
    draws = batch.draws
    labels = [
        f"{symbol_of(name)} {DIGITS.get(name, '{:+.2f}').format(draws.label(name)[row])}"
        for name in draws.label_names
        if name in ("teff", "logg", "m_h") or draws.label(name)[row]
    ]
    seen = [f"mag {draws.mag[row]:.2f}", f"S/N {batch.snr[row]:.1f} per pixel"]
    some = [(name, getattr(draws, name)[row]) for name in SOMETIMES]
    seen += [f"{symbol_of(name)} {value:.2f}" for name, value in some if value]
    count, time, seeing = (
        draws.condition(name)[row] for name in ("exp_count", "exp_time", "seeing")
    )
    sky = rf"{count:.0f} $\times$ {time:.0f} s, seeing {seeing:.2f}″"
    return "  ".join((", ".join(labels), ", ".join(seen), sky))


def _draw(axes: "Axes", batch: SpectrumBatch, row: int, colour: str, span: tuple | None) -> None:
    """Observed over noiseless flux with its 1σ band, arm by arm, of a range of wavelengths."""
    shown = np.zeros(batch.wave.size, dtype=bool)
    for k, arm in enumerate(batch.arms or (ArmSpan("", 0, batch.wave.size),)):
        at = np.arange(batch.wave.size)[arm.pixels]
        if span is not None:
            at = at[(batch.wave[at] >= span[0]) & (batch.wave[at] <= span[1])]
        if not at.size:
            continue
        shown[at] = True
        wave, flux, model = batch.wave[at], batch.flux[row, at], batch.flux_model[row, at]
        sigma = batch.error[row, at]
        names = ("observed", "noiseless", r"$\pm 1\sigma$ error") if k == 0 else (None,) * 3
        axes.fill_between(
            wave, model - sigma, model + sigma, color=SHADE, lw=0, label=names[2], zorder=1
        )
        axes.plot(wave, flux, lw=0.35, color=colour, label=names[0], zorder=2)
        axes.plot(wave, model, lw=0.7, color=INK, label=names[1], zorder=3)
    # the range follows the bulk of the pixels, not the sky lines
    low, high = np.percentile(batch.flux[row, shown], [1.5, 98.5])
    pad = 0.4 * (high - low)
    axes.set_ylim(min(0.0, low - pad) if span is None else low - pad, high + pad)
    axes.set_xlim(batch.wave[shown].min(), batch.wave[shown].max())


@styled
def spectrum_figure(batch: SpectrumBatch, row: int = 0, notice: str = "") -> "Figure":
    """Draw a spectrum over its noiseless flux, and the Ca II triplet larger where it is covered.

    The title says which star it is, and how it was observed.

    Parameters
    ----------
    batch : SpectrumBatch
    row : int
    notice : str
        Label of a demonstration grid.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    covered = np.any((batch.wave > TRIPLET[0]) & (batch.wave < TRIPLET[1]))
    figure = new_figure(PAGE, 3.9 if covered else 2.5)
    panels = figure.subplots(2 if covered else 1, 1, squeeze=False)[:, 0]
    for axes, span in zip(panels, (None, TRIPLET), strict=False):
        _draw(axes, batch, row, colour_of(0), span)
        mark_features(axes, axes.get_xlim())
    panels[-1].set_xlabel(WAVE_AXIS)
    figure.supylabel(FLUX_AXIS)
    panels[0].set_title(star_words(batch, row), pad=12)
    legend_above(figure, panels[0])
    add_notice(figure, notice)
    return figure


@styled
def observed_figure(seen: Observed, row: int = 0, notice: str = "") -> "Figure":
    """Draw an observed spectrum, its 1σ error, and marks where pixels cannot be used.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    flux = np.atleast_2d(seen.flux)[row]
    usable = np.atleast_2d(seen.usable)[row]
    figure = new_figure(PAGE, 2.5)
    axes = figure.subplots()
    good = np.where(usable, flux, np.nan)
    if seen.error is not None:
        sigma = np.where(usable, np.atleast_2d(seen.error)[row], np.nan)
        band = {"color": SHADE, "lw": 0, "label": r"$\pm 1\sigma$ error"}
        axes.fill_between(seen.wave, good - sigma, good + sigma, **band)
    axes.plot(seen.wave, good, lw=0.4, color=colour_of(0), label="observed")
    if usable.any():
        low, high = np.percentile(flux[usable], [1.0, 99.0])
        axes.set_ylim(low - 0.4 * (high - low), high + 0.4 * (high - low))
    if (~usable).any():
        foot = np.full(int((~usable).sum()), 0.02)
        axes.plot(
            seen.wave[~usable], foot, "|", color=colour_of(1), ms=4,
            transform=axes.get_xaxis_transform(), label="not usable",
        )  # fmt: skip
    axes.set(xlim=(seen.wave.min(), seen.wave.max()), xlabel=WAVE_AXIS, ylabel=FLUX_AXIS)
    mark_features(axes, axes.get_xlim())
    axes.set_title("", pad=12)
    legend_above(figure, axes)
    add_notice(figure, notice)
    return figure


def plot_spectrum(path: Path, batch: SpectrumBatch, notice: str) -> None:
    """Write `spectrum_figure` of the first spectrum of a batch."""
    save_figure(spectrum_figure(batch, 0, notice), path)


@styled
def plot_magnitudes(path: Path, batch: SpectrumBatch, notice: str) -> None:
    """Draw the same star at several magnitudes, noisy over noiseless, one panel each."""
    figure = new_figure(PAGE, 0.7 + 1.3 * len(batch))
    panels = figure.subplots(len(batch), 1, sharex=True, squeeze=False)[:, 0]
    for row, axes in enumerate(panels):
        _draw(axes, batch, row, colour_of(row), None)
        title = f"mag {batch.draws.mag[row]:.2f}, S/N {batch.snr[row]:.1f} per pixel"
        axes.set_title(title, loc="left", pad=3 if row else 10)
    mark_features(panels[0], batch.wave)
    panels[-1].set_xlabel(WAVE_AXIS)
    figure.supylabel(FLUX_AXIS)
    legend_above(figure, panels[0])
    save_figure(figure, path, notice)


@styled
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
    figure = new_figure(PAGE, 2.8)
    absolute, relative = figure.subplots(1, 2)
    for row in reversed(range(len(batch))):  # brightest on top: its noise differs least
        style = {"lw": 0.4, "color": colour_of(row)}
        style["label"] = f"mag {batch.draws.mag[row]:g}"
        absolute.plot(batch.wave, sigma[row], **style)
        relative.plot(batch.wave, sigma[row] / batch.flux_model[row], **style)
    absolute.set(ylabel=FLUX_AXIS.replace("flux", r"$\sigma$"), yscale="log", xlabel=WAVE_AXIS)
    relative.set(ylabel=r"$\sigma$ / flux", yscale="log", xlabel=WAVE_AXIS)
    legend_above(figure, relative, len(batch))
    save_figure(figure, path, notice)
