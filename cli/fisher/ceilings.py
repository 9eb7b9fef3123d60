"""What ``specfisher`` does between its options and the ceilings."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from astropy.table import Table

from starsmith.cli.shared.common import loudness
from starsmith.cli.shared.datasets import bank_of, open_any
from starsmith.cli.shared.figures import check_suffix
from starsmith.cli.shared.files import refuse_existing, staged_file
from starsmith.cli.shared.options import (
    BANK_OPTIONS,
    RANGES,
    BankSource,
    flag,
    typed_on_command_line,
)
from starsmith.cli.shared.survey_options import NOISE
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.data_contract.tables.population import Population as StarTable
from starsmith.data_contract.tables.population import read_population
from starsmith.fisher.ceilings.ceiling import ceiling, ceiling_by_arm
from starsmith.fisher.ceilings.ceiling_table import CeilingTable
from starsmith.fisher.ceilings.leak_test import Comparison, leak_verdict
from starsmith.fisher.figures import plot_ceiling
from starsmith.fisher.information.nuisances import Nuisances
from starsmith.simulator.generation.generate import check_population
from starsmith.simulator.presets import settle
from starsmith.simulator.prior import Prior

__all__ = [
    "Population",
    "compare_predictions",
    "comparison_rows",
    "compute_ceiling",
    "draw_ceiling",
    "draw_comparison",
    "parse_nuisances",
    "parse_statistics",
    "pooled",
    "write_ceiling",
]

OTHERS = ("population", "preset", "ebv")  # that a data set fixes too
SUFFIXES = (".ecsv", ".json", ".md")
NUISANCE = r"(?P<name>rv|lsf|sky|continuum)(?::(?P<degree>[1-9]))?(?:=(?P<prior>\d+(?:\.\d+)?))?"


@dataclass(frozen=True)
class Population:
    """The stars a ceiling is for; without ``draws`` they are drawn from the prior."""

    bank: Bank
    prior: Prior
    draws: Draws | None = None
    noise: NoiseModel = CALCULATOR

    @classmethod
    def of_data(cls, path: Path) -> "Population":
        """Return the test stars of a data set, with the bank, prior and noise it was made with."""
        dataset = open_any(path)
        header = dataset.header
        prior = Prior({name: tuple(bounds) for name, bounds in header.prior.items()})
        _refuse_unbounded(prior)
        prior = prior.with_population(_recorded_population(path, header.population))
        bank = bank_of(path)
        prior = settle(header.config.get("preset") or "", bank, prior)
        return cls(bank, prior, dataset.split("test").draws, header.noise_terms)

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
    def of_options(
        cls,
        data: Path | None,
        source: BankSource,
        prior: Prior,
        noise: NoiseModel,
        preset: str = "",
    ) -> "Population":
        """Return the data set's stars, or those of the bank, prior and noise asked for."""
        if data is None:
            _refuse_unbounded(prior)
            bank = source.open()
            if prior.population is not None:
                check_population(bank, prior.population)
            return cls(bank, settle(preset, bank, prior), None, noise)
        if typed := typed_on_command_line(*BANK_OPTIONS, *RANGES, *NOISE, *OTHERS):
            raise ConfigError(
                "--data already fixes the bank, the prior and the noise; drop "
                + ", ".join(map(flag, typed))
            )
        return cls.of_data(data)


def compute_ceiling(
    population: Population,
    target: str,
    snr_edges: tuple[float, ...] | None,
    by_arm: bool = False,
    **choices,
) -> CeilingTable:
    """Compute ceilings, in the standard bins unless edges are given; progress on stderr."""

    def tell(text: str) -> None:
        if loudness() >= 0:
            click.echo(f"ceiling: {text}", err=True)

    if snr_edges is not None:
        choices["snr_edges"] = snr_edges
    work = ceiling_by_arm if by_arm else ceiling
    return work(
        population.bank,
        population.prior,
        target,
        population.draws,
        progress=tell,
        noise=population.noise,
        **choices,
    )


def _refuse_unbounded(prior: Prior) -> None:
    """Raise ConfigError for what stars may have and ceilings do not know."""
    if prior.moving:
        raise ConfigError("--rv: ceilings are those of stars at rest; drop --rv")
    if prior.reddened:
        raise ConfigError("--ebv: ceilings are those of stars without dust; drop --ebv")


def _recorded_population(path: Path, record: dict) -> StarTable | None:
    """Read the table of stars that a data set was drawn from; DataError if it changed since."""
    if not record:
        return None
    found = read_population(Path(record["path"]))
    if found.sha256 != record["sha256"]:
        raise DataError(
            f"{path}: drawn from {record['path']}, which has changed since (SHA-256 "
            f"{found.sha256[:12]}, was {record['sha256'][:12]}); restore that table"
        )
    return found


def parse_nuisances(text: str) -> Nuisances:
    """Read ``rv=5,continuum:3,lsf,sky=0.01``: names, a degree after a colon, a prior after =.

    Raises
    ------
    ConfigError
        Naming the part that cannot be read.
    """
    chosen: dict = {"priors": ()}
    for part in filter(None, (word.strip() for word in text.split(","))):
        match = re.fullmatch(NUISANCE, part, re.ASCII)
        name = match and match["name"]
        if name is None or (name == "continuum") != (match["degree"] is not None):
            raise ConfigError(
                f"--nuisance {part!r} cannot be read; write rv, continuum:DEGREE, lsf or sky, with "
                "a prior's width after =, like rv=5,continuum:3,sky=0.01"
            )
        if name == "continuum":
            chosen["continuum"] = int(match["degree"])
        else:
            chosen["velocity" if name == "rv" else name] = True
        if match["prior"]:
            columns = [name]
            if name == "continuum" and chosen["continuum"] > 1:
                columns = [f"continuum_{k}" for k in range(chosen["continuum"])]
            chosen["priors"] += tuple((column, float(match["prior"])) for column in columns)
    return Nuisances(**chosen)


def parse_statistics(text: str | None) -> tuple[str, ...] | None:
    """Names of statistics from ``paper,bayes_gauss``; None for all of them."""
    if text is None:
        return None
    return tuple({"paper": "paper_median"}.get(word, word) for word in text.split(","))


def pooled(table: CeilingTable) -> CeilingTable:
    """Return the table without its bins."""
    return replace(table, rows=tuple(row for row in table.rows if row.name == "all"))


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
    arms = {
        f"arm {arm} alone: posterior mean": {
            row.name: (value, value - 2.0 * error, value + 2.0 * error)
            for row in table.rows
            if row.arm == arm
            for value, error in [row.r2.get("posterior_mean", (np.nan, np.nan))]
        }
        for arm in table.arms
    }
    with staged_file(plot) as partial:
        plot_ceiling(table, partial, arms)


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
