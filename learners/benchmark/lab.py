"""The laboratory: strategies x stars x dial x seeds, judged against the target's own ceiling.

The laboratory's stars and ceilings come as arrays: who makes them is the command's business.
A finished cell is a file, and is not trained again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.star_groups import groups_of
from starsmith.learners.benchmark.lab_cells import Cell, LabTarget, run_cell, strategy_of
from starsmith.learners.benchmark.suite_tables import list_tables, load_table, waiting_cells
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.scores.metrics import r2
from starsmith.learners.train import fit
from starsmith.learners.transfer.base import Base, open_base
from starsmith.learners.transfer.finetune import Plan
from starsmith.learners.transfer.samples import Sample, training_view

__all__ = [
    "LabSuite",
    "cell_file",
    "cell_rows",
    "columns_of",
    "list_labs",
    "load_lab",
    "run_lab",
    "train_source",
]

LABS = "starsmith.learners.benchmark.labs"
N_RESAMPLE = 500
FEWEST = 20


@dataclass(frozen=True, kw_only=True)
class LabSuite:
    """What is compared.

    Attributes
    ----------
    name : str
    source, target : str
        Surveys.
    strategies : tuple of str
        With a size if wanted: ``residual-96`` (hidden units), ``lora-32`` (rank).
    n : tuple of int
        Stars of the target to learn from.
    g : tuple of float
    seeds : int
    epochs, patience : int
        Of a fine-tuning.
    rates : tuple of float
    n_source, source_epochs : int
        Of the base.
    n_val, n_test : int
        Stars of the target to choose by and to be judged on.
    widths : tuple of int
        Of the MLP.
    wave_map : str
    noise : str
        ``fresh`` in every epoch, or ``fixed``.
    flux_calibration, sky, lsf : float
        Knobs of the target.
    label_offset, label_scale : tuple of float
        Of the pipeline's labels, which networks learn from; see `Knobs`.
    population : str
    box : str
        ``lab`` (175 nodes) or ``small`` (64).
    """

    name: str = "lab"
    source: str = "lamost_lrs"
    target: str = "desi"
    strategies: tuple[str, ...] = ("zero_shot", "residual", "lora", "scratch")
    n: tuple[int, ...] = (0, 500, 2069)
    g: tuple[float, ...] = (0.0, 0.5, 1.0)
    seeds: int = 2
    epochs: int = 30
    patience: int = 0
    rates: tuple[float, ...] = (1e-2, 1e-3, 1e-4, 1e-5)
    n_source: int = 20_000
    source_epochs: int = 30
    n_val: int = 500
    n_test: int = 500
    widths: tuple[int, ...] = (512, 256, 64)
    wave_map: str = "interpolate"
    noise: str = "fresh"
    flux_calibration: float = 0.0
    sky: float = 0.0
    lsf: float = 1.0
    label_offset: tuple[float, ...] = ()
    label_scale: tuple[float, ...] = ()
    population: str = "uniform"
    box: str = "lab"

    def __post_init__(self):
        for text in self.strategies:
            strategy_of(text)
        if not (self.strategies and self.n and self.g and self.seeds > 0):
            raise ConfigError(f"suite {self.name}: strategies, n, g and seeds must not be empty")

    @property
    def cells(self) -> list[Cell]:
        """(g, n, strategy, seed) of every training; what cannot be done is left out."""
        found = []
        for g, n, strategy, seed in product(self.g, self.n, self.strategies, range(self.seeds)):
            alike = strategy == "zero_shot" and n != min(self.n)
            nothing = n == 0 and strategy != "zero_shot"
            if not (alike or nothing):
                found.append((g, 0 if strategy == "zero_shot" else n, strategy, seed))
        return found


def list_labs() -> list[str]:
    """Names of the packaged suites."""
    return list_tables(LABS)


def load_lab(name: str) -> LabSuite:
    """Packaged suite of a name, or one of a TOML file; ConfigError for unknown keys or values."""
    return load_table(LabSuite, LABS, name)


def train_source(
    suite: LabSuite, source: Sample, val: Sample, out: Path, device: str | None
) -> Base:
    """Train the base on the source, with fresh noise in every epoch; or find it trained."""
    recipe = NetworkRecipe(
        learning_rate=1e-3,
        batch_size=128,
        epochs=suite.source_epochs,
        weight_decay=1e-4,
        warmup=0.05,
        grad_clip=1.0,
        options={"widths": suite.widths, "dropout": 0.0},
    )
    fit("mlp", training_view(source, val), source.label_names, recipe, out, device=device)
    return open_base(out)


def run_lab(
    suite: LabSuite,
    out: Path,
    base: Callable[[Path], Base],
    target: Callable[[float], LabTarget],
    device: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[dict]:
    """Train every cell that is not done; return a line for each cell, label and group.

    Parameters
    ----------
    suite : LabSuite
    out : Path
        Folder of cells and base; one of another suite is refused.
    base : callable
        ``base(folder)``, the network to begin with, kept in a folder if it is trained.
    target : callable
        ``target(g)``.
    device : str, optional
    tell : callable
        Told what is done next.
    """
    waiting = waiting_cells(suite, out, cell_file)
    if waiting:
        tell(f"base: {suite.source}")
        begun = base(out / "base")
        for g in sorted({cell[0] for cell in waiting}):
            tell(f"g = {g:g}: stars and ceiling of {suite.target}")
            found = target(g).at_hand(begun.wave, suite.wave_map)
            for cell in waiting:
                if cell[0] == g:
                    tell("g = {:g}, n = {}, {}, seed {}".format(*cell))
                    place = cell_file(out, cell)
                    run_cell(plan_of(suite, cell), begun, found, cell, place, device)
    return cell_rows(suite, out)


def cell_file(out: Path, cell: Cell) -> Path:
    """Where a cell is kept."""
    return out / "cells" / "g{:g}-n{}-{}-seed{}.json".format(*cell)


def plan_of(suite: LabSuite, cell: Cell) -> Plan:
    """How a cell is trained."""
    _, n, strategy, seed = cell
    return Plan(
        strategy=strategy_of(strategy),
        n=n,
        seed=seed,
        wave_map=suite.wave_map,
        rates=suite.rates,
        epochs=suite.epochs,
        patience=suite.patience,
        noise=suite.noise,
    )


def cell_rows(suite: LabSuite, out: Path) -> list[dict]:
    """A line for each finished cell, label and group: R² over the ceiling's, with its error.

    ``change`` is this ratio less that at the g before it, ``change_error`` its error, of the same
    stars resampled in both; NaN at the first g.
    """
    rows: list[dict] = []
    before: dict[tuple, _Resampled] = {}
    for cell in suite.cells:
        place = cell_file(out, cell)
        if not place.is_file():
            continue
        for line, found in _rows_of(read_json(place)):
            key = (*cell[1:], line["label"], line["group"])
            rows.append(line | found.change(before.get(key)))
            before[key] = found
    return rows


def columns_of(found: Mapping) -> dict[str, np.ndarray]:
    """Arrays (n_test, n_label) of a cell's file; NaN for the ceilings of real stars."""
    truth = np.array(found["truth"], dtype=np.float64)
    columns = {"truth": truth}
    for name, plain in (("value", truth), ("pipeline", truth), ("ceiling", None), ("free", None)):
        values = found.get(name, plain)
        missing = values is None
        columns[name] = np.full(truth.shape, np.nan) if missing else np.array(values, np.float64)
    return columns


