"""Rounds of training: what a network learns from each, and the weights of the best."""

import copy
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from starsmith.data_contract.errors import DivergedError
from starsmith.data_contract.files.atomic import write_text
from starsmith.learners.compressed.network import CompressedNetwork
from starsmith.learners.compressed.sight import Sight
from starsmith.learners.estimators.registry import Task
from starsmith.learners.recipe import AnyInstrumentRecipe, CompressedRecipe
from starsmith.learners.run_folder import METRICS
from starsmith.learners.scores.metrics import mae, r2, rmse

__all__ = ["Trained", "adam", "learn_round", "score", "train_rounds"]

WARM_UP, START, END = 0.15, 0.04, 1e-3  # of the steps; of the peak learning rate


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Attributes
    ----------
    network : CompressedNetwork
        With the weights of the best round.
    metrics : dict
        Validation scores of that round.
    n_round : int
    """

    network: CompressedNetwork
    metrics: dict
    n_round: int


def train_rounds(
    task: Task,
    network: CompressedNetwork,
    rounds: Iterable[tuple[Sight, torch.Tensor]],
    scores: Callable[[], dict],
    started: float,
) -> Trained:
    """Learn from round after round, and keep the weights of that with the least ``val_error``.

    Parameters
    ----------
    task : Task
    network : CompressedNetwork
    rounds : iterable
        Sight of the stars of a round, and places of their labels; as many as the recipe has
        epochs, or without end where it has ``seconds``.
    scores : callable
        Validation scores of the network as it stands.
    started : float
        `time.perf_counter` at the start, for the recipe's ``seconds``.

    Raises
    ------
    DivergedError
        If a loss is not finite.
    """
    recipe = task.recipe
    optimiser = adam(network, recipe, 1.0)
    n_round, rows = recipe.epochs, []
    best: tuple[dict, dict] = {"val_error": math.inf}, {}
    first = time.perf_counter()
    for number, (sight, place) in enumerate(rounds, 1):
        loss = learn_round(
            lambda batch, s=sight, p=place: network.loss(s[batch], p[batch]),
            len(sight),
            optimiser,
            recipe,
            ((number - 1) / n_round, number / n_round),
        )
        if number == 1 and recipe.seconds:
            n_round = fitting_rounds(recipe.seconds, started, first)
        found = scores()
        rows.append({"epoch": number, "epochs": n_round, "train_loss": loss} | found)
        if task.progress is not None:
            task.progress(rows[-1])
        if found["val_error"] <= best[0]["val_error"]:
            best = rows[-1], copy.deepcopy(network.state_dict())
        if number >= n_round:
            break
    write_text(task.out / METRICS, "".join(json.dumps(row) + "\n" for row in rows))
    network.load_state_dict(best[1])
    return Trained(network.eval(), best[0], len(rows))


def adam(
    network: torch.nn.Module, recipe: CompressedRecipe | AnyInstrumentRecipe, rate: float
) -> torch.optim.AdamW:
    """AdamW at a multiple of the recipe's learning rate."""
    return torch.optim.AdamW(
        [{"params": list(network.parameters()), "peak": rate * recipe.learning_rate}],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )


def fitting_rounds(seconds: float, started: float, first: float) -> int:
    """Rounds that fit in the time that is left, as long as the first took each."""
    now = time.perf_counter()
    return max(1, 1 + math.floor((seconds - (now - started)) / (now - first)))


def learn_round(
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    n: int,
    optimiser: torch.optim.Optimizer,
    recipe: CompressedRecipe | AnyInstrumentRecipe,
    done: tuple[float, float],
) -> float:
    """Learn from every star of a round once, in random order; returns the mean loss.

    Parameters
    ----------
    loss_of : callable
        Stars of a batch -> their mean loss.
    n : int
        Stars.
    optimiser : Optimizer
        Its groups have a ``peak``.
    recipe : CompressedRecipe or AnyInstrumentRecipe
    done : (float, float)
        Share of all rounds that is done before this one and after it.
    """
    batches = torch.randperm(n).split(recipe.batch_size)
    total = 0.0
    for k, batch in enumerate(batches):
        rate = one_cycle(done[0] + (done[1] - done[0]) * k / len(batches))
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * rate
        loss = loss_of(batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if isinstance(recipe, AnyInstrumentRecipe):
            parameters = [p for group in optimiser.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, recipe.grad_clip)
        optimiser.step()
        total += loss.item() * len(batch)
    if not math.isfinite(total):
        raise DivergedError(
            f"the loss is not finite after {done[0]:.0%} of the rounds; lower the learning rate, "
            f"{recipe.learning_rate:g}, with --lr {recipe.learning_rate / 10:g}",
        )
    return total / n


def one_cycle(done: float) -> float:
    """Learning rate over its peak, when a fraction of all steps is done (Smith 2018)."""
    if done < WARM_UP:
        low, high, part = START, 1.0, done / WARM_UP
    else:
        low, high, part = 1.0, END, (done - WARM_UP) / (1.0 - WARM_UP)
    return low + (high - low) * 0.5 * (1.0 - math.cos(math.pi * min(part, 1.0)))


def score(value: np.ndarray, truth: np.ndarray, labels: tuple[str, ...]) -> dict:
    """Validation scores by label, and the mean over labels of RMSE over spread that chooses."""
    scores = {
        f"val_{function.__name__}": dict(
            zip(labels, map(float, function(truth.T, value.T)), strict=True)
        )
        for function in (mae, rmse, r2)
    }
    spread = truth.std(axis=0)
    error = np.array(list(scores["val_rmse"].values())) / np.where(spread > 0, spread, 1.0)
    return scores | {"val_error": float(error.mean())}
