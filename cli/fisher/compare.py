"""``specfisher compare``: a model's predictions beside the best possible ones."""

from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.fisher.options import effort_options
from starsmith.cli.shared.command import Command, finish, json_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, grouped, option, takes
from starsmith.cli.shared.option_types import Edges, Labels
from starsmith.cli.shared.progress import tell_ceiling
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.data_contract.dataset.reader import Dataset
    from starsmith.fisher.ceilings.ceiling_table import CeilingTable
    from starsmith.fisher.ceilings.leak_test import Comparison
    from starsmith.fisher.ceilings.options import CeilingOptions

__all__ = ["CompareOptions", "compare"]


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Options of ``specfisher compare``."""

    predictions: Path = argument(type=EXISTING)
    data: Path = option(type=EXISTING, required=True, help="The data set the predictions are for.")
    target: str | None = option(type=Labels(), help="Which label.  [default: first]")
    snr_bins: tuple[float, ...] = option(
        type=Edges(), default="default", show_default=False, help="Bin edges, like 0,5,10,inf."
    )
    effort: "CeilingOptions" = grouped(effort_options)
    plot: Path | None = option(type=PATH, help="R2 against S/N (png, pdf, svg).")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=("specfisher compare predictions.ecsv --data data.zarr",),
)
@takes(CompareOptions)
def compare(options: CompareOptions) -> None:
    """Set PREDICTIONS beside the best possible ones for the same stars.

    A model that does better than the posterior mean knows something it cannot know: exit code 3.
    `efficiency` is the posterior mean's squared error over the model's; `gap` the R2 it lacks.
    Observed spectra have no ceiling: their scores stand alone.
    """
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.fisher.ceilings.dataset_stars import compare_predictions
    from starsmith.fisher.ceilings.leak_test import check_leak
    from starsmith.fisher.figures import plot_ceiling
    from starsmith.simulator.generation.recorded import open_recorded

    check_suffix(options.plot)
    data = open_recorded(options.data)
    if data.header.noise is None:
        _without_ceiling(options, data)
        return
    comparison, table, model = compare_predictions(
        options.predictions,
        data,
        options.target,
        replace(options.effort, snr_edges=options.snr_bins),
        tell_ceiling,
    )
    if options.plot:
        scores = {row.name: (row.r2_model, *row.r2_interval) for row in comparison.rows}
        plot_ceiling(table, options.plot, models={model: scores})
    finish(
        "specfisher.compare",
        {"model": model, "rows": [asdict(row) for row in comparison.rows]},
        text_table(_rows(comparison, table)),
        options.as_json,
        table.notice,
    )
    check_leak(comparison, model)


def _without_ceiling(options: CompareOptions, data: "Dataset") -> None:
    """Scores of predictions for observed spectra, of which nobody knows the best possible ones."""
    from starsmith.data_contract.predictions import read_predictions
    from starsmith.learners import evaluate_predictions

    if options.plot:
        raise ConfigError(f"--plot draws a ceiling, and {options.data} has none: it was observed")
    predictions = read_predictions(options.predictions)
    if predictions.dataset != data.digest:
        raise DataError(f"{options.predictions}: predictions for another data set")
    found = evaluate_predictions(predictions, options.target, options.snr_bins)
    why = "no ceiling: these spectra were observed, and nothing says how they came about"
    result = {"model": found.model, "rows": [], "ceiling": None, "evaluation": found.to_dict()}
    finish("specfisher.compare", result, found.to_markdown(), options.as_json, why)


def _rows(comparison: "Comparison", table: "CeilingTable") -> list[dict]:
    """Lay a model out beside the ceilings of the same stars, a row per bin."""
    rows = []
    for row in comparison.rows:
        same = next((other for other in table.rows if other.name == row.name), None)
        low, high = row.r2_interval
        best = same.r2["posterior_mean"] if same else (row.r2_best, float("nan"))
        rows.append(
            {
                "S/N": row.name,
                "n": row.n,
                "Var": row.variance,
                "R2 model": f"{row.r2_model:.3f} [{low:.3f}, {high:.3f}]",
                "posterior_mean": f"{best[0]:.3f}"
                + (f" ± {best[1]:.3f}" if isfinite(best[1]) else ""),
                "bayes_gauss": same.r2["bayes_gauss"][0] if same else None,
                "paper_median": same.score("paper_median") if same else None,
                "gap": f"{row.gap:.3f} [{row.gap_interval[0]:.3f}, {row.gap_interval[1]:.3f}]",
                "efficiency": row.efficiency,
                "verdict": row.verdict,
            }
        )
    return rows
