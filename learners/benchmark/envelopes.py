"""Exhibits of the paper: residuals inside the Fisher envelopes, and a check of Appendix D."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.constants import MAD_TO_SIGMA
from starsmith.data_contract.figure_kit import (
    COLOURS,
    GUIDE,
    INK,
    PAGE,
    add_notice,
    axis_of,
    legend_above,
    new_figure,
    styled,
)
from starsmith.data_contract.predictions import Predictions
from starsmith.fisher.ceilings.ceiling_table import StarCeiling
from starsmith.learners.scores.metrics import r2

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Envelopes", "envelopes_of", "invariance", "residual_figure"]

FEWEST = 20  # stars of a step along the S/N
MOST_STEPS = 8
TICKS = (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)  # of S/N
SLOPE, SHIFT = -2.5, 7.0  # of the labels in the check: any others would do


@dataclass(frozen=True, eq=False)
class Envelopes:
    """Scatter of a model and least scatters, in steps of equally many stars.

    Attributes
    ----------
    snr : float64 array, shape (n_star,)
        Per pixel.
    residual : float64 array, shape (n_star,)
        Predicted less true, in the label's unit.
    middle : float64 array, shape (n_step,)
        Median S/N of each step.
    model : float64 array, shape (n_step,)
        Robust scatter about zero.
    bound : float64 array, shape (n_step, 3)
        10th, 50th and 90th percentile over stars of the Cramér-Rao bound's standard deviation.
    exact : float64 array, shape (n_step,)
        Root mean variance of the exact posterior: no estimator has a smaller error.
    """

    snr: np.ndarray
    residual: np.ndarray
    middle: np.ndarray
    model: np.ndarray
    bound: np.ndarray
    exact: np.ndarray


def envelopes_of(predictions: Predictions, stars: StarCeiling, label: str) -> Envelopes | None:
    """Residuals and bounds of the stars that a model predicted; None for too few."""
    column = predictions.column(label)
    place = {index: k for k, index in enumerate(stars.index.tolist())}
    found = predictions.found(label) & np.isin(predictions.index, stars.index)
    at = np.array([place[index] for index in predictions.index[found].tolist()], dtype=int)
    if at.size < 2 * FEWEST:
        return None
    snr = stars.snr[at]
    residual = (predictions.value - predictions.truth)[found, column]
    steps = np.array_split(np.argsort(snr), min(MOST_STEPS, at.size // FEWEST))
    sigma = np.sqrt(stars.sigma2[at])
    return Envelopes(
        snr=snr,
        residual=residual,
        middle=np.array([np.median(snr[rows]) for rows in steps]),
        model=np.array([MAD_TO_SIGMA * np.median(np.abs(residual[rows])) for rows in steps]),
        bound=np.array([np.percentile(sigma[rows], [10.0, 50.0, 90.0]) for rows in steps]),
        exact=np.sqrt([stars.var[at][rows].mean() for rows in steps]),
    )


@styled
def residual_figure(found: Envelopes, name: str, target: str, notice: str = "") -> "Figure":
    """Draw residuals of a model against S/N inside the Fisher and the exact envelope (Fig. 12)."""
    figure = new_figure(PAGE, 3.4)
    axes = figure.add_subplot()
    axes.plot(found.snr, found.residual, ".", ms=1.5, color=GUIDE, alpha=0.6, zorder=1)
    low, middle, high = found.bound.T
    for sign in (1.0, -1.0):
        first = sign > 0
        axes.fill_between(
            found.middle, sign * low, sign * high, color=COLOURS[1], alpha=0.15, lw=0,
            label="Cramér-Rao bound, 10th to 90th percentile" if first else None,
        )  # fmt: skip
        curves = (
            (middle, COLOURS[1], "-", "its median"),
            (found.exact, INK, "--", "exact posterior, root mean variance"),
            (found.model, COLOURS[0], "-", f"{name}, robust scatter"),
        )
        for values, colour, style, text in curves:
            label = text if first else None
            axes.plot(found.middle, sign * values, style, color=colour, lw=1.3, label=label)
    axes.axhline(0.0, color=GUIDE, lw=0.6)
    top = 1.1 * max(np.percentile(np.abs(found.residual), 99.0), found.model.max())
    axes.set(xscale="log", ylim=(-top, top), xlabel="S/N per pixel")
    ends = found.snr.min(), found.snr.max()
    ticks = [tick for tick in TICKS if ends[0] <= tick <= ends[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylabel(axis_of(target, "predicted - true"))
    legend_above(figure, axes, 2)
    add_notice(figure, notice)
    return figure


def invariance(predictions: Predictions, label: str) -> float:
    """Change of R² when labels and predictions are put on another linear scale (Appendix D)."""
    rows, column = predictions.found(label), predictions.column(label)
    truth, value = predictions.truth[rows, column], predictions.value[rows, column]
    other = r2(SLOPE * truth + SHIFT, SLOPE * value + SHIFT)
    return abs(float(other - r2(truth, value)))
