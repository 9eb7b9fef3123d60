"""Figures of ceilings, of information along the spectrum and over labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.figure_kit import (
    COLOURS,
    FLUX_AXIS,
    GUIDE,
    INK,
    PAGE,
    WAVE_AXIS,
    add_notice,
    axis_of,
    dodged,
    legend_above,
    new_figure,
    save_figure,
    styled,
    symbol_of,
)
from starsmith.fisher.ceilings.ceiling_table import FEW_STARS, CeilingRow, CeilingTable
from starsmith.fisher.information.density import FEATURES, StarDensity
from starsmith.fisher.information.waterfall import WaterfallStep
from starsmith.fisher.survey.sigma_map import SigmaMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ceiling_figure", "density_figure", "map_figure", "plot_ceiling", "waterfall_figure"]

LINES = {
    "posterior_mean": ("exact posterior mean: the ceiling", COLOURS[6], "-", 1.8),
    "bayes_gauss": ("Gaussian prior, linearised", COLOURS[0], "--", 1.2),
    "unbiased_mean": ("unbiased estimators", COLOURS[2], "-.", 1.0),
    "mean_clip": ("mean of clipped bounds", COLOURS[3], ":", 1.0),
    "paper_median": ("median over nodes (published definition)", COLOURS[1], "-", 1.0),
    "van_trees": ("van Trees", COLOURS[7], ":", 1.0),
}
BAND_COLOURS = (COLOURS[0], COLOURS[2], COLOURS[3])
MARKERS = "osD^vP*X"
BAR_COLOUR = COLOURS[1]
MODEL_COLOURS = tuple(COLOURS[k] for k in (5, 4, 9, 8, 2, 3))


def _binned(table: CeilingTable) -> list[CeilingRow]:
    return [row for row in table.rows if row.name != "all" and row.n >= FEW_STARS and not row.arm]


def _draw_ceilings(axes, table: CeilingTable) -> None:
    rows = _binned(table)
    snr = np.array([row.snr for row in rows])
    for name in (n for n in LINES if n in table.statistics):
        text, colour, style, width = LINES[name]
        value = np.array([row.r2[name][0] for row in rows])
        error = np.array([row.r2[name][1] for row in rows])
        if not np.isfinite(value).any():
            continue
        axes.plot(snr, value, style, color=colour, lw=width, label=text, zorder=3)
        if name == "paper_median":
            low, high = np.array([row.paper_spread for row in rows]).T
            spread = "its 10th to 90th percentile"
            axes.fill_between(snr, low, high, color=colour, alpha=0.1, lw=0, zorder=1, label=spread)
        if name == "posterior_mean":
            axes.fill_between(
                snr, value - 2 * error, value + 2 * error, color=colour, alpha=0.2, lw=0,
                label="ceiling ± 2 s.e.",
            )  # fmt: skip
            axes.fill_between(snr, value, 1.0, color="0.94", lw=0, zorder=0, label="out of reach")


@styled
def ceiling_figure(
    table: CeilingTable,
    models: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    notice: str | None = None,
) -> "Figure":
    """Draw R² against signal-to-noise: every ceiling, and models beneath them.

    Parameters
    ----------
    table : CeilingTable
    models : mapping of name to (mapping of bin name to (R², low, high)), optional
        Scores of models in the table's bins, with the ends of their intervals.
    notice : str, optional
        Printed on the figure; the table's own by default.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ConfigError
        If no bin holds enough stars to draw.
    """
    if not _binned(table):
        raise ConfigError(
            f"--plot: no bin of S/N holds {FEW_STARS} stars; raise --n-star or widen --snr-bins"
        )
    figure = new_figure(PAGE, 4.8)
    axes = figure.add_subplot()
    _draw_ceilings(axes, table)
    snr_of = {row.name: row.snr for row in _binned(table)}
    n_model = len(models or {})
    for k, (name, scores) in enumerate((models or {}).items()):
        bins = [b for b in snr_of if b in scores]
        r2, low, high = np.array([scores[b] for b in bins], dtype=float).reshape(-1, 3).T
        x = [snr_of[b] * dodged(k, n_model) for b in bins]
        colour = MODEL_COLOURS[k % len(MODEL_COLOURS)]
        axes.errorbar(
            x, r2, [r2 - low, high - r2], fmt=MARKERS[k % len(MARKERS)], color=colour, ecolor=INK,
            mec=INK, mew=0.5, capsize=1.5, elinewidth=0.7, label=name, zorder=4,
        )  # fmt: skip
    axes.set_xscale("log")
    ticks = [t for t in (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100) if _within(t, snr_of)]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_ylim(-0.1, 1.02)
    axes.set_xlabel("median S/N per pixel of the stars in each bin")
    axes.set_ylabel(f"$R^2$ of {symbol_of(table.target)}")
    axes.grid(alpha=0.25)
    axes.set_title(f"Best possible $R^2$; amplitude {table.header['amplitude']}")
    legend_above(figure, axes, 3)
    add_notice(figure, table.notice if notice is None else notice)
    return figure


def plot_ceiling(
    table: CeilingTable,
    path: Path | str,
    models: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    notice: str | None = None,
) -> None:
    """Write `ceiling_figure` to ``path``; its suffix chooses the format."""
    save_figure(ceiling_figure(table, models, notice), path)


def _within(tick: float, snr_of: Mapping[str, float]) -> bool:
    return 0.7 * min(snr_of.values()) <= tick <= 1.4 * max(snr_of.values())


@styled
def density_figure(star: StarDensity, notice: str = "") -> "Figure":
    """Draw a spectrum, and under it where its information on a label sits.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    figure = new_figure(PAGE, 4.2)
    spectrum, density = figure.subplots(2, 1, sharex=True)
    spectrum.plot(star.wave, star.flux, lw=0.5, color=INK)
    spectrum.set_ylabel(FLUX_AXIS)
    pixel = np.gradient(star.wave)
    for values, colour, text in (
        (star.density_fixed, GUIDE, "were all else known"),
        (star.density, COLOURS[1], "fitting " + ", ".join(map(symbol_of, star.names))),
    ):
        density.plot(star.wave, values / values.sum() / pixel, lw=0.6, color=colour, label=text)
    for colour, (name, bands) in zip(BAND_COLOURS, FEATURES.items(), strict=True):
        for k, (low, high) in enumerate(bands):
            for axes in (spectrum, density):
                label = name if k == 0 else None
                axes.axvspan(low, high, color=colour, alpha=0.15, lw=0, label=label)
    density.set_xlabel(WAVE_AXIS)
    density.set_ylabel(f"share of the information\non {symbol_of(star.target)} per Å")
    density.set_xlim(star.wave[0], star.wave[-1])
    bound = rf"$\sigma$({symbol_of(star.target)}) $\geq$ {star.sigma:.3g}"
    spectrum.set_title(f"{bound} at S/N {star.snr:.1f} per pixel")
    legend_above(figure, density, 3)
    add_notice(figure, notice)
    return figure


