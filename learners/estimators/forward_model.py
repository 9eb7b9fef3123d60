"""Estimators that know the forward model: they compare a spectrum with templates of a bank.

They see what every estimator sees, the observed flux and its honest error, and are trained
on nothing. Their checkpoint holds the bank.
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank, read_bank
from starsmith.data_contract.errors import ConfigError, ContractError, DataError
from starsmith.learners.checkpoint import make_card, write_checkpoint
from starsmith.learners.estimators.registry import Kind, Task
from starsmith.learners.preprocess import LabelScale, Normaliser, Statistics, select_labels
from starsmith.learners.recipe import PosteriorRecipe, TemplateRecipe, recipe_from_table
from starsmith.learners.run_folder import BANK
from starsmith.learners.scores.metrics import mae, r2, rmse

__all__ = ["BankEstimator", "forward_kind"]


@dataclass(frozen=True)
class BankEstimator:
    """Compares observed spectra with templates of a bank.

    Attributes
    ----------
    bank : Bank
    ranges : mapping of str to (min, max)
        The prior's: of every label, ``mag`` and condition.
    labels : tuple of str
    recipe : Recipe
    """

    bank: Bank
    ranges: Mapping[str, tuple[float, float]]
    labels: tuple[str, ...]
    recipe: Any

    def estimate(
        self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Labels and their 1σ, float64 (n_spec, n_label); NaN where the estimate failed.

        Parameters
        ----------
        flux, error : float arrays, shape (n_spec, n_wave)
            Observed flux and honest 1σ [1e-17 erg/s/cm²/Å].
        mask : uint32 array, shape (n_spec, n_wave)
            0 = good.
        """
        seen, sigma = np.where(mask == 0, flux, 0.0), np.where(mask == 0, error, np.inf)
        names, value, width = self.compare(seen, sigma)
        columns = [names.index(name) for name in self.labels]
        return value[:, columns], width[:, columns]

    def compare(
        self, seen: np.ndarray, sigma: np.ndarray
    ) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """Names of all labels of the bank, their values and 1σ; masked pixels have σ = ∞."""
        raise NotImplementedError


def forward_kind(
    estimator: type[BankEstimator], recipe: type[PosteriorRecipe | TemplateRecipe], uses_seed: bool
) -> Kind:
    """Return the kind of an estimator that is trained on nothing."""
    return Kind(
        recipe=recipe,
        fit=partial(train_forward, estimator),
        load=partial(load_forward, estimator, recipe),
        check=check_forward,
        needs_error=True,
        needs_forward=True,
        uses_seed=uses_seed,
    )


def check_forward(task: Task) -> None:
    """Refuse what these models cannot be compared with, before anything is written.

    Raises
    ------
    ConfigError
        If there is no forward model, or its stars move.
    DataError
        If the bank has other wavelengths than the data.
    """
    model, forward = task.model, task.forward
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
    wave, own = task.view.train.wave, forward.bank.wave
    if wave.shape != own.shape or not np.allclose(wave, own, rtol=0.0, atol=0.01):
        raise DataError(
            f"model {model!r}: the bank's {own.size} pixels are not the data's {wave.size}; "
            f"give the bank the data were made with"
        )


def train_forward(estimator: type[BankEstimator], task: Task) -> None:
    """Score the estimator on val and write a checkpoint that holds its bank."""
    start, view, labels, forward = time.perf_counter(), task.view, task.labels, task.forward
    seen = view.val.observe()
    built = estimator(forward.bank, forward.ranges, labels, task.recipe)
    value, _ = built.estimate(seen.flux, seen.error, seen.mask)
    scores = score_values(value, select_labels(view.val, labels), labels)
    if task.progress is not None:
        task.progress(scores)
    if (task.out / BANK).exists():
        shutil.rmtree(task.out / BANK)
    forward.bank.save(task.out / BANK)
    card = make_card(task.model, labels, task.recipe, view) | {
        "n_parameters": 0,
        "ranges": {name: list(bounds) for name, bounds in forward.ranges.items()},
        "bank": forward.bank.digest,
        "metrics": scores,
        "finished": {
            "reason": "nothing to train",
            "seconds": round(time.perf_counter() - start, 3),
        },
    }
    statistics = plain_statistics(view.train.wave, len(labels)).typical_of(view)
    write_checkpoint(task.out, card, {}, statistics)


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


def load_forward(
    estimator: type[BankEstimator],
    recipe: type[PosteriorRecipe | TemplateRecipe],
    path: Path,
    card: dict,
    weights: dict[str, np.ndarray],
    device: str | None,
) -> BankEstimator:
    """Rebuild the estimator of a checkpoint folder; DataError if its bank is not the card's."""
    made_with = recipe_from_table(card["recipe"], str(path))
    if not {"bank", "ranges"} <= set(card) or not isinstance(made_with, recipe):
        raise ContractError(f"{path}: its card is not that of such a model; fit the model again")
    bank = read_bank(path / BANK)
    if bank.digest != card["bank"]:
        raise DataError(
            f"{path / BANK}: bank {bank.digest[:12]}, but the card was written for "
            f"{card['bank'][:12]}; copy the folder again or train again"
        )
    ranges = {name: tuple(bounds) for name, bounds in card["ranges"].items()}
    return estimator(bank, ranges, tuple(card["labels"]), made_with)
