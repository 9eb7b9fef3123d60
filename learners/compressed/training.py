"""Train a network on stars that are drawn as it learns: fresh ones, under fresh noise."""

import copy
import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.data_contract.errors import DivergedError
from starsmith.data_contract.files.atomic import write_text
from starsmith.fisher.posterior.basis_likelihood import BasisLikelihood
from starsmith.fisher.posterior.compressed_draws import BasisNoise, build_noise, draw_compressed
from starsmith.fisher.posterior.compression import SAMPLE, Compression, build_compression
from starsmith.fisher.stars import prior_of
from starsmith.learners.compressed.features import Features
from starsmith.learners.compressed.network import CompressedNetwork, build_network
from starsmith.learners.compressed.posterior import Box
from starsmith.learners.estimators.registry import Forward, Task
from starsmith.learners.preprocess import iterate_blocks, select_labels
from starsmith.learners.recipe import CompressedRecipe
from starsmith.learners.run_folder import METRICS
from starsmith.learners.scores.metrics import mae, r2, rmse

__all__ = ["Trained", "train_network"]

N_SCALE = 4096  # stars that the scales of the features are measured on
WARM_UP, START, END = 0.15, 0.04, 1e-3  # of the steps; of the peak learning rate


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Attributes
    ----------
    network : CompressedNetwork
        With the weights of the best round.
    features : Features
    box : Box
    metrics : dict
        Validation scores of that round.
    n_round : int
    likelihood : BasisLikelihood
    """

    network: CompressedNetwork
    features: Features
    box: Box
    metrics: dict
    n_round: int
    likelihood: BasisLikelihood


@dataclass(frozen=True)
class Source:
    """Stars to learn from.

    Attributes
    ----------
    forward : Forward
    compression : Compression
    noise : BasisNoise
    features : Features
    columns : list of int
        Targets among the bank's labels.
    box : Box
    task : Task
    """

    forward: Forward
    compression: Compression
    noise: BasisNoise
    features: Features
    columns: list[int]
    box: Box
    task: Task

    @classmethod
    def of(cls, task: Task, forward: Forward) -> "Source":
        """Project bank and noise, once."""
        recipe = task.recipe
        bank, prior = forward.bank, prior_of(forward.ranges)
        compression = build_compression(
            bank, prior, recipe.n_mode, recipe.compression, forward.noise, recipe.seed
        )
        noise = build_noise(bank, prior, compression, forward.noise, recipe.seed)
        some = range(SAMPLE, SAMPLE + N_SCALE)
        scale = draw_compressed(bank, prior, compression, noise, some, recipe.seed).noiseless
        low, high = np.array([forward.ranges[name] for name in task.labels]).T
        return cls(
            forward=forward,
            compression=compression,
            noise=noise,
            features=Features.measure(compression, scale),
            columns=[bank.label_names.index(name) for name in task.labels],
            box=Box(low, high),
            task=task,
        )

    def round(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and places of the labels of one round, (n_star * n_noise, ...), in order."""
        recipe, n = self.task.recipe, self.task.recipe.epoch_size
        stars = draw_compressed(
            self.forward.bank,
            prior_of(self.forward.ranges),
            self.compression,
            self.noise,
            range(number * n, (number + 1) * n),
            recipe.seed,
            recipe.n_noise,
        )
        seen = stars.coefficients.reshape(-1, stars.coefficients.shape[2])
        features = self.features.of(seen, stars.level.ravel())
        place = self.box.place(stars.labels[:, self.columns]).astype(np.float32)
        return torch.from_numpy(features), torch.from_numpy(
            np.repeat(place, recipe.n_noise, axis=0)
        )

    def rounds(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Rounds without end, the next one drawn while the network learns from this one."""
        with ThreadPoolExecutor(1) as other:
            number, coming = 0, other.submit(self.round, 0)
            while True:
                ready, number = coming.result(), number + 1
                coming = other.submit(self.round, number)
                yield ready


def train_network(task: Task, forward: Forward, started: float) -> Trained:
    """Train a network and keep the weights of the round with the least error on val.

    Parameters
    ----------
    task : Task
    forward : Forward
        Its bank and prior.
    started : float
        `time.perf_counter` at the start, for the recipe's ``seconds``.

    Raises
    ------
    DivergedError
        If a loss is not finite.
    """
    recipe = task.recipe
    torch.manual_seed(recipe.seed)
    source = Source.of(task, forward)
    network = build_network(source.features.n_input, len(task.labels), recipe)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    seen, truth = (
        observed(task.view.val, source.features),
        select_labels(task.view.val, task.labels),
    )
    n_round, number, rows = recipe.epochs, 0, []
    best: tuple[dict, dict] = {"val_error": math.inf}, {}
    first = time.perf_counter()
    for features, place in source.rounds():
        loss = learn_round(network, optimiser, features, place, recipe, number / n_round, n_round)
        number += 1
        if number == 1 and recipe.seconds:
            n_round = fitting_rounds(recipe.seconds, started, first)
        scores = score(network.answer(seen, source.box).moments()[0], truth, task.labels)
        rows.append({"epoch": number, "epochs": n_round, "train_loss": loss} | scores)
        if task.progress is not None:
            task.progress(rows[-1])
        if scores["val_error"] <= best[0]["val_error"]:
            best = rows[-1], copy.deepcopy(network.state_dict())
        if number >= n_round:
            break
    write_text(task.out / METRICS, "".join(json.dumps(row) + "\n" for row in rows))
    network.load_state_dict(best[1])
    likelihood = BasisLikelihood.of(source.compression, source.noise)
    return Trained(network.eval(), source.features, source.box, best[0], number, likelihood)


def fitting_rounds(seconds: float, started: float, first: float) -> int:
    """Rounds that fit in the time that is left, as long as the first took each."""
    now = time.perf_counter()
    return max(1, 1 + math.floor((seconds - (now - started)) / (now - first)))


def learn_round(
    network: CompressedNetwork,
    optimiser: torch.optim.Optimizer,
    features: torch.Tensor,
    place: torch.Tensor,
    recipe: CompressedRecipe,
    done: float,
    n_round: int,
) -> float:
    """Learn from every star of a round once, in random order; returns the mean loss."""
    order = torch.randperm(len(features))
    batches = order.split(recipe.batch_size)
    total = 0.0
    for k, batch in enumerate(batches):
        rate = one_cycle(done + k / (len(batches) * n_round))
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * rate
        loss = network.head.loss(network(features[batch]), place[batch])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += loss.item() * len(batch)
    if not math.isfinite(total):
        raise DivergedError(
            f"the loss is not finite after {done:.0%} of the rounds; lower the learning rate, "
            f"{recipe.learning_rate:g}, with --lr {recipe.learning_rate / 10:g}",
        )
    return total / len(features)


def one_cycle(done: float) -> float:
    """Learning rate over its peak, when a fraction of all steps is done (Smith 2018)."""
    if done < WARM_UP:
        low, high, part = START, 1.0, done / WARM_UP
    else:
        low, high, part = 1.0, END, (done - WARM_UP) / (1.0 - WARM_UP)
    return low + (high - low) * 0.5 * (1.0 - math.cos(math.pi * min(part, 1.0)))


def observed(split: TrainingSplit, features: Features) -> np.ndarray:
    """Features of a split's spectra under their noise of record, float32 (n_spec, n_input)."""
    parts = []
    for rows in iterate_blocks(len(split)):
        seen = split.observe(rows)
        assert seen.error is not None  # views of data sets have one
        parts.append(features.of(*features.project(seen.flux, seen.error)))
    return np.concatenate(parts)


def score(value: np.ndarray, truth: np.ndarray, labels: tuple[str, ...]) -> dict:
    """Validation scores by label, and the mean over labels of MAE over spread that chooses."""
    scores = {
        f"val_{function.__name__}": dict(
            zip(labels, map(float, function(truth.T, value.T)), strict=True)
        )
        for function in (mae, rmse, r2)
    }
    spread = truth.std(axis=0)
    error = np.array(list(scores["val_rmse"].values())) / np.where(spread > 0, spread, 1.0)
    return scores | {"val_error": float(error.mean())}
