"""Ridge regression by streaming normal equations: memory does not grow with the data."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.data_contract.errors import ContractError
from starsmith.data_contract.files.atomic import write_text
from starsmith.learners.checkpoint import make_card, write_checkpoint
from starsmith.learners.estimators.registry import Kind, Task
from starsmith.learners.preprocess import (
    Normaliser,
    iterate_blocks,
    measure_statistics,
    select_labels,
)
from starsmith.learners.recipe import RidgeRecipe
from starsmith.learners.run_folder import METRICS
from starsmith.learners.scores.validation import validation_scores

if TYPE_CHECKING:
    from torch import nn

__all__ = ["KIND", "RidgeEstimator", "noise_copies", "normal_equations", "train_ridge"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RidgeEstimator:
    """A linear map of standardised flux.

    Attributes
    ----------
    weights : float64, shape (n_wave, n_label)
        [z-score per standard deviation of a pixel].
    intercept : float64, shape (n_label,)
    """

    weights: np.ndarray
    intercept: np.ndarray

    def __call__(self, scaled: np.ndarray) -> tuple[np.ndarray, None]:
        """Z-scores (n_spec, n_label) of standardised flux (n_spec, n_wave); no uncertainty."""
        return fixed.matmul(scaled, self.weights) + self.intercept, None


@dataclass(frozen=True)
class NormalEquations:
    """Sums over training spectra x (n_wave) and z-scored labels y (n_label), centred.

    Attributes
    ----------
    gram : float64, shape (n_wave, n_wave)
        Sum of (x - mean x)(x - mean x)ᵀ.
    moment : float64, shape (n_wave, n_label)
        Sum of (x - mean x)(y - mean y)ᵀ.
    x_mean, y_mean : float64, shapes (n_wave,), (n_label,)
    n_spec : int
    """

    gram: np.ndarray
    moment: np.ndarray
    x_mean: np.ndarray
    y_mean: np.ndarray
    n_spec: int

    def solve(self, alpha: float) -> RidgeEstimator:
        """Minimise sum |y - a - x w|² + alpha |w|² (the intercept a is not penalised)."""
        penalised = self.gram.copy()
        penalised.flat[:: len(penalised) + 1] += alpha
        factor = cho_factor(penalised, lower=True, overwrite_a=True, check_finite=False)
        weights = cho_solve(factor, self.moment, check_finite=False)
        return RidgeEstimator(weights, self.y_mean - self.x_mean @ weights)


def noise_copies(
    split: TrainingSplit, normaliser: Normaliser, n_copy: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows and standardised flux of a training split, under ``n_copy`` draws of its noise.

    The first is the draw of record, the others are those of epochs 1, 2, ...
    """
    for copy in range(n_copy):
        for rows in iterate_blocks(len(split)):
            seen = split.observe(rows, epoch=copy or None)
            yield rows, normaliser.apply(seen.flux, seen.mask)


def normal_equations(
    blocks: Iterator[tuple[slice, np.ndarray]], targets: np.ndarray
) -> NormalEquations:
    """Accumulate the sums in float64, block by block.

    Parameters
    ----------
    blocks : iterator of (rows, standardised flux (n_block, n_wave))
    targets : float32 array, shape (n_spec, n_label)
        Z-scored labels.
    """
    gram = moment = x_sum = y_sum = 0.0
    n_spec = 0
    for rows, scaled in blocks:
        x, y = scaled.astype(np.float64), targets[rows].astype(np.float64)
        gram += x.T @ x
        moment += x.T @ y
        x_sum += x.sum(axis=0)
        y_sum += y.sum(axis=0)
        n_spec += len(x)
    x_mean, y_mean = x_sum / n_spec, y_sum / n_spec
    # Standardised inputs have means near zero, so centring afterwards loses no digits.
    return NormalEquations(
        gram - n_spec * np.outer(x_mean, x_mean),
        moment - n_spec * np.outer(x_mean, y_mean),
        x_mean,
        y_mean,
        n_spec,
    )


def train_ridge(task: Task) -> None:
    """Fit every penalty of the recipe and write the one with the least squared error on val.

    ``task.progress`` is called with the validation scores of each penalty.
    """
    start, view, labels, recipe = time.perf_counter(), task.view, task.labels, task.recipe
    statistics = measure_statistics(view, labels)
    targets = statistics.scale.to_scaled(select_labels(view.train, labels))
    equations = normal_equations(
        noise_copies(view.train, statistics.normaliser, recipe.noise_copies), targets
    )
    rows, best, kept = [], None, None
    for penalty in recipe.penalties:
        estimator = equations.solve(penalty * equations.n_spec)
        scores = validation_scores(view, labels, statistics, estimator)
        rows.append({"penalty": penalty, "alpha": penalty * equations.n_spec} | scores)
        if best is None or scores["val_square"] < best["val_square"]:
            best, kept = rows[-1], estimator
        if task.progress is not None:
            task.progress(rows[-1])
    if best["penalty"] in (recipe.penalties[0], recipe.penalties[-1]):
        logger.warning("best penalty %g is at the end of the list; widen it", best["penalty"])
    write_text(task.out / METRICS, "".join(json.dumps(row) + "\n" for row in rows))
    card = make_card(task.model, labels, recipe, view) | {
        "n_parameters": kept.weights.size + kept.intercept.size,
        "metrics": best,
        "finished": {
            "reason": f"best of {len(rows)} penalties",
            "seconds": round(time.perf_counter() - start, 3),
        },
    }
    weights = {"weights": kept.weights, "intercept": kept.intercept}
    write_checkpoint(task.out, card, weights, statistics)


def load_ridge(
    folder: Path, card: dict, weights: dict[str, np.ndarray], device: str | None
) -> RidgeEstimator:
    """Rebuild the estimator of a checkpoint folder."""
    shape = (card["wave"]["n_wave"], len(card["labels"]))
    found = {name: array.shape for name, array in weights.items()}
    if found != {"weights": shape, "intercept": shape[1:]}:
        raise ContractError(f"{folder}: its weights are {found}, expected {shape}; fit it again")
    return RidgeEstimator(weights["weights"], weights["intercept"])


def linear_layer(ridge: RidgeEstimator) -> tuple["nn.Linear", bool]:
    """Ridge regression as a layer of torch; it knows no uncertainty."""
    import torch

    n_wave, n_label = ridge.weights.shape
    layer = torch.nn.Linear(n_wave, n_label)
    layer.weight.data = torch.from_numpy(np.ascontiguousarray(ridge.weights.T, dtype=np.float32))
    layer.bias.data = torch.from_numpy(np.asarray(ridge.intercept, dtype=np.float32))
    return layer, False


KIND = Kind(
    recipe=RidgeRecipe, fit=train_ridge, load=load_ridge, layer=linear_layer, uses_seed=False
)
