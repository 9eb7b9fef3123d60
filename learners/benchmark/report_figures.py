"""Figures of a benchmark: order of models, learning curves, training, settings swapped."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.figure_kit import (
    COLOURS,
    GUIDE,
    PAGE,
    SHADE,
    add_notice,
    axis_of,
    colour_of,
    dodged,
    legend_above,
    new_figure,
    styled,
    symbol_of,
)
from starsmith.learners.benchmark.published_values import published
from starsmith.learners.benchmark.results import Outcome, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FAMILIES",
    "bar_figure",
    "bin_scores",
    "scaling_figure",
    "swap_figure",
    "training_figure",
    "type_figure",
]

FAMILIES = {
    "exact posterior": ("gridposterior",),
    "hybrid": ("convstem_lstm", "lstmformer"),
    "recurrent": ("bilstm",),
    "transformer": ("convstem_vit", "overlap_vit", "specvit"),
    "CNN, MLP": ("resnet18", "deep_cnn", "mlp"),
    "classical": ("lightgbm", "ridge", "template"),
}

TYPE_SCORES = {"mae": "MAE of", "sigma_robust_uncentred": r"$\sigma$ about zero of"}


def family_colour(model: str) -> tuple[str, str]:
    """Family of a model and its colour."""
    for k, (family, members) in enumerate(FAMILIES.items()):
        if model.removesuffix("_tiny") in members:
            return family, COLOURS[k] if family != "classical" else COLOURS[8]
    return "other", COLOURS[9]


@styled
def bar_figure(results: Results) -> "Figure":
    """Draw R² of every model of the main comparison, the ceiling and the published values."""
    outcomes = results.main[::-1]
    figure = new_figure(PAGE, 0.24 * len(outcomes) + 1.2)
    axes = figure.add_subplot()
    seen: set[str] = set()
    table = published()["table_3"]
    for k, outcome in enumerate(outcomes):
        score = outcome.score("r2")
        family, colour = family_colour(outcome.run.model)
        label = family if family not in seen else None
        seen.add(family)
        spread = [[score.value - score.low], [score.high - score.value]]
        axes.barh(k, score.value, color=colour, xerr=spread, label=label, height=0.7)
        theirs = table.get(outcome.published, {}).get("r2")
        if theirs is not None:
            first = None if "published" in seen else "published (other grid and budget)"
            seen.add("published")
            axes.plot(theirs, k, "D", ms=4, color="k", mfc="w", label=first)
    ceiling = results.ceiling_of(outcomes[-1])
    if ceiling is not None:
        best, error = ceiling.rows[0].r2["posterior_mean"]
        axes.axvspan(
            best - 2 * error, best + 2 * error, color=SHADE, zorder=0, label="ceiling ± 2 s.e."
        )
        axes.axvline(best, color="k", lw=1.2, label="exact ceiling")
    axes.set_yticks(range(len(outcomes)), [o.name for o in outcomes])
    axes.set(
        xlabel=f"$R^2$ of {symbol_of(results.target)}, pooled", ylim=(-0.6, len(outcomes) - 0.4)
    )
    axes.set_xlim(right=max(1.0, axes.get_xlim()[1]))
    legend_above(figure, axes)
    add_notice(figure, results.notice)
    return figure


def bin_scores(outcomes: Sequence[Outcome], names: Mapping[tuple, str]) -> dict:
    """Model -> bin name -> (R², low, high), for the figure of ceilings."""
    return {
        o.name: {
            names[b.snr_min, b.snr_max]: (
                b.scores["r2"].value,
                b.scores["r2"].low,
                b.scores["r2"].high,
            )
            for b in o.evaluation.bins
            if b.scores and (b.snr_min, b.snr_max) in names
        }
        for o in outcomes
    }


@styled
def scaling_figure(results: Results, outcomes: Sequence[Outcome]) -> "Figure":
    """Draw R² against the number of training spectra, ours and the published curves."""
    figure = new_figure(PAGE, 3.6)
    axes = figure.add_subplot()
    models = list(dict.fromkeys((o.run.model, o.run.tag) for o in outcomes))
    for k, (model, tag) in enumerate(models):
        curve = sorted(
            (o for o in outcomes if (o.run.model, o.run.tag) == (model, tag)),
            key=lambda o: o.record["n_train"],
        )
        n = [o.record["n_train"] * dodged(k, len(models)) for o in curve]
        scores = [o.score("r2") for o in curve]
        value = np.array([s.value for s in scores])
        spread = [value - [s.low for s in scores], [s.high for s in scores] - value]
        colour = colour_of(k)
        axes.errorbar(
            n, value, spread, marker="o", capsize=2, color=colour, label=f"{model}, {tag}"
        )
        theirs = published()["table_10"].get(model.removesuffix("_tiny"))
        if theirs and tag == models[0][1]:
            axes.plot(
                [float(size) for size in theirs], list(theirs.values()), ":", marker="D", ms=3,
                mfc="w", color=colour, label=f"{model.removesuffix('_tiny')}, published",
            )  # fmt: skip
    ceiling = results.ceiling_of(outcomes[0])
    if ceiling is not None:
        best = ceiling.rows[0].r2["posterior_mean"][0]
        axes.axhline(best, color="k", lw=1.2, label="exact ceiling (ours)")
    axes.set(
        xscale="log", xlabel="training spectra", ylabel=f"$R^2$ of {symbol_of(results.target)}"
    )
    axes.grid(alpha=0.25)
    legend_above(figure, axes)
    add_notice(figure, results.notice)
    return figure


@styled
def training_figure(results: Results, outcomes: Sequence[Outcome]) -> "Figure":
    """Draw training loss, validation MAE and R² against spectra seen."""
    figure = new_figure(PAGE, 2.6)
    loss, error, score = figure.subplots(1, 3)
    for k, outcome in enumerate(outcomes):
        rows = outcome.training_rows()
        seen = np.array([r["epoch"] for r in rows]) * outcome.record["n_train"]
        colour = colour_of(k)
        label = outcome.run.targets[0]
        loss.plot(seen, [r["train_loss"] for r in rows], color=colour, label=outcome.name)
        error.plot(seen, [r["val_mae"][label] for r in rows], color=colour)
        score.plot(seen, [r["val_r2"][label] for r in rows], color=colour)
        best = [i for i, r in enumerate(rows) if r["best"]]
        if best:
            error.plot(seen[best[-1]], rows[best[-1]]["val_mae"][label], "o", color=colour, ms=4)
    loss.set(ylabel="training loss (each its own)")
    error.set(ylabel=axis_of(results.target, "validation MAE of"))
    score.set(ylabel="validation $R^2$", ylim=(min(0.0, score.get_ylim()[0]), None))
    for axes in (loss, error, score):
        axes.set(xlabel="spectra seen")
        axes.ticklabel_format(axis="x", style="sci", scilimits=(0, 4))
        axes.grid(alpha=0.25)
    legend_above(figure, loss)
    add_notice(figure, results.notice)
    return figure


@styled
def swap_figure(results: Results, outcomes: Sequence[Outcome]) -> "Figure":
    """Draw R² of models under their own settings and under another's (the paper's Fig. 8)."""
    figure = new_figure(PAGE, 2.8)
    axes = figure.add_subplot()
    models = list(dict.fromkeys(o.run.model for o in outcomes))
    for k, variant in enumerate(dict.fromkeys(o.run.variant for o in outcomes)):
        chosen = [o for o in outcomes if o.run.variant == variant]
        place = [models.index(o.run.model) + 0.36 * (k - 0.5) for o in chosen]
        scores = [o.score("r2") for o in chosen]
        spread = [[s.value - s.low for s in scores], [s.high - s.value for s in scores]]
        axes.bar(
            place, [s.value for s in scores], 0.34, yerr=spread, color=COLOURS[k], label=variant
        )
    axes.set_xticks(range(len(models)), models)
    axes.axhline(0.0, color=GUIDE, lw=0.6)
    axes.set(ylabel=f"$R^2$ of {symbol_of(results.target)}")
    legend_above(figure, axes, 3)
    add_notice(figure, results.notice)
    return figure


@styled
def type_figure(results: Results, outcomes: Sequence[Outcome], score: str = "mae") -> "Figure":
    """Draw the MAE, or another score, of every model by stellar type."""
    figure = new_figure(PAGE, 2.8)
    axes = figure.add_subplot()
    names = ("giants", "subgiants", "dwarfs")
    width = 0.8 / len(outcomes)
    for k, outcome in enumerate(outcomes):
        groups = {g.name: g for g in outcome.evaluation.groups if g.by == "type" and g.scores}
        found = [(i, groups[name].scores[score]) for i, name in enumerate(names) if name in groups]
        place = [i + width * (k - 0.5 * (len(outcomes) - 1)) for i, _ in found]
        spread = [[s.value - s.low for _, s in found], [s.high - s.value for _, s in found]]
        axes.bar(
            place, [s.value for _, s in found], width, yerr=spread,
            color=colour_of(k), label=outcome.name,
        )  # fmt: skip
    axes.set_xticks(range(3), names)
    axes.set(ylabel=axis_of(results.target, TYPE_SCORES[score]))
    legend_above(figure, axes)
    add_notice(figure, results.notice)
    return figure
