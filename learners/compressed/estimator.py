"""Compressed: a network on the coefficients of a spectrum, with the posterior of its labels."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError, ContractError, DataError
from starsmith.data_contract.noise.covariance import check_noise
from starsmith.data_contract.quantities import DUST, LABELS
from starsmith.fisher.posterior.basis_likelihood import OWN, BasisLikelihood
from starsmith.fisher.posterior.compression import RESIDUAL
from starsmith.fisher.posterior.moving_likelihood import MovingLikelihood, Weighed
from starsmith.fisher.posterior.pixel_likelihood import pixel_log_likelihood
from starsmith.fisher.posterior.spline_cells import MovingAxes, SplineAxes
from starsmith.learners.checkpoint import make_card, write_checkpoint
from starsmith.learners.compressed.features import Features
from starsmith.learners.compressed.has_posterior import HasPosterior
from starsmith.learners.compressed.network import CompressedNetwork, build_network
from starsmith.learners.compressed.posterior import Box
from starsmith.learners.compressed.sight import Eye
from starsmith.learners.compressed.training import train_network
from starsmith.learners.estimators.forward_model import plain_statistics
from starsmith.learners.estimators.registry import Kind, Task
from starsmith.learners.recipe import CompressedRecipe, recipe_from_table

__all__ = ["KIND", "CompressedEstimator"]

NETWORK_PARTS = ("layers.", "head.")
NORMALISATION = (
    "coefficients of the flux in a noise-weighted basis, over their amplitude and noise level; bad "
    "pixels are drawn given the good ones"
)
N_COPY = 8  # draws of what bad pixels would have held, and of the frame a spectrum is seen in


@dataclass(frozen=True)
class CompressedEstimator(HasPosterior):
    """A trained network and the projection it sees spectra through.

    Attributes
    ----------
    network : CompressedNetwork
    eye : Eye
    box : Box
    labels : tuple of str
        Targets.
    ranges : mapping of str to (min, max)
        The prior's, of every label, ``mag`` and condition.
    likelihood : BasisLikelihood
    axes : SplineAxes or MovingAxes
        Of the bank.
    """

    network: CompressedNetwork
    eye: Eye
    box: Box
    labels: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]]
    likelihood: BasisLikelihood
    axes: SplineAxes | MovingAxes

    @property
    def features(self) -> Features:
        """The projection, and scales of what it gives."""
        return self.eye.features

    @property
    def stars_at_rest(self) -> Features:
        """The same, its scales those of stars at rest."""
        moving, features = self.eye.moving, self.eye.features
        if moving is None:
            return features
        return replace(features, centre=moving.centre, covariance=moving.covariance)

    @property
    def has_posterior(self) -> bool:
        """Whether its head knows more than the mean."""
        return self.network.head.has_posterior

    def posterior(self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray) -> Any:
        """Posterior of spectra; see `HasPosterior.estimate` for the arguments.

        Of a spectrum with bad pixels it is the mean over draws of what these would have held; of
        one that may be seen in several frames, over these.
        """
        bad = mask != 0
        clean = np.where(bad, 0.0, flux) if bad.any() else flux
        seen, level, frames = self.eye.look(
            np.asarray(clean, dtype=np.float32), np.asarray(error, dtype=np.float32), bad, N_COPY
        )
        answer = self.network.answer(self.eye.see(seen, level, frames[:, 0]), self.box)
        doubtful = bad.any(axis=1) | (frames != frames[:, :1]).any(axis=1)
        some = np.flatnonzero(doubtful & ~bad.all(axis=1))
        if not some.size:
            return answer
        parts = [self._copies(flux[k], error[k], bad[k], frames[k]) for k in some]
        drawn, levels = (np.concatenate(part) for part in zip(*parts, strict=True))
        copies = self.network.answer(self.eye.see(drawn, levels, frames[some].ravel()), self.box)
        return answer.put(some, copies.pooled(N_COPY))

    def log_likelihood(
        self,
        flux: np.ndarray,
        error: np.ndarray,
        mask: np.ndarray,
        draws: np.ndarray,
        bank: Bank | None = None,
    ) -> np.ndarray:
        """Log-likelihood of draws of the targets, up to a constant of each star.

        Parameters
        ----------
        flux, error, mask : arrays, shape (n_spec, n_wave)
            As in `estimate`.
        draws : float64 array, shape (n_spec, n_draw, n_label)
        bank : Bank, optional
            The model's: all pixels count, not their coefficients.

        Raises
        ------
        ConfigError
            If a label that varies is no target: it would have to be integrated out.
        DataError
            If a draw lies outside the prior.
        """
        axes = self.axes.rest if isinstance(self.axes, MovingAxes) else self.axes
        names = axes.label_names
        if missing := [n for n in names if n not in self.labels and np.ptp(self.ranges[n]) > 0]:
            raise ConfigError(
                f"importance weights need the posterior of every label that varies, and "
                f"{', '.join(missing)} is no target of this model; train it with "
                + " ".join(f"--target {name}" for name in names)
            )
        full = np.empty((*draws.shape[:2], len(names)))
        for k, name in enumerate(names):
            column = self.labels.index(name) if name in self.labels else None
            full[..., k] = self.ranges[name][0] if column is None else draws[..., column]
            check_inside(name, full[..., k], self.ranges[name])
        if self.eye.moving is not None:
            return self._moving_log_likelihood(flux, error, mask == 0, full, bank)
        if bank is not None:
            mags = self.ranges["mag"]
            return pixel_log_likelihood(bank, flux, error, mask == 0, full, mags)
        forms = self.likelihood.forms(flux, error, mask == 0)
        return self.likelihood.log_likelihood(forms, full, axes, self.ranges["mag"])

    def _moving_log_likelihood(
        self,
        flux: np.ndarray,
        error: np.ndarray,
        good: np.ndarray,
        labels: np.ndarray,
        bank: Bank | None,
    ) -> np.ndarray:
        """Log-likelihood of all labels, the velocity integrated out over each star's frames."""
        assert self.eye.moving is not None
        assert isinstance(self.axes, MovingAxes)
        moving = MovingLikelihood(
            self.eye.moving.frames,
            self.likelihood.node_modes,
            self.axes,
            float(np.ptp(self.ranges["rv"])),
            self.ranges["mag"],
        )
        flux = np.where(good, flux, 0.0).astype(np.float32)
        frames = self.eye.likely(flux, error, ~good)
        stars = [Weighed.of(*one) for one in zip(flux, error, good, strict=True)]
        return np.stack(
            [moving.log_likelihood(*one, bank) for one in zip(stars, frames, labels, strict=True)]
        )

    def _copies(
        self, flux: np.ndarray, error: np.ndarray, bad: np.ndarray, frames: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (N_COPY, n_mode) and level of one spectrum in its frames, completed."""
        n_mode = len(self.features.modes)
        numbers = np.random.default_rng(0).standard_normal((N_COPY, 2 * n_mode))
        seen, level = np.empty((N_COPY, n_mode), dtype=np.float32), 0.0
        for frame in np.unique(frames):
            some = frames == frame
            seen[some], level = self.eye.complete(flux, error, bad, frame, numbers[some])
        return seen, np.full(N_COPY, level)


def check_inside(name: str, values: np.ndarray, span: tuple[float, float]) -> None:
    """Refuse labels outside the prior; DataError naming the farthest."""
    slack = 1e-6 * max(abs(span[0]), abs(span[1]), 1.0)  # rounding of draws at an end
    low, high = float(values.min()), float(values.max())
    if low < span[0] - slack or high > span[1] + slack:
        worst = low if low < span[0] - slack else high
        raise DataError(
            f"{name} {worst:g} lies outside this model's prior, {span[0]:g} to {span[1]:g}: it "
            "gives such a star no probability; train on a data set that holds it"
        )


def check_compressed(task: Task) -> None:
    """Refuse what cannot be drawn in a basis, before anything is written.

    Raises
    ------
    ConfigError
        If there is no bank, its stars move or are reddened, or their noise is not Gaussian.
    DataError
        If the bank has other wavelengths than the data.
    """
    model, forward = task.model, task.forward
    if forward is None:
        raise ConfigError(
            f"model {model!r} draws its stars from a bank: train on a data set that names its "
            f"bank, or fit a ForwardView(view, Forward(bank, ranges))"
        )
    if any(forward.ranges.get(DUST, (0.0, 0.0))):
        raise ConfigError(
            f"model {model!r} knows stars without dust, but the data have {DUST}; train a network, "
            "e.g. --model specvit_tiny"
        )
    if any(forward.ranges.get("rv", (0.0, 0.0))):
        check_moving(task, forward.bank)
    if forward.drawn_from:
        raise ConfigError(
            f"model {model!r} draws its stars uniformly, but the data's are those of "
            f"{forward.drawn_from}; train a network, e.g. --model specvit_tiny"
        )
    check_noise(forward.noise)
    for name in task.labels:
        low, high = forward.ranges[name]
        if not low < high:
            raise ConfigError(f"--target {name} is {low:g} for every star; choose another target")
    wave, own = task.view.train.wave, forward.bank.wave
    if wave.shape != own.shape or not np.allclose(wave, own, rtol=0.0, atol=0.01):
        raise DataError(
            f"model {model!r}: the bank's {own.size} pixels are not the data's {wave.size}; "
            f"give the bank the data were made with"
        )


def check_moving(task: Task, bank: Bank) -> None:
    """Refuse what cannot be drawn of stars that move; ConfigError saying what to do."""
    if bank.velocity is None:
        raise ConfigError(
            f"model {task.model!r}: the stars move, and this bank has no velocity tables; render "
            "it with 'specsim bank --velocity-step 10'"
        )
    if task.recipe.compression == "moped":
        raise ConfigError(
            f"model {task.model!r}: moped has no score for the velocity of stars that move; drop "
            "--set compression=moped"
        )


def train_compressed(task: Task) -> None:
    """Train, and write the checkpoint of the best round."""
    start, forward = time.perf_counter(), task.forward
    assert forward is not None  # check_compressed has refused the rest
    trained, eye, likelihood = train_network(task, forward, start)
    card = make_card(task.model, task.labels, task.recipe, task.view) | {
        "n_parameters": sum(p.numel() for p in trained.network.parameters()) + eye.n_parameters,
        "ranges": {name: list(bounds) for name, bounds in forward.ranges.items()},
        "bank": forward.bank.digest,
        "normalisation": NORMALISATION,
        "degree": forward.bank.degree,
        "metrics": trained.metrics,
        "finished": {
            "reason": f"{trained.n_round} rounds of {task.recipe.epoch_size} fresh stars",
            "seconds": round(time.perf_counter() - start, 3),
        },
    }
    weights = {name: value.numpy() for name, value in trained.network.state_dict().items()}
    weights |= eye.tensors()
    weights |= {f"likelihood.{n}": v for n, v in likelihood.tensors().items()}
    bank = forward.bank
    weights |= {f"axes.{n}": v for n, v in zip(bank.label_names, bank.axes, strict=True)}
    statistics = plain_statistics(task.view.train.wave, len(task.labels)).typical_of(task.view)
    write_checkpoint(task.out, card, weights, statistics)


def load_compressed(
    folder: Path, card: dict, weights: dict[str, np.ndarray], device: str | None
) -> CompressedEstimator:
    """Rebuild the estimator of a checkpoint folder; ContractError if its arrays do not fit."""
    import torch

    recipe = recipe_from_table(card["recipe"], str(folder))
    if not isinstance(recipe, CompressedRecipe) or not {"bank", "ranges"} <= set(card):
        raise ContractError(f"{folder}: its card is not that of such a model; fit the model again")
    labels, ranges = tuple(card["labels"]), {n: tuple(span) for n, span in card["ranges"].items()}
    try:
        features = Features.from_tensors(weights)
        likelihood = BasisLikelihood(
            features.weight, features.modes, *(weights[f"likelihood.{name}"] for name in OWN)
        )
        names = tuple(name for name in LABELS if f"axes.{name}" in weights)
        axes: SplineAxes | MovingAxes = SplineAxes(
            names, tuple(weights[f"axes.{name}"] for name in names), card["degree"]
        )
        if "frames.velocities" in weights:
            axes = MovingAxes(axes, RESIDUAL)
        spans = ranges | {"rv": (-RESIDUAL, RESIDUAL)}
        eye = Eye.from_tensors(weights, labels, spans, axes, likelihood.node_modes)
        network = build_network(eye.n_input, len(labels), recipe)
        own = {n: torch.from_numpy(v) for n, v in weights.items() if n.startswith(NETWORK_PARTS)}
        network.load_state_dict(own)
    except (KeyError, RuntimeError, ValueError) as problem:
        raise ContractError(
            f"{folder}: its arrays are not those of its recipe ({str(problem).splitlines()[0]}); "
            "fit the model again"
        ) from None
    low, high = np.array([ranges[name] for name in labels], dtype=float).T
    return CompressedEstimator(
        network.eval(), eye, Box(low, high), labels, ranges, likelihood, axes
    )


KIND = Kind(
    recipe=CompressedRecipe,
    fit=train_compressed,
    load=load_compressed,
    check=check_compressed,
    needs_error=True,
    needs_forward=True,
    draws_stars=True,
)
