"""Estimators that know the forward model: they compare a spectrum with templates of a bank.

They see what every estimator sees, the observed flux and its honest error, and are trained
on nothing. Their checkpoint holds the bank.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.learners.checkpoint import make_card, write_checkpoint
from starsmith.learners.estimators.forward_recipes import PosteriorRecipe, TemplateRecipe
from starsmith.learners.estimators.grid_posterior import PosteriorEstimator
from starsmith.learners.estimators.template import TemplateEstimator
from starsmith.learners.evaluation.metrics import mae, r2, rmse
from starsmith.learners.preprocess import LabelScale, Normaliser, Statistics, select_labels
from starsmith.learners.training.run_folder import BANK

__all__ = [
    "FORWARD_RECIPES",
    "Forward",
    "ForwardEstimator",
    "ForwardView",
    "check_forward",
    "load_forward",
    "train_forward",
]

FORWARD_RECIPES = {"gridposterior": PosteriorRecipe, "template": TemplateRecipe}
"""Model -> kind of recipe, of every model that needs a forward model."""


class ForwardEstimator(Protocol):
    """Maps observed spectra to labels in label units."""

    def estimate(
        self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values and 1σ, float64 (n_spec, n_label); NaN where the estimate failed."""


@dataclass(frozen=True)
class Forward:
    """What spectra are made from.

    Attributes
    ----------
    bank : Bank
    ranges : mapping of str to (min, max)
        The prior's range of every label, ``mag`` and condition.
    """

    bank: Bank
    ranges: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class ForwardView:
    """Training data together with what their spectra are made from.

    Attributes
    ----------
    view : TrainingView
    forward : Forward
    """

    view: TrainingView
    forward: Forward


def make_estimator(
    model: str, labels: tuple[str, ...], recipe: PosteriorRecipe | TemplateRecipe, forward: Forward
) -> ForwardEstimator:
    """Build the estimator of a model."""
    kind = PosteriorEstimator if model == "gridposterior" else TemplateEstimator
    return kind(forward.bank, forward.ranges, labels, recipe)


def check_forward(model: str, view: TrainingView, forward: Forward | None) -> None:
    """Refuse what these models cannot be compared with, before anything is written.

    Raises
    ------
    ConfigError
        If there is no forward model, or its stars move.
    DataError
        If the bank has other wavelengths than the data.
    """
    if model not in FORWARD_RECIPES:
        return
    if forward is None:
        raise ConfigError(
            f"model {model!r} compares spectra with a bank's templates: train on a data set "
            f"that names its bank, or fit a ForwardView(view, Forward(bank, ranges))"
        )
    if any(forward.ranges.get("rv", (0.0, 0.0))):
        raise ConfigError(
            f"model {model!r}: its templates are at rest, but the data's stars have radial "
            f"velocities; train a network, or generate the data with --rv 0"
        )
    wave, own = view.train.wave, forward.bank.wave
    if wave.shape != own.shape or not np.allclose(wave, own, rtol=0.0, atol=0.01):
        raise DataError(
            f"model {model!r}: the bank's {own.size} pixels are not the data's {wave.size}; "
            f"give the bank the data were made with"
        )


def train_forward(
    view: TrainingView,
    labels: tuple[str, ...],
    model: str,
    recipe: PosteriorRecipe | TemplateRecipe,
    out: Path,
    forward: Forward,
    progress: Callable[[dict], None] | None,
) -> None:
    """Score the estimator on val and write a checkpoint that holds its bank."""
    start = time.perf_counter()
    estimator = make_estimator(model, labels, recipe, forward)
    seen = view.val.observe()
    value, _ = estimator.estimate(seen.flux, seen.error, seen.mask)
    scores = score_values(value, select_labels(view.val, labels), labels)
    if progress is not None:
        progress(scores)
    if (out / BANK).exists():
        shutil.rmtree(out / BANK)
    forward.bank.save(out / BANK)
    card = make_card(model, labels, recipe, view) | {
        "n_parameters": 0,
        "ranges": {name: list(bounds) for name, bounds in forward.ranges.items()},
        "bank": forward.bank.digest,
        "metrics": scores,
        "finished": {
            "reason": "nothing to train",
            "seconds": round(time.perf_counter() - start, 3),
        },
    }
    write_checkpoint(out, card, {}, plain_statistics(view.train.wave, len(labels)))


def score_values(value: np.ndarray, truth: np.ndarray, labels: tuple[str, ...]) -> dict:
    """Validation scores over the spectra that were fitted, and how many were not."""
    found = np.isfinite(value).all(axis=1)
    scores: dict = {"n_failed": int((~found).sum())}
    for name, function in (("val_mae", mae), ("val_rmse", rmse), ("val_r2", r2)):
        scored = function(truth[found].T, value[found].T) if found.any() else [np.nan] * len(labels)
        scores[name] = dict(zip(labels, map(float, scored), strict=True))
    return scores


def plain_statistics(wave: np.ndarray, n_label: int) -> Statistics:
    """Statistics that change nothing: these estimators take flux and labels as they are."""
    n_wave = wave.size
    return Statistics(
        wave,
        Normaliser(np.zeros(n_wave), np.ones(n_wave)),
        LabelScale(np.zeros(n_label), np.ones(n_label)),
    )


def load_forward(path: Path, card: dict) -> ForwardEstimator:
    """Rebuild the estimator of a checkpoint folder; DataError if its bank is not the card's."""
    bank = load_bank(path / BANK)
    if bank.digest != card["bank"]:
        raise DataError(
            f"{path / BANK}: bank {bank.digest[:12]}, but the card was written for "
            f"{card['bank'][:12]}; copy the folder again or train again"
        )
    ranges = {name: tuple(bounds) for name, bounds in card["ranges"].items()}
    table = {key: value for key, value in card["recipe"].items() if key != "kind"}
    recipe = FORWARD_RECIPES[card["model"]](**table)
    return make_estimator(card["model"], tuple(card["labels"]), recipe, Forward(bank, ranges))
