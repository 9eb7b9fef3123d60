"""Figures of the papers, of our stars: one-to-one, planes, numbers of stars, landscapes, lines."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.figure_kit import (
    COLOURS,
    GUIDE,
    INK,
    PAGE,
    SHADE,
    WAVE_AXIS,
    axis_of,
    legend_above,
    new_figure,
    styled,
)
from starsmith.learners.benchmark.exhibits.cells import CellSet, DoneCell
from starsmith.learners.benchmark.exhibits.tables import clipped_sigma, mmd_of, plane_of
from starsmith.learners.scores.metrics import r2

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LINES", "figures", "shift_p"]

LINES = {
    "iron": (6496.8, 6548.1, 8329.3, 8390.1, 8470.7, 8516.4, 8691.0, 8826.6),
    "other": (6564.6, 8500.4, 8544.4, 8664.5, 8809.2),
}
"""Strong lines of cool stars, vacuum [Å]: Fe I (Kramida et al., NIST), and Hα, Ca II, Mg I."""
NEAR = 300.0  # km/s; a pixel as near as this belongs to a line
N_SHIFT = 999
BINS = (8, 40)  # of a side: as few as stars allow


def _panels(cells: CellSet) -> list[DoneCell]:
    """Scratch, zero-shot and the best fine-tuning, those there are."""
    found = [cells.first(name) for name in ("scratch", "zero_shot", cells.best)]
    return [cell for cell in found if cell is not None]


def _by_rate(cells: CellSet) -> list[DoneCell]:
    """Scratch at each of its learning rates, from the lowest; empty where only one was tried."""
    if (cell := cells.first("scratch")) is None:
        return []
    tried = cell.content.get("by_rate", [])
    return [
        replace(
            cell,
            strategy=f"scratch, rate {each['rate']:g}",
            columns=cell.columns | {"value": np.array(each["value"])[cell.known]},
        )
        for each in sorted(tried, key=lambda each: each["rate"])
    ]


def _told(cell: DoneCell) -> str:
    return cell.strategy if not cell.n else f"{cell.strategy}, {cell.n} stars"


def _one_to_one(axes: "Axes", cell: DoneCell, label: str, keep: np.ndarray) -> None:
    truth, value = cell.label(label, "truth")[keep], cell.label(label)[keep]
    low, high = np.percentile(truth, [0, 100])
    axes.plot([low, high], [low, high], color=INK, lw=0.8, ls="--", zorder=3)
    axes.scatter(truth, value, s=3, color=COLOURS[0], alpha=0.5, linewidths=0, rasterized=True)
    room = 0.15 * (high - low)
    axes.set(xlim=(low - room, high + room), ylim=(low - room, high + room))
    score = f"N {truth.size}, R² {r2(truth, value):.3f}, σ {clipped_sigma(value - truth):.3g}"
    axes.set_title(f"{_told(cell)}\n{score}", fontsize="small")
    axes.set_xlabel(axis_of(label, "true"))


@styled
def one_to_one_figure(
    cells: CellSet, labels: Sequence[str], clean: bool = False, shown: Sequence[DoneCell] = ()
) -> "Figure":
    """Predicted against true labels, a row for each label; ``clean``: the upper half in S/N."""
    panels = list(shown) or _panels(cells)
    figure = new_figure(PAGE, 2.5 * len(labels))
    grid = figure.subplots(len(labels), len(panels), squeeze=False)
    for row, label in zip(grid, labels, strict=True):
        for axes, cell in zip(row, panels, strict=True):
            _one_to_one(axes, cell, label, _kept(cell, clean))
        row[0].set_ylabel(axis_of(label, "predicted"))
    return figure


def _kept(cell: DoneCell, clean: bool) -> np.ndarray:
    known = np.isfinite(cell.snr).all()
    return cell.snr >= np.median(cell.snr) if clean and known else np.ones(cell.snr.size, bool)


@styled
def plane_figure(cells: CellSet, clean: bool = False, shown: Sequence[DoneCell] = ()) -> "Figure":
    """Predictions in a plane, last the truth: counts; below, columns scaled to their maximum."""
    plane, panels = plane_of(cells), list(shown) or _panels(cells)
    truth = np.array([panels[-1].label(name, "truth") for name in plane])
    n_bin = int(np.clip(np.sqrt(truth.shape[1]) / 1.5, BINS[0], BINS[1]))
    edges = [np.linspace(values.min(), values.max(), n_bin + 1) for values in truth]
    figure = new_figure(PAGE, 3.6)
    grid = figure.subplots(2, len(panels) + 1, sharex=True, sharey=True, squeeze=False)
    for k in range(len(panels) + 1):
        cell = panels[min(k, len(panels) - 1)]
        column = "value" if k < len(panels) else "truth"
        keep = _kept(cell, clean)
        points = [cell.label(name, column)[keep] for name in plane]
        counts = np.histogram2d(points[0], points[1], bins=edges)[0]
        most = counts.max(axis=1, keepdims=True)
        for row, image in enumerate((counts, counts / np.maximum(most, 1.0))):
            axes = grid[row, k]
            axes.pcolormesh(edges[0], edges[1], image.T, cmap="Blues", rasterized=True)
        title = "true"
        if k < len(panels):
            title = _told(cell)
            if not clean and "learned" in cell.content:
                title += f"\nMMD² {mmd_of(cell, plane, whole=False):.4f}"
        grid[0, k].set_title(title, fontsize="small")
        grid[1, k].set_xlabel(axis_of(plane[0]))
    for row in grid:
        row[0].set_ylabel(axis_of(plane[1]))
    return figure


@styled
def size_figure(cells: CellSet) -> "Figure":
    """R² and clipped σ of [M/H] against the number of stars learned from; bars: over seeds."""
    figure = new_figure(PAGE, 2.8)
    left, right = figure.subplots(1, 2)
    for k, name in enumerate(cells.strategies):
        counts = [0] if name == "zero_shot" else [n for n in sorted(cells.suite.n) if n]
        points = [(n, cells.of(name, n)) for n in counts]
        points = [(n, found) for n, found in points if found]
        for axes, score in ((left, r2), (right, lambda t, v: clipped_sigma(v - t))):
            each = [[float(score(c.label("m_h", "truth"), c.label("m_h"))) for c in found]
                    for _, found in points]  # fmt: skip
            mean, error = [np.mean(v) for v in each], [np.std(v) for v in each]
            at = [n for n, _ in points]
            if name == "zero_shot":
                axes.axhline(mean[0], color=COLOURS[k], ls=":", label=name)
            else:
                axes.errorbar(at, mean, error, color=COLOURS[k], marker="o", ms=3, label=name)
    if cells.has_ceiling:
        cell = cells.cells[0] if cells.cells[0].g == cells.g else cells.of(cells.best)[0]
        best = r2(cell.label("m_h", "truth"), cell.label("m_h", "ceiling"))
        left.axhline(float(best), color=INK, lw=0.8, ls="--", label="ceiling")
    for axes, text in ((left, "R²"), (right, "σ after 3σ clipping")):
        axes.set(xlabel="stars learned from", ylabel=f"{text} of [M/H]")
    legend_above(figure, [left])
    return figure


@styled
def landscape_figure(cells: CellSet) -> "Figure | None":
    """Squared error of metal-poor stars around the weights that learn; None without probes."""
    found = [cells.first(name) for name in cells.strategies]
    probed = [cell for cell in found if cell is not None and "landscape" in cell.probes]
    if not probed:
        return None
    figure = new_figure(PAGE, 2.3)
    grid = figure.subplots(1, len(probed), sharex=True, sharey=True, squeeze=False)[0]
    images = [np.log10(cell.probes["landscape"]["loss"]) for cell in probed]
    low, high = min(image.min() for image in images), max(image.max() for image in images)
    for axes, cell, image in zip(grid, probed, images, strict=True):
        step = np.array(cell.probes["landscape"]["step"])
        drawn = axes.contourf(step, step, image.T, np.linspace(low, high, 15), cmap="viridis")
        axes.plot(0, 0, marker="+", color="white")
        axes.set_title(f"{_told(cell)}\nat 0: {10 ** image[len(step) // 2, len(step) // 2]:.3f}",
                       fontsize="small")  # fmt: skip
        axes.set_xlabel("along the first direction")
    grid[0].set_ylabel("along the second")
    figure.colorbar(drawn, ax=grid.tolist(), label="log₁₀ squared error of [M/H]")
    return figure


@styled
def parameter_figure(cells: CellSet) -> "Figure | None":
    """R² of [M/H] against the number of trained parameters; None without sizes."""
    sized = [cell for cell in cells.cells if "-" in cell.strategy and cell.g == cells.g]
    if not sized:
        return None
    figure = new_figure(PAGE / 2, 2.6)
    axes = figure.subplots()
    for k, kind in enumerate(sorted({cell.strategy.partition("-")[0] for cell in sized})):
        points = sorted(
            (cell.content["parameters"]["n_trainable"],
             float(r2(cell.label("m_h", "truth"), cell.label("m_h"))))
            for cell in cells.cells if cell.strategy.partition("-")[0] == kind
            and (cell.g, cell.n) == (cells.g, cells.n_most)
        )  # fmt: skip
        if points:
            axes.plot(*np.transpose(points), marker="o", ms=3, color=COLOURS[k], label=kind)
    axes.set(xscale="log", xlabel="trained parameters", ylabel="R² of [M/H]")
    legend_above(figure, [axes])
    return figure


@styled
def rate_figure(cells: CellSet) -> "Figure | None":
    """Validation error by learning rate; None of cells without trials."""
    figure = new_figure(PAGE / 2, 2.6)
    axes = figure.subplots()
    for k, name in enumerate(cells.strategies):
        cell = cells.first(name)
        trials = [t for t in (cell.content.get("trials") or [] if cell else []) if t["val_error"]]
        if len(trials) > 1:
            points = sorted((t["rate"], t["val_error"]) for t in trials)
            axes.plot(*np.transpose(points), marker="o", ms=3, color=COLOURS[k], label=name)
    if not axes.lines:
        return None
    axes.set(xscale="log", xlabel="learning rate", ylabel="validation error [label σ²]")
    legend_above(figure, [axes])
    return figure


def _near(wave: np.ndarray, lines: Sequence[float]) -> np.ndarray:
    away = np.abs(np.subtract.outer(wave, np.asarray(lines)))
    return (away < wave[:, None] * NEAR / LIGHT_SPEED_KM_S).any(axis=1)


def shift_p(wave: np.ndarray, values: np.ndarray, lines: Sequence[float]) -> tuple[float, float]:
    """How much larger values are at lines than elsewhere, and how likely that is by chance.

    Lines are shifted together, around the end of the spectrum: neighbours stay neighbours.

    Parameters
    ----------
    wave, values : float64 arrays, shape (n_wave,)
    lines : sequence of float
        [Å]

    Returns
    -------
    ratio, p : float
        (1 + shifts that do as well) / (1 + shifts); NaN where no line is seen.
    """
    inside = _near(wave, lines)
    if not inside.any() or inside.all():
        return float("nan"), float("nan")
    offsets = np.random.default_rng(0).integers(1, wave.size, N_SHIFT)
    ratios = [values[np.roll(inside, k)].mean() for k in offsets]
    here = values[inside].mean()
    return float(here / values[~inside].mean()), float((1 + np.sum(ratios >= here)) / (1 + N_SHIFT))


@styled
def saliency_figure(cells: CellSet) -> "Figure | None":
    """Spectra of metal-poor stars, |d [M/H] / d flux| of the best, and of all strategies."""
    found = [cells.first(name) for name in cells.strategies]
    probed = {cell.strategy: cell for cell in found if cell and "saliency" in cell.probes}
    if not probed:
        return None
    main = probed.get(cells.best) or next(iter(probed.values()))
    wave = np.array(main.probes["saliency"]["wave"])
    figure = new_figure(PAGE, 5.2)
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    for axes, part, text in (
        (top, main.probes["spectrum"], "flux over its median"),
        (middle, main.probes["saliency"], f"|d[M/H] / d flux|, {main.strategy}"),
    ):
        axes.fill_between(wave, part["low"], part["high"], color=SHADE, lw=0)
        axes.plot(wave, part["median"], color=INK, lw=0.6)
        axes.set_ylabel(text)
        for colour, lines in zip((GUIDE, COLOURS[1]), LINES.values(), strict=True):
            for line in lines:
                if wave[0] < line < wave[-1]:
                    axes.axvline(line, color=colour, lw=0.5, zorder=0)
    for k, (name, cell) in enumerate(probed.items()):
        values = np.array(cell.probes["saliency"]["median"])
        ratio, p = shift_p(wave, values, sum(LINES.values(), ()))
        told = f"{name}: {ratio:.2f} × at lines, p = {p:.3f}" if np.isfinite(p) else name
        smooth = np.convolve(values, np.full(9, 1 / 9), mode="same")
        bottom.plot(wave, smooth, color=COLOURS[k], lw=0.7, label=told)
    bottom.set(xlabel=WAVE_AXIS, ylabel="median of 9 pixels")
    bottom.legend(fontsize="x-small", ncol=2)
    return figure


def figures(cells: CellSet) -> dict[str, Callable[[], "Figure | None"]]:
    """File name -> what draws it, of those that the labels allow."""
    labels = cells.cells[0].labels
    wanted: dict[str, Callable[[], Figure | None]] = {}
    if "logg" in labels:
        wanted["specvit_fig13_logg"] = lambda: one_to_one_figure(cells, ("logg",))
    if "m_h" not in labels:
        return wanted
    shown = ("m_h", "a_m") if "a_m" in labels else ("m_h",)
    counts = [cells.first(cells.best, n) for n in sorted(cells.suite.n) if n]
    growing = [cell for cell in (cells.first("zero_shot"), *counts) if cell is not None]
    return wanted | {
        "transfer_fig2_one_to_one": lambda: one_to_one_figure(cells, shown),
        "transfer_fig3_plane": lambda: plane_figure(cells),
        "transfer_fig4_number": lambda: size_figure(cells),
        "transfer_fig5_landscape": lambda: landscape_figure(cells),
        "transfer_figA1_one_to_one_by_number": lambda: one_to_one_figure(
            cells, ("m_h",), shown=growing
        ),
        "transfer_figA2_plane_by_number": lambda: plane_figure(cells, shown=growing),
        "transfer_figA3_parameters": lambda: parameter_figure(cells),
        "transfer_figA4_rates": lambda: rate_figure(cells),
        "transfer_figA5_plane_by_rate": lambda: (
            plane_figure(cells, shown=rates) if (rates := _by_rate(cells)) else None
        ),
        "transfer_figB6_saliency": lambda: saliency_figure(cells),
        "transfer_figD7_one_to_one_clean": lambda: one_to_one_figure(cells, shown, clean=True),
        "transfer_figD8_plane_clean": lambda: plane_figure(cells, clean=True),
    }
