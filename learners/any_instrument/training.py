"""Train one network on stars of several instruments, each round under noise and gaps of its own."""

import math
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.data_contract.errors import DataError
from starsmith.learners.any_instrument.basis import build_basis, line_widths_of
from starsmith.learners.any_instrument.field import Field
from starsmith.learners.any_instrument.pooling import Tokens, n_feature
from starsmith.learners.compressed.network import CompressedNetwork, build_network
from starsmith.learners.compressed.posterior import Box
from starsmith.learners.compressed.rounds import Trained, score, train_rounds
from starsmith.learners.compressed.sight import Sight
from starsmith.learners.estimators.registry import Task
from starsmith.learners.preprocess import select_labels
from starsmith.learners.recipe import AnyInstrumentRecipe

__all__ = ["plain_sight", "train_network"]

CUT, NOISIER = 0.5, 0.3  # share of stars that lose part of their pixels; that get more noise
LEAST_LEFT = 0.2  # of the range in ln λ that such a star keeps
MOST_NOISE = 4.0  # times as much
MOST_VAL = 1000  # stars of an instrument that choose the round


@dataclass(frozen=True)
class Instrument:
    """Stars of one instrument.

    Attributes
    ----------
    split : TrainingSplit
    tokens : Tokens
    labels : float64 array, shape (n_spec, n_label)
        Targets.
    """

    split: TrainingSplit
    tokens: Tokens
    labels: np.ndarray

    def round(self, n: int, number: int, draw: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Features and labels of ``n`` stars under the noise and the gaps of a round."""
        rows = np.sort(draw.choice(len(self.split), min(n, len(self.split)), replace=False))
        seen = self.split.observe(rows, epoch=number)
        if seen.error is None:
            raise DataError("any_instrument weighs pixels by their error; these data have none")
        flux, error = noisier(seen.flux, seen.error, draw)
        mask = cut(seen.mask, self.split.wave, draw)
        return self.tokens.features(flux, error, mask), self.labels[rows]


def noisier(
    flux: np.ndarray, error: np.ndarray, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Some spectra under more noise than they came with, and their error."""
    chosen = draw.random(len(flux)) < NOISIER
    factor = np.where(chosen, np.exp(draw.uniform(0.0, math.log(MOST_NOISE), len(flux))), 1.0)
    more = error * np.sqrt(np.square(factor) - 1.0)[:, None]
    numbers = draw.standard_normal(flux.shape, dtype=np.float32)
    return flux + more * numbers, error * factor[:, None]


def cut(mask: np.ndarray, wave: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Masks of spectra some of which have lost all outside a window, as another arm would."""
    place = np.log(wave / wave.min()) / np.log(wave.max() / wave.min())
    chosen = draw.random(len(mask)) < CUT
    width = np.where(chosen, draw.uniform(LEAST_LEFT, 1.0, len(mask)), 1.0)
    start = draw.uniform(0.0, 1.0, len(mask)) * (1.0 - width)
    away = (place < start[:, None] - 1e-9) | (place > (start + width)[:, None] + 1e-9)
    return np.where(away, np.uint32(1), mask)


def plain_sight(features: np.ndarray, n_label: int) -> Sight:
    """Features as a head sees them: its coordinates are places less the middle of the prior."""
    n = len(features)
    middle, unit = torch.full((n, n_label), 0.5), torch.eye(n_label).expand(n, -1, -1)
    return Sight(torch.from_numpy(features), middle, unit)


def train_network(task: Task, started: float) -> tuple[Trained, Field, Box]:
    """Train, and keep the weights of the round with the least mean error over instruments.

    Parameters
    ----------
    task : Task
    started : float
        `time.perf_counter` at the start, for the recipe's ``seconds``.

    Raises
    ------
    DataError
        If an instrument's line widths or errors are unknown.
    DivergedError
        If a loss is not finite.
    """
    recipe, views = task.recipe, task.view.all
    torch.manual_seed(recipe.seed)
    field = build_basis([view.train for view in views], task.labels, recipe.n_key, recipe.seed)
    instruments = [_instrument(field, view.train, task.labels) for view in views]
    judged = [_judged(field, view.val, task.labels) for view in views]
    every = np.concatenate([one.labels for one in instruments])
    box = Box(every.min(axis=0), every.max(axis=0))
    network = build_network(n_feature(field.table.shape[1] - 1), len(task.labels), recipe)
    trained = train_rounds(
        task,
        network,
        (_round(instruments, box, recipe, number) for number in count()),
        lambda: _scores(network, box, judged, task.labels),
        started,
    )
    return trained, field, box


def _instrument(field: Field, split: TrainingSplit, labels: tuple[str, ...]) -> Instrument:
    tokens = Tokens.of(field, split.wave, line_widths_of(split))
    return Instrument(split, tokens, select_labels(split, labels))


def _judged(
    field: Field, split: TrainingSplit, labels: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of validation stars under their noise of record."""
    found = _instrument(field, split, labels)
    rows = slice(0, min(len(split), MOST_VAL))
    seen = split.observe(rows)
    return found.tokens.features(seen.flux, seen.error, seen.mask), found.labels[rows]


def _round(
    instruments: list[Instrument], box: Box, recipe: AnyInstrumentRecipe, number: int
) -> tuple[Sight, torch.Tensor]:
    """Stars and places of their labels of one round, of every instrument alike many."""
    n = max(1, recipe.epoch_size // len(instruments))
    parts = [
        one.round(n, number, np.random.default_rng([recipe.seed, 2, number, k]))
        for k, one in enumerate(instruments)
    ]
    features, labels = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    place = torch.from_numpy(box.place(labels).astype(np.float32))
    return plain_sight(features, labels.shape[1]), place


def _scores(
    network: CompressedNetwork,
    box: Box,
    judged: list[tuple[np.ndarray, np.ndarray]],
    labels: tuple[str, ...],
) -> dict:
    """Scores over the stars of all instruments; the error that chooses is their mean."""
    value = [
        network.answer(plain_sight(features, len(labels)), box).moments()[0]
        for features, _ in judged
    ]
    truth = [own for _, own in judged]
    errors = [
        score(found, own, labels)["val_error"] for found, own in zip(value, truth, strict=True)
    ]
    return score(np.concatenate(value), np.concatenate(truth), labels) | {
        "val_error": float(np.mean(errors))
    }
