"""What ``specfisher ceiling`` does between its options and the ceilings."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from starsmith.cli.shared.options import (
    BANK_OPTIONS,
    RANGES,
    BankSource,
    flag,
    typed_on_command_line,
)
from starsmith.cli.shared.survey_options import NOISE, OF_SURVEYS
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.figure_kit import check_suffix
from starsmith.data_contract.files.atomic import refuse_existing
from starsmith.data_contract.noise.view import NoiseModel
from starsmith.fisher.ceilings.ceiling_table import CeilingTable
from starsmith.fisher.ceilings.dataset_stars import DatasetStars, refuse_unbounded
from starsmith.fisher.figures import plot_ceiling
from starsmith.fisher.information.nuisances import Nuisances
from starsmith.simulator.generation.generate import check_population
from starsmith.simulator.generation.recorded import open_recorded
from starsmith.simulator.presets import settle
from starsmith.simulator.prior import Prior

__all__ = [
    "check_outputs",
    "chosen_stars",
    "draw_ceiling",
    "parse_nuisances",
    "parse_statistics",
    "pooled",
    "write_ceiling",
]

OTHERS = ("population", "preset", *OF_SURVEYS)
"""Options that a data set fixes too."""
SUFFIXES = (".ecsv", ".json", ".md")
NUISANCE = r"(?P<name>rv|lsf|sky|continuum)(?::(?P<degree>[1-9]))?(?:=(?P<prior>\d+(?:\.\d+)?))?"


def chosen_stars(
    data: Path | None, source: BankSource, prior: Prior, noise: NoiseModel, preset: str = ""
) -> DatasetStars:
    """Return the data set's stars, or those of the bank, prior and noise asked for."""
    if data is None:
        refuse_unbounded(prior)
        bank = source.open()
        if prior.population is not None:
            check_population(bank, prior.population)
        return DatasetStars(bank, settle(preset, bank, prior), None, noise)
    if typed := typed_on_command_line(*BANK_OPTIONS, *RANGES, *NOISE, *OTHERS):
        raise ConfigError(
            "--data already fixes the bank, the prior and the noise; drop "
            + ", ".join(map(flag, typed))
        )
    return DatasetStars.of(open_recorded(data))


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
        table.write(out)


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
    plot_ceiling(table, plot, arms)