@styled
def map_figure(found: SigmaMap, notice: str = "") -> "Figure":
    """Draw the bound over two labels, as observers draw them: hot left, giants on top.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    from matplotlib.colors import LogNorm

    figure = new_figure(4.6, 3.4)
    axes = figure.add_subplot()
    shown = np.ma.masked_invalid(found.sigma)
    norm = LogNorm(*(np.percentile(shown.compressed(), [1.0, 99.0])))
    mesh = axes.pcolormesh(
        found.first,
        found.second,
        shown.T,
        norm=norm,
        cmap="viridis_r",
        rasterized=True,
        shading="nearest" if shown.mask.any() else "gouraud",
    )
    levels = [s for s in (0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0) if shown.min() < s < shown.max()]
    if levels:
        lines = axes.contour(found.first, found.second, shown.T, levels, colors="k", linewidths=0.8)
        axes.clabel(lines, fmt="%g", fontsize="small")
    figure.colorbar(mesh, ax=axes, label=axis_of(found.target, r"least $\sigma$ of"))
    axes.set_xlabel(axis_of(found.plane[0]))
    axes.set_ylabel(axis_of(found.plane[1]))
    axes.invert_xaxis()
    axes.invert_yaxis()
    held = ", ".join(f"{symbol_of(name)} {value:g}" for name, value in found.held.items())
    axes.set_title(f"{held}; fitting {', '.join(map(symbol_of, found.fitted))}")
    add_notice(figure, notice)
    return figure


@styled
def waterfall_figure(
    steps: Sequence[WaterfallStep], target: str, title: str, notice: str = ""
) -> "Figure":
    """Draw what each unknown adds to a bound, from all known to all fitted.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    figure = new_figure(PAGE, 1.1 + 0.27 * len(steps))
    axes = figure.add_subplot()
    sigma = np.array([step.sigma for step in steps])
    place = np.arange(len(steps))
    before = np.concatenate([[0.0], sigma[:-1]])
    axes.barh(place, before, color="0.85", height=0.62)
    colours = ["0.45", *(BAR_COLOUR for _ in steps[1:])]
    axes.barh(place, sigma - before, left=before, color=colours, height=0.62)
    for k, step in enumerate(steps):
        more = f"  (x{step.factor:.2f})" if k else ""
        axes.annotate(
            f"{step.sigma:.3g}{more}", (step.sigma, k), xytext=(4, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip
    names = [steps[0].name, *(f"+ {symbol_of(step.name)}" for step in steps[1:])]
    axes.set_yticks(place, names)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.22 * sigma.max())
    axes.set_xlabel(axis_of(target, r"least $\sigma$ of"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(top=False, right=False)
    axes.set_title(title)
    add_notice(figure, notice)
    return figure