@dataclass(frozen=True, eq=False)
class _Resampled:
    """A cell's ratio, and what it is of stars drawn with replacement, the same of every cell."""

    truth: np.ndarray
    ratio: float
    drawn: np.ndarray

    def change(self, before: "_Resampled | None") -> dict[str, float]:
        """Ratio less that of another cell of the same stars, with the error of the difference."""
        if before is None or not np.array_equal(before.truth, self.truth):
            return {"change": np.nan, "change_error": np.nan}
        error = np.std(self.drawn - before.drawn, ddof=1)
        return {"change": self.ratio - before.ratio, "change_error": float(error)}


def _rows_of(found: Mapping) -> Iterator[tuple[dict, _Resampled]]:
    columns = columns_of(found)
    known = np.isfinite(columns["truth"] + columns["value"]).all(axis=1)
    for k, label in enumerate(found["labels"]):
        for group, inside in groups_of(columns["truth"], found["labels"]).items():
            if (inside := inside & known).sum() < FEWEST:
                continue
            part = {name: column[inside, k] for name, column in columns.items()}
            drawn = _resampled_ratio(part["truth"], part["value"], part["ceiling"])
            line = {**found["cell"], "label": label, "group": group} | ratio_of(**part)
            line["error"] = float(np.std(drawn, ddof=1))
            yield line, _Resampled(part["truth"], line["ratio"], drawn)


def _resampled_ratio(truth: np.ndarray, value: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """Ratio of each of some resamplings of the stars, (N_RESAMPLE,)."""
    picks = np.random.default_rng(0).integers(truth.size, size=(N_RESAMPLE, truth.size))
    return r2(truth[picks], value[picks]) / r2(truth[picks], ceiling[picks])


def ratio_of(
    truth: np.ndarray,
    value: np.ndarray,
    ceiling: np.ndarray,
    free: np.ndarray,
    pipeline: np.ndarray,
) -> dict[str, float]:
    """R² of a model and of the ceilings, and the ratio.

    Ratios are those of true labels; ``ratio_pipeline`` is what somebody finds who has the
    pipeline's labels alone.
    """
    best = r2(truth, ceiling)
    return {
        "r2": float(r2(truth, value)),
        "r2_ceiling": float(best),
        "r2_free": float(r2(truth, free)),
        "ratio": float(r2(truth, value) / best),
        "ratio_pipeline": float(r2(pipeline, value) / r2(pipeline, ceiling)),
    }
