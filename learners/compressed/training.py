"""Train a network on stars that are drawn as it learns: fresh ones, under fresh noise."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.fisher.posterior.basis_likelihood import BasisLikelihood
from starsmith.fisher.posterior.compressed_draws import (
    BLOCK,
    BasisNoise,
    DrawnStars,
    build_frame_noise,
    build_noise,
    draw_compressed,
)
from starsmith.fisher.posterior.compression import (
    SAMPLE,
    Compression,
    build_compression,
    residual_prior,
)
from starsmith.fisher.posterior.frames import Frames, frame_velocities
from starsmith.fisher.posterior.local_model import LocalModel
from starsmith.fisher.stars import prior_of
from starsmith.learners.compressed.features import Features
from starsmith.learners.compressed.moving import Moving
from starsmith.learners.compressed.network import build_network
from starsmith.learners.compressed.posterior import Box
from starsmith.learners.compressed.rounds import Trained, adam, learn_round, score, train_rounds
from starsmith.learners.compressed.sight import Eye, Sight, build_guess
from starsmith.learners.estimators.registry import Forward, Task
from starsmith.learners.preprocess import iterate_blocks, select_labels
from starsmith.learners.recipe import CompressedRecipe

__all__ = ["train_network"]

N_SCALE = 4096  # stars that the scales of the features are measured on
GUESS_SHARE = 8  # rounds of the network for each of the guess before it
GUESS_RATE = 1.5  # learning rate of the guess over that of the network


@dataclass(frozen=True)
class Source:
    """Stars to learn from.

    Attributes
    ----------
    forward : Forward
    compression : Compression
    noise : tuple of BasisNoise
        Of every frame; one of stars at rest.
    features : Features
    local : LocalModel
    box : Box
        Range of every label that varies.
    moving : Moving, optional
        Of stars that move.
    recipe : CompressedRecipe
    """

    forward: Forward
    compression: Compression
    noise: tuple[BasisNoise, ...]
    features: Features
    local: LocalModel
    box: Box
    moving: Moving | None
    recipe: CompressedRecipe

    @classmethod
    def of(cls, forward: Forward, recipe: CompressedRecipe) -> "Source":
        """Project bank and noise, once."""
        bank, prior = forward.bank, prior_of(forward.ranges)
        compression = build_compression(
            bank, prior, recipe.n_mode, recipe.compression, forward.noise, recipe.seed
        )
        frames = None
        if any(span := prior.ranges.get("rv", (0.0, 0.0))):
            frames = Frames(
                frame_velocities(span), bank.wave, compression.weight, compression.modes
            )
            noise = build_frame_noise(bank, prior, compression, frames, forward.noise, recipe.seed)
        else:
            noise = (build_noise(bank, prior, compression, forward.noise, recipe.seed),)
        some = range(SAMPLE, SAMPLE + max(N_SCALE, BLOCK * len(noise)))
        stars = draw_compressed(bank, prior, compression, noise, some, recipe.seed)
        local = LocalModel.measure(residual_prior(prior).ranges, compression, noise, stars)
        varies = local.high > local.low
        return cls(
            forward=forward,
            compression=compression,
            noise=noise,
            features=Features.measure(compression, stars.noiseless),
            local=local,
            box=Box(local.low[varies], local.high[varies]),
            moving=None if frames is None else at_rest(frames, compression, stars),
            recipe=recipe,
        )

    def round(self, number: int, eye: Eye) -> tuple[Sight, torch.Tensor]:
        """Sight of one round, and places of all labels that vary (n_star * n_noise, n_label)."""
        n, n_noise = self.recipe.epoch_size, self.recipe.n_noise
        stars = draw_compressed(
            self.forward.bank,
            prior_of(self.forward.ranges),
            self.compression,
            self.noise,
            range(number * n, (number + 1) * n),
            self.recipe.seed,
            n_noise,
        )
        frame = np.repeat(stars.frame, n_noise)
        sight = eye.see(stars.coefficients.reshape(n * n_noise, -1), stars.level.ravel(), frame)
        labels = stars.labels[:, self.local.high > self.local.low]
        place = torch.from_numpy(self.box.place(labels).astype(np.float32))
        return sight, place.repeat_interleave(n_noise, dim=0)

    def rounds(
        self, first: int, eye: Eye, stop: int | None
    ) -> Iterator[tuple[Sight, torch.Tensor]]:
        """Rounds from one to before another, each drawn while the network learns from the last."""
        with ThreadPoolExecutor(1) as other:
            number, coming = first, other.submit(self.round, first, eye)
            while stop is None or number < stop:
                ready, number = coming.result(), number + 1
                if number != stop:
                    coming = other.submit(self.round, number, eye)
                yield ready


def at_rest(frames: Frames, compression: Compression, stars: DrawnStars) -> Moving:
    """Measure what drawn stars look like in the frame where they are at rest."""
    labels = stars.labels.copy()
    labels[:, -1] = 0.0
    still = Features.measure(compression, compression.templates(labels, stars.mag))
    return Moving(frames, still.centre, still.covariance)


def train_network(
    task: Task, forward: Forward, started: float
) -> tuple[Trained, Eye, BasisLikelihood]:
    """Train a network and keep the weights of the round with the least error on val.

    Parameters
    ----------
    task : Task
    forward : Forward
        Its bank and prior.
    started : float
        `time.perf_counter` at the start, for the recipe's ``seconds``.

    Returns
    -------
    trained, eye, likelihood
        What a checkpoint is made of.

    Raises
    ------
    DivergedError
        If a loss is not finite.
    """
    recipe = task.recipe
    torch.manual_seed(recipe.seed)
    source = Source.of(forward, recipe)
    eye, n_drawn = open_eye(source, task.labels)
    columns = list(eye.columns)
    network = build_network(eye.n_input, len(task.labels), recipe)
    box = Box(source.box.low[columns], source.box.high[columns])
    seen, truth = observed(task.view.val, eye), select_labels(task.view.val, task.labels)
    stop = None if recipe.seconds else n_drawn + recipe.epochs
    trained = train_rounds(
        task,
        network,
        ((sight, place[:, columns]) for sight, place in source.rounds(n_drawn, eye, stop)),
        lambda: score(network.answer(seen, box).moments()[0], truth, task.labels),
        started,
    )
    return trained, eye, BasisLikelihood.of(source.compression, source.noise[0])


def open_eye(source: Source, labels: tuple[str, ...]) -> tuple[Eye, int]:
    """Train the guess that the local model starts from; also the rounds that took."""
    recipe, varying = source.recipe, source.local.varying
    columns = tuple(varying.index(name) for name in labels)
    guess = build_guess(source.features.n_input, len(varying))
    blind = Eye(source.features, len(varying))
    n_round = math.ceil(recipe.epochs / GUESS_SHARE)
    optimiser = adam(guess, recipe, GUESS_RATE)
    for number, (sight, place) in enumerate(source.rounds(0, blind, n_round)):
        learn_round(
            lambda batch, x=sight.numbers, y=place - 0.5: (
                (guess(x[batch]) - y[batch]) ** 2
            ).mean(),
            len(sight),
            optimiser,
            recipe,
            (number / n_round, (number + 1) / n_round),
        )
    eye = Eye(source.features, len(labels), guess.eval(), source.local, columns, source.moving)
    return eye, n_round


def observed(split: TrainingSplit, eye: Eye) -> Sight:
    """Sight of a split's spectra under their noise of record."""
    parts = []
    for rows in iterate_blocks(len(split)):
        spectra = split.observe(rows)
        assert spectra.error is not None  # views of data sets have one
        parts.append(eye.project(spectra.flux, spectra.error))
    seen, level, frame = map(np.concatenate, zip(*parts, strict=True))
    return eye.see(seen, level, frame)
