"""What ``specfisher`` does between its options and the ceilings."""

from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from astropy.table import Table

from starsmith.cli.common import loudness
from starsmith.cli.datasets import bank_of, open_any
from starsmith.cli.figures import check_suffix
from starsmith.cli.files import refuse_existing, staged_file
from starsmith.cli.options import BANK_OPTIONS, RANGES, BankSource, flag, typed_on_command_line
from starsmith.data_contract.bank import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.fisher.ceiling import ceiling
from starsmith.fisher.compare import Comparison, leak_verdict
from starsmith.fisher.plots import plot_ceiling
from starsmith.fisher.table import CeilingTable
from starsmith.simulator.prior import Prior

__all__ = [
    "Population",
    "compare_predictions",
    "comparison_rows",
    "compute_ceiling",
    "draw_ceiling",
    "draw_comparison",
    "pooled",
    "write_ceiling",
]

SUFFIXES = (".ecsv", ".json", ".md")


@dataclass(frozen=True)
class Population:
    """The stars a ceiling is for; without ``draws`` they are drawn from the prior."""

    bank: Bank
    prior: Prior
    draws: Draws | None = None

    @classmethod
    def of_data(cls, path: Path) -> "Population":
        """Return the test stars of a data set, with the bank and prior it was made from."""
        dataset = open_any(path)
        ranges = {name: tuple(bounds) for name, bounds in dataset.header.prior.items()}
        return cls(bank_of(path), Prior(ranges), dataset.split("test").draws)

    def of_stars(self, index: np.ndarray, path: Path) -> "Population":
        """Return the stars that predictions in ``path`` are for; DataError for strangers."""
        known = np.isin(index, self.draws.index)
        if not known.all():
            raise DataError(
                f"{path}: {int(np.sum(~known))} of {index.size} predictions (first: index "
                f"{index[~known][0]}) are for no star of the data set's split test "
                f"({len(self.draws)} stars); predict that split with `speclearn evaluate --out`"
            )
        return replace(self, draws=self.draws.take(np.isin(self.draws.index, index)))

    @classmethod
    def of_options(cls, data: Path | None, source: BankSource, prior: Prior) -> "Population":
        """Return the data set's stars, or those of the bank and prior asked for."""
        if data is None:
            if prior.moving:
                raise ConfigError("--rv: ceilings are those of stars at rest; drop --rv")
            return cls(source.open(), prior)
        if typed := typed_on_command_line(*BANK_OPTIONS, *RANGES):
            raise ConfigError(
                f"--data already fixes the bank and the prior; drop {', '.join(map(flag, typed))}"
            )
        return cls.of_data(data)


def compute_ceiling(
    population: Population, target: str, snr_edges: tuple[float, ...] | None, **choices
) -> CeilingTable:
    """Compute ceilings, in the standard bins unless edges are given; progress on stderr."""

    def tell(text: str) -> None:
        if loudness() >= 0:
            click.echo(f"ceiling: {text}", err=True)

    if snr_edges is not None:
        choices["snr_edges"] = snr_edges
    return ceiling(
        population.bank, population.prior, target, population.draws, progress=tell, **choices
    )


def pooled(table: CeilingTable) -> CeilingTable:
    """Return the table without its bins."""
    return replace(table, rows=table.rows[:1])


def check_outputs(out: Path | None, plot: Path | None, overwrite: bool) -> None:
    """Refuse impossible outputs before the work is done."""
    check_suffix(plot)
    if out is not None and out.suffix not in SUFFIXES:
        raise ConfigError(f"{out}: ceilings are written as {SUFFIXES}; give --out one of these")
    refuse_existing(out, overwrite)


def write_ceiling(table: CeilingTable, out: Path | None) -> None:
    """Write the table where one was asked for."""
    if out is not None:
        with staged_file(out) as partial:
            table.write(partial)


def draw_ceiling(table: CeilingTable, plot: Path | None) -> None:
    """Draw the table's bins where a figure was asked for."""
    if plot is None:
        return
    with staged_file(plot) as partial:
        plot_ceiling(table, partial)


def compare_predictions(
    path: Path, data: Path, target: str | None, snr_edges: tuple[float, ...], **choices
) -> tuple[Comparison, CeilingTable, str]:
    """Set predictions beside the posterior mean of the same test stars.

    Parameters
    ----------
    path : Path
        ECSV that `speclearn evaluate` or `predict` wrote for the test split.
    data : Path
        The data set they are for.
    target : str, optional
        By default the first label that was predicted.
    snr_edges : tuple of float
    **choices
        ``n_star``, ``n_template``, ``seed``, ``normalise``.

    Returns
    -------
    comparison, table, model : Comparison, CeilingTable, str
    """
    predictions = read_predictions(path)
    meta = predictions.meta
    target = target or meta["labels"][0]
    if target not in predictions.colnames:
        raise DataError(
            f"{path}: holds no predictions of {target}, only of {', '.join(meta['labels'])}; "
            "choose another --target"
        )
    population = Population.of_data(data)
    digest = open_any(data).digest
    if meta["dataset"] != digest or meta["split"] != "test":
        raise DataError(
            f"{path}: predictions for split {meta['split']} of data set {meta['dataset'][:12]}, "
            f"expected split test of {digest[:12]}; predict that with `speclearn evaluate --out`"
        )
    index = np.asarray(predictions["index"])
    chosen = population.of_stars(index, path)
    predicted = np.asarray(predictions[target], dtype=np.float64)
    if n_bad := int(np.sum(~np.isfinite(predicted))):
        raise DataError(
            f"{path}: {n_bad} of {predicted.size} predictions of {target} are not finite; give "
            "every star a value (the mean of the training labels, where a fit failed)"
        )
    table = compute_ceiling(chosen, target, snr_edges, **choices)
    return leak_verdict(index, predicted, table, snr_edges), table, meta["model"]


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
    with staged_file(plot) as partial:
        plot_ceiling(table, partial, models={model: scores})


def read_predictions(path: Path) -> Table:
    """Read a table of predictions; DataError for any other file."""
    try:
        table = Table.read(path, format="ascii.ecsv")
        schema = table.meta.get("schema")
    except (OSError, ValueError, TypeError, LookupError) as problem:
        raise DataError(
            f"{path} is not a table of predictions ({' '.join(str(problem).split())[:120]}); "
            "write one with `speclearn evaluate --out`"
        ) from None
    if schema != "starsmith.predictions":
        raise DataError(
            f"{path} is a {schema or 'plain'} table; expected predictions, as written by "
            "`speclearn evaluate --out`"
        )
    return table
