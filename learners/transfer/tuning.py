"""Train what a strategy lets learn: few stars, several learning rates, the best epoch kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError, DivergedError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.learners.preprocess import BLOCK_ROWS, Statistics, refuse_bad_spectra, select_labels
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.scores.validation import label_scores
from starsmith.learners.training.batch_order import Order, Share
from starsmith.learners.training.feeds import StreamFeed, Targets
from starsmith.learners.training.network import NetworkEstimator, keyed_torch
from starsmith.learners.training.optimise import learning_rate
from starsmith.learners.training.resume import Ledger, load_state, save_state
from starsmith.learners.training.step import Stepper
from starsmith.learners.transfer.strategies import Transferred

__all__ = ["Tuned", "tune", "tune_best"]

STATE_STEPS = 500  # between states that a killed run goes on from

Start = Callable[[], Transferred]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What came out of one training.

    Attributes
    ----------
    prepared : Transferred
        With the weights of the best epoch.
    scores : dict
        Of the validation stars, in label units; see `validation_scores`.
    epoch : int
        The best one; 0 where the weights to begin with were never beaten.
    rate : float
        Learning rate at its peak.
    rows : tuple of dict
        A line for every epoch.
    """

    prepared: Transferred
    scores: dict
    epoch: int
    rate: float
    rows: tuple[dict, ...] = ()


class Scorer:
    """Scores estimators on the validation stars of a view, which are read once.

    Parameters
    ----------
    view : TrainingView
    labels : tuple of str
    statistics : Statistics
    """

    def __init__(self, view: TrainingView, labels: tuple[str, ...], statistics: Statistics):
        seen = view.val.observe()
        self.scaled = statistics.normaliser.apply(seen.flux, seen.mask)
        refuse_bad_spectra(self.scaled, view.val.name, np.arange(len(self.scaled)))
        self.labels, self.scale = labels, statistics.scale
        self.truth = select_labels(view.val, labels)

    def __call__(self, estimator: NetworkEstimator) -> dict:
        """Scores of an estimator; see `label_scores`."""
        value = self.scale.to_labels(estimator(self.scaled)[0])
        return label_scores(self.labels, self.truth, value, self.scale.std)


def _snapshot(prepared: Transferred) -> dict[str, torch.Tensor]:
    learning = {name for name, _ in prepared.network.named_buffers()}
    learning |= {n for n, p in prepared.network.named_parameters() if p.requires_grad}
    state = prepared.network.state_dict()
    return {n: v.detach().cpu().clone() for n, v in state.items() if n in learning}


