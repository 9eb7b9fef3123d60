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
from starsmith.fisher.compare import Comparison, compare, match_keys
from starsmith.fisher.plots import plot_ceiling
from starsmith.fisher.table import CeilingTable
from starsmith.simulator.prior import Prior

__all__ = [
    "Population",
    "compare_predictions",
    "compute_ceiling",
    "draw_ceiling",
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
) -> tuple[Comparison, str]:
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
    comparison, model : Comparison, str
    """
    predictions = read_predictions(path)
    meta = predictions.meta
    target = target or meta["labels"][0]
    population = Population.of_data(data)
    digest = open_any(data).digest
    if meta["dataset"] != digest or meta["split"] != "test":
        raise DataError(
            f"{path}: predictions for split {meta['split']} of data set {meta['dataset'][:12]}, "
            f"expected split test of {digest[:12]}; predict that with `speclearn evaluate --out`"
        )
    table = compute_ceiling(
        population, target, snr_edges, statistics=("posterior_mean",), **choices
    )
    stars = table.stars
    rows = match_keys(stars.index, np.asarray(predictions["index"]))
    found = compare(
        stars.label,
        np.asarray(predictions[target])[rows],
        stars.mean,
        stars.snr,
        stars.var,
        stars.ess,
        snr_edges,
    )
    return found, meta["model"]


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
