"""Gradient-boosted trees (LightGBM) on the same input as every other estimator."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.files.atomic import write_text
from starsmith.data_contract.files.outside import read_file
from starsmith.learners.checkpoint import make_card, write_checkpoint
from starsmith.learners.estimators.registry import Kind, Task
from starsmith.learners.estimators.ridge import noise_copies
from starsmith.learners.estimators.tree_text import check_tree_text
from starsmith.learners.preprocess import (
    Normaliser,
    measure_statistics,
    select_labels,
)
from starsmith.learners.recipe import TreesRecipe
from starsmith.learners.run_folder import METRICS, TREES
from starsmith.learners.scores.validation import validation_scores

if TYPE_CHECKING:
    import lightgbm

__all__ = ["KIND", "TreesEstimator", "load_trees", "train_trees"]

MOST_TREES = 2**30  # bytes of one ensemble's text
MOST_THREADS = 1024
BINS = {"max_bin": 63, "bin_construct_sample_cnt": 2000}
"""A pixel's noise is wider than a 63rd of its range, and 2,000 spectra tell where the edges lie."""


@dataclass(frozen=True)
class TreesEstimator:
    """One boosted ensemble per label, as a function of standardised flux.

    Attributes
    ----------
    boosters : tuple of lightgbm.Booster
    threads : int
    """

    boosters: "tuple[lightgbm.Booster, ...]"
    threads: int

    def __call__(self, scaled: np.ndarray) -> tuple[np.ndarray, None]:
        """Z-scores (n_spec, n_label) of standardised flux (n_spec, n_wave); no uncertainty."""
        columns = [b.predict(scaled, num_threads=self.threads) for b in self.boosters]
        return np.stack(columns, axis=1), None


def boosting_parameters(recipe: TreesRecipe) -> dict:
    """LightGBM's own names for a recipe, with what makes it reproducible."""
    return {
        "objective": "regression",
        "metric": "l1",
        "learning_rate": recipe.learning_rate,
        "num_leaves": recipe.n_leaves,
        "bagging_fraction": recipe.row_fraction,
        "bagging_freq": 5 if recipe.row_fraction < 1 else 0,
        "feature_fraction": recipe.column_fraction,
        "num_threads": recipe.threads,
        "seed": recipe.seed,
        "deterministic": True,
        "force_col_wise": True,  # the same trees; by rows, unused columns are read too
        "enable_bundle": False,  # looks in vain for pixels that are never both off zero
        "verbosity": -1,
    } | BINS


def collect_inputs(split: TrainingSplit, normaliser: Normaliser, n_copy: int) -> np.ndarray:
    """Standardised flux of every noise copy, float32 (n_copy x n_spec, n_wave)."""
    inputs = np.empty((n_copy * len(split), split.wave.size), dtype=np.float32)
    start = 0
    for _, scaled in noise_copies(split, normaliser, n_copy):
        inputs[start : start + len(scaled)] = scaled
        start += len(scaled)
    return inputs


def train_trees(task: Task) -> None:
    """Boost one ensemble per label until the validation error stops falling; write them.

    ``task.progress`` is called every `REPORT_ROUNDS` trees with the validation error so far.
    """
    import lightgbm  # a second of every command that only names the model

    start, view, labels, recipe = time.perf_counter(), task.view, task.labels, task.recipe
    statistics = measure_statistics(view, labels)
    truth = {
        split.name: statistics.scale.to_scaled(select_labels(split, labels))
        for split in (view.train, view.val)
    }
    n_copy = recipe.noise_copies
    train = lightgbm.Dataset(
        collect_inputs(view.train, statistics.normaliser, n_copy), free_raw_data=False
    )
    val = train.create_valid(collect_inputs(view.val, statistics.normaliser, 1))
    boosters, rows = [], []
    for column, name in enumerate(labels):
        train.set_label(np.tile(truth["train"][:, column], n_copy))
        val.set_label(truth["val"][:, column].copy())
        booster = boost(train, val, recipe, reporter(name, rows, task.progress))
        boosters.append(booster)
    estimator = TreesEstimator(tuple(boosters), recipe.threads)
    save_trees(task.out / TREES, labels, estimator)
    write_text(task.out / METRICS, "".join(json.dumps(row) + "\n" for row in rows))
    n_tree = {name: b.best_iteration for name, b in zip(labels, boosters, strict=True)}
    scores = validation_scores(view, labels, statistics, estimator)
    card = make_card(task.model, labels, recipe, view) | {
        "n_parameters": sum(n_tree.values()) * (2 * recipe.n_leaves - 1),
        "metrics": {"n_tree": n_tree} | scores,
        "finished": {
            "reason": "every label stopped improving or ran out of rounds",
            "seconds": round(time.perf_counter() - start, 3),
        },
    }
    write_checkpoint(task.out, card, {}, statistics)


REPORT_ROUNDS = 25


def reporter(label: str, rows: list[dict], progress: Callable[[dict], None] | None) -> Callable:
    """Build a LightGBM callback that collects and reports the validation error of one label."""

    def report(env: "lightgbm.callback.CallbackEnv") -> None:
        rounds = env.iteration + 1
        if rounds % REPORT_ROUNDS and rounds != env.end_iteration:
            return
        error = float(env.evaluation_result_list[0][2])
        rows.append({"label": label, "n_tree": rounds, "val_error": error})
        if progress is not None:
            progress(rows[-1] | {"rounds": env.end_iteration})

    return report


def boost(
    train: "lightgbm.Dataset", val: "lightgbm.Dataset", recipe: TreesRecipe, report: Callable
) -> "lightgbm.Booster":
    """Boost until the validation MAE has not fallen for ``recipe.patience`` trees."""
    import lightgbm

    return lightgbm.train(
        boosting_parameters(recipe),
        train,
        num_boost_round=recipe.rounds,
        valid_sets=[val],
        callbacks=[lightgbm.early_stopping(recipe.patience, verbose=False), report],
    )


def save_trees(folder: Path, labels: tuple[str, ...], estimator: TreesEstimator) -> None:
    """Write each ensemble up to its best tree, as LightGBM's text format."""
    folder.mkdir(exist_ok=True)
    for name, booster in zip(labels, estimator.boosters, strict=True):
        text = booster.model_to_string(num_iteration=booster.best_iteration)
        write_text(folder / f"{name}.txt", text)


def load_trees(folder: Path, labels: tuple[str, ...], n_wave: int, threads: int) -> TreesEstimator:
    """Read what `save_trees` wrote; raises DataError naming a missing or damaged file."""
    import lightgbm

    boosters = []
    for name in labels:
        path = folder / f"{name}.txt"
        try:
            content = read_file(path, MOST_TREES)
            check_tree_text(content, n_wave)
            boosters.append(lightgbm.Booster(model_str=content.decode()))
        except (OSError, ValueError, lightgbm.basic.LightGBMError) as problem:
            raise DataError(f"{path}: cannot be read ({problem}); fit the model again") from None
    return TreesEstimator(tuple(boosters), threads)


def load_estimator(
    folder: Path, card: dict, weights: dict[str, np.ndarray], device: str | None
) -> TreesEstimator:
    """Rebuild the estimator of a checkpoint folder."""
    threads = card["recipe"].get("threads")
    if type(threads) is not int or not 0 <= threads <= MOST_THREADS:
        raise ContractError(f"{folder}: its card says threads = {threads!r}; fit the model again")
    return load_trees(folder / TREES, tuple(card["labels"]), card["wave"]["n_wave"], threads)


KIND = Kind(recipe=TreesRecipe, fit=train_trees, load=load_estimator)