def tune(
    start: Start,
    view: TrainingView,
    labels: tuple[str, ...],
    statistics: Statistics,
    recipe: NetworkRecipe,
    place: Path | None = None,
    scorer: Scorer | None = None,
) -> Tuned:
    """Train at one rate, and keep the epoch that is best on the validation stars.

    Parameters
    ----------
    start : callable
        Makes the network to begin with, the same every time.
    view : TrainingView
        On the pixels of the network.
    labels : tuple of str
    statistics : Statistics
    recipe : NetworkRecipe
    place : Path, optional
        Folder of the states that a killed run goes on from.
    scorer : Scorer, optional
        Of the validation stars, where there is one already.

    Raises
    ------
    DivergedError
        If the loss is not finite.
    """
    prepared = start()
    device = next(prepared.network.parameters()).device
    scorer = scorer or Scorer(view, labels, statistics)
    score = partial(scorer, NetworkEstimator(prepared.network, recipe.uncertain))
    first = score()
    if not len(view.train) or not prepared.n_trainable:
        return Tuned(prepared=prepared, scores=first, epoch=0, rate=0.0)
    recipe = replace(recipe, batch_size=min(recipe.batch_size, len(view.train)))
    order = Order(len(view.train), recipe.batch_size, BLOCK_ROWS, recipe.seed)
    targets, fresh = Targets(view.train, labels, statistics), view.train.fresh_noise
    feed = StreamFeed(view.train, targets, statistics.normaliser, order, Share(), device, fresh)
    stepper = Stepper(prepared.network, recipe, device, Share())
    files = _Files(place)
    ledger, best = files.load(prepared, stepper)
    if ledger.epoch == 0:
        ledger = replace(ledger, best_error=first["val_error"])
        best = _snapshot(prepared)
    while ledger.epoch < recipe.epochs:
        if recipe.patience and ledger.epoch - ledger.best_epoch >= recipe.patience:
            break
        ledger = _epoch(prepared, stepper, feed, recipe, ledger)
        scores = score()
        if better := scores["val_error"] < ledger.best_error:
            best = _snapshot(prepared)
            ledger = replace(ledger, best_epoch=ledger.epoch, best_error=scores["val_error"])
        row = {"epoch": ledger.epoch, "best": better, **scores}
        ledger = replace(ledger, rows=(*ledger.rows, row))
        if ledger.epoch % max(1, STATE_STEPS // feed.n_batch) == 0:
            files.save(ledger, prepared, stepper, best)
    files.save(ledger, prepared, stepper, best)
    prepared.network.load_state_dict(best, strict=False)
    rate = recipe.learning_rate
    return Tuned(
        prepared=prepared, scores=score(), epoch=ledger.best_epoch, rate=rate, rows=ledger.rows
    )


def _epoch(
    prepared: Transferred,
    stepper: Stepper,
    feed: StreamFeed,
    recipe: NetworkRecipe,
    ledger: Ledger,
) -> Ledger:
    """Take every step of the next epoch."""
    epoch, step, n_step = ledger.epoch + 1, ledger.step, recipe.epochs * feed.n_batch
    prepared.train()
    losses = []
    with keyed_torch(stepper.device, recipe.seed, epoch):
        for batch in feed.batches(epoch):
            losses.append(stepper.take(batch, learning_rate(recipe, step, n_step)))
            step += 1
    if not torch.isfinite(torch.stack(losses)).all():
        raise DivergedError(
            f"fine-tuning: the loss of epoch {epoch} is not finite at learning rate "
            f"{recipe.learning_rate:g}; lower --lr"
        )
    return replace(ledger, epoch=epoch, step=step)


class _Files:
    """State and best weights of one training; of a folder of None nothing is kept."""

    def __init__(self, place: Path | None):
        self.place = place

    def load(self, prepared: Transferred, stepper: Stepper) -> tuple[Ledger, dict]:
        """Ledger and best weights of a run that was killed, or those of a beginning."""
        if self.place is None or not (self.place / "best.safetensors").is_file():
            return Ledger(), {}
        ledger = load_state(self.place / "state.safetensors", self._networks(prepared), stepper)
        return ledger, load_file(self.place / "best.safetensors")

    def save(self, ledger: Ledger, prepared: Transferred, stepper: Stepper, best: dict) -> None:
        """Keep the state."""
        if self.place is None:
            return
        self.place.mkdir(parents=True, exist_ok=True)
        # the state says which epoch it is of, and is written last
        with staged_file(self.place / "best.safetensors") as partial:
            save_file(best, partial)
        save_state(self.place / "state.safetensors", ledger, self._networks(prepared), stepper)

    @staticmethod
    def _networks(prepared: Transferred) -> dict[str, torch.nn.Module]:
        return {"model": prepared.network}


def tune_best(
    start: Start,
    view: TrainingView,
    labels: tuple[str, ...],
    statistics: Statistics,
    recipe: NetworkRecipe,
    rates: tuple[float, ...],
    place: Path | None = None,
) -> tuple[Tuned, list[dict]]:
    """Train at every rate; return the one that is best on the validation stars, and a line of each.

    A killed run goes on from the states in ``place``, and ends with the same weights on a CPU.
    """
    if not rates:
        raise ConfigError("--lr: give one learning rate at least")
    best, lines, problem = None, [], None
    scorer = Scorer(view, labels, statistics)
    for rate in rates:
        own = replace(
            recipe, learning_rate=rate, learning_rate_min=min(recipe.learning_rate_min, rate)
        )
        where = None if place is None else place / f"lr{rate:g}"
        try:
            found = tune(start, view, labels, statistics, own, where, scorer)
        except DivergedError as trouble:
            lines.append({"rate": rate, "val_error": float("inf"), "epoch": 0})
            problem = trouble
            continue
        lines.append({"rate": rate, "val_error": found.scores["val_error"], "epoch": found.epoch})
        if best is None or found.scores["val_error"] < best.scores["val_error"]:
            best = found
        if not found.rate:  # nothing learns: every rate is the same
            break
    if best is None:
        raise problem
    return best, lines
