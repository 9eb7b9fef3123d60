"""A page on one star: its spectrum, the posterior of its labels, stars like it, and doubts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.figure_kit import (
    axis_of,
    colour_of,
    new_figure,
    save_figure,
    styled,
)
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quality import describe_quality
from starsmith.learners.prediction.posterior_draws import PosteriorDraws
from starsmith.learners.prediction.predict import LabelEstimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["StarCard", "draw_card", "save_card"]

WIDTH, SPECTRUM, POSTERIOR, LINE = 7.1, 2.2, 1.9, 0.17  # inch
BINS, REACH = 40, 4.0  # of a Gaussian that stands for draws, in σ
UNUSUAL = 3.0  # times the median error: bright sky lines
WRAPPED = 110  # characters of a line


@dataclass(frozen=True, eq=False)
class StarCard:
    """What a page says.

    Attributes
    ----------
    name : str
    seen : Observed
        Shape (n_wave,), as the model saw it.
    estimates : sequence of LabelEstimate
    done : sequence of str
        What was done to the spectrum, in words.
    draws : PosteriorDraws, optional
        Of this star; without, a Gaussian of value and 1σ is drawn.
    neighbours : sequence of dict
        Rows of what resembles it, the most similar first; empty for none.
    """

    name: str
    seen: Observed
    estimates: Sequence[LabelEstimate]
    done: Sequence[str] = ()
    draws: PosteriorDraws | None = None
    neighbours: Sequence[dict] = ()


@styled
def draw_card(card: StarCard) -> "Figure":
    """Draw a page: spectrum above, a panel a label, then text."""
    lines = text_of(card)
    n_label = len(card.estimates)
    heights = [SPECTRUM, POSTERIOR, LINE * (len(lines) + 1)]
    figure = new_figure(WIDTH, sum(heights))
    grid = figure.add_gridspec(3, n_label, height_ratios=heights)
    _spectrum(figure.add_subplot(grid[0, :]), card)
    for k, estimate in enumerate(card.estimates):
        _posterior(figure.add_subplot(grid[1, k]), estimate, card.draws, k)
    below = figure.add_subplot(grid[2, :])
    below.set_axis_off()
    below.text(0.0, 1.0, "\n".join(lines), va="top", family="monospace", size=6.5)
    return figure


def save_card(card: StarCard, path: Path | str) -> None:
    """Write `draw_card` to a file."""
    save_figure(draw_card(card), path)


def text_of(card: StarCard) -> list[str]:
    """Lines below the panels: quality, what was done, neighbours."""
    quality = describe_quality(np.array([card.estimates[0].quality]))
    lines = ["quality: " + ("; ".join(quality) or "no reservation")]
    if card.done:
        lines.append("done: " + "; ".join(card.done))
    lines = [part for line in lines for part in _wrapped(line)]
    if card.neighbours:
        from starsmith.data_contract.text_tables import text_table

        head, _, *rows = text_table(list(card.neighbours)).replace("|", " ").splitlines()
        lines += ["", "most similar:", head, *rows]
    return lines


def _wrapped(line: str) -> list[str]:
    from textwrap import wrap

    return wrap(line, WRAPPED, subsequent_indent="  ")


def _spectrum(panel: "Axes", card: StarCard) -> None:
    """Flux over its median with its error; the frame is that of pixels of usual error."""
    seen = card.seen
    usable = seen.usable
    level = float(np.median(seen.flux[usable]))
    flux = np.where(usable, seen.flux, np.nan) / level
    usual = usable
    if seen.error is not None:
        error = np.where(usable, seen.error, np.nan) / level
        usual = usable & (error < UNUSUAL * np.nanmedian(error))
        panel.fill_between(
            seen.wave, flux - error, flux + error, color=colour_of(0), alpha=0.3, linewidth=0
        )
    panel.plot(seen.wave, flux, color=colour_of(0), linewidth=0.5)
    low, high = np.percentile(flux[usual], [0.0, 100.0])  # lines stay whole, sky lines do not
    room = 0.15 * (high - low)
    panel.set(
        xlim=(seen.wave.min(), seen.wave.max()),
        ylim=(low - room, high + room),
        xlabel="vacuum wavelength [Å]",
        ylabel="flux over its median",
        title=f"{card.name}: {usable.mean():.0%} of {seen.wave.size} pixels can be used",
    )


def _posterior(
    panel: "Axes", estimate: LabelEstimate, draws: PosteriorDraws | None, k: int
) -> None:
    """Histogram of draws, or a Gaussian; the value as a line, and in words."""
    sigma = estimate.uncertainty
    if draws is not None:
        weight = np.exp(draws.log_weight[0])
        panel.hist(draws.value[0][:, k], BINS, weights=weight, histtype="step", color=colour_of(0))
    elif sigma:
        place = np.linspace(-REACH, REACH, 200)
        panel.plot(estimate.value + sigma * place, np.exp(-0.5 * place**2), color=colour_of(0))
    panel.axvline(estimate.value, color=colour_of(1), linewidth=0.8)
    spread = f" ± {sigma:.2g}" if sigma else ""
    panel.set(yticks=[], xlabel=axis_of(estimate.label), title=f"{estimate.value:.4g}{spread}")
