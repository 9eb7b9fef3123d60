"""A model beside the ceilings of the same stars, as a table and as a figure."""

from pathlib import Path

import numpy as np

from starsmith.fisher.ceilings.ceiling_table import CeilingTable
from starsmith.fisher.ceilings.leak_test import Comparison
from starsmith.fisher.figures import plot_ceiling

__all__ = ["comparison_rows", "draw_comparison"]


def comparison_rows(comparison: Comparison, table: CeilingTable) -> list[dict]:
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
                + (f" ± {best[1]:.3f}" if np.isfinite(best[1]) else ""),
                "bayes_gauss": same.r2["bayes_gauss"][0] if same else None,
                "paper_median": same.r2["paper_median"][0] if same else None,
                "gap": f"{row.gap:.3f} [{row.gap_interval[0]:.3f}, {row.gap_interval[1]:.3f}]",
                "efficiency": row.efficiency,
                "verdict": row.verdict,
            }
        )
    return rows


def draw_comparison(
    comparison: Comparison, table: CeilingTable, model: str, plot: Path | None
) -> None:
    """Draw the model's R² under the ceilings where a figure was asked for."""
    if plot is None:
        return
    scores = {row.name: (row.r2_model, *row.r2_interval) for row in comparison.rows}
    plot_ceiling(table, plot, models={model: scores})
