"""Train a network: fresh noise every epoch, best validation weights kept, resumable."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import (
    ConfigError,
    ContractError,
    DivergedError,
    InputError,
)
from starsmith.data_contract.files.atomic import write_text
from starsmith.learners.checkpoint import close_card, make_card, write_checkpoint
from starsmith.learners.device import MEMORY_BYTES, pick_device
from starsmith.learners.estimators.registry import Kind, Task
from starsmith.learners.networks import count_parameters, create_model
from starsmith.learners.networks.residual import WithHead
from starsmith.learners.online.online_view import OnlineView
from starsmith.learners.preprocess import Statistics, iterate_blocks, measure_statistics
from starsmith.learners.recipe import UNCERTAIN_LOSSES, NetworkRecipe
from starsmith.learners.run_folder import METRICS, RESUME, RUNNING
from starsmith.learners.scores.validation import validation_scores
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.distributed import agree, is_leader, share_of_process, wait_for_all
from starsmith.learners.training.divergence import Breakdown, lower_rate
from starsmith.learners.training.feeds import Batch, Feed, open_feed
from starsmith.learners.training.optimise import AveragedModel, learning_rate, split_uncertainty
from starsmith.learners.training.resume import Ledger, load_state, save_state, threads_before
from starsmith.learners.training.step import LossLog, Stepper, check_options, fitting_batch
from starsmith.learners.training.threads import train_threads
from starsmith.learners.training.warm_start import start_from

__all__ = ["KIND", "NetworkEstimator"]

logger = logging.getLogger(__name__)

PREDICT_ROWS = 512
SECONDS_BETWEEN_STEPS = 1.0
NO_MEMORY = "can't allocate memory"


@dataclass(frozen=True)
class NetworkEstimator:
    """A network as a function of standardised flux.

    Attributes
    ----------
    model : torch.nn.Module
    uncertainty : bool
        Whether its second half of outputs are log variances.
    """

    model: nn.Module
    uncertainty: bool

    @torch.no_grad()
    def __call__(self, scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Z-scores and their 1σ (or None), float32 (n_spec, n_label), of (n_spec, n_wave)."""
        self.model.eval()
        device = next(self.model.parameters()).device
        output = torch.cat(
            [
                self.model(torch.from_numpy(scaled[rows]).to(device)).float().cpu()
                for rows in iterate_blocks(len(scaled), PREDICT_ROWS)
            ]
        )
        if not self.uncertainty:
            return output.numpy(), None
        mean, log_variance = split_uncertainty(output)
        return mean.numpy(), torch.exp(0.5 * log_variance).numpy()


@dataclass(frozen=True, kw_only=True)
class Session:
    """What stays the same during a run: data, recipe, networks and their optimizer."""

    view: TrainingView | OnlineView
    labels: tuple[str, ...]
    recipe: NetworkRecipe
    statistics: Statistics
    feed: Feed
    stepper: Stepper
    averaged: AveragedModel
    device: torch.device
    share: Share
    progress: Callable[[dict], None] | None

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Networks whose weights make up the state of the run."""
        averaged = {"averaged": self.averaged.module} if self.recipe.ema else {}
        return {"model": self.stepper.network} | averaged

    @property
    def n_step(self) -> int:
        """Steps of the whole training."""
        return self.recipe.epochs * self.feed.n_batch


@contextmanager
def keyed_torch(device: torch.device, *key: int) -> Iterator[None]:
    """Draw torch's random numbers from a key of integers; restore its state after."""
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def train_epoch(session: Session, ledger: Ledger, out: Path) -> tuple[int, float]:
    """Take every step of the next epoch; return steps taken so far and the mean loss.

    Raises
    ------
    DataError, DivergedError
        If a loss or gradient is not finite: the batch is named, the best weights stay.
    ConfigError
        If a batch does not fit the device's memory.
    """
    epoch, step, log = ledger.epoch + 1, ledger.step, LossLog(session.device)
    session.stepper.network.train()
    clock = StepClock(session, step)
    rank = (session.share.rank,) if session.share.n_process > 1 else ()
    with keyed_torch(session.device, session.recipe.seed, epoch, *rank):
        for batch in session.feed.batches(epoch):
            rate = learning_rate(session.recipe, step, session.n_step)
            bad = log.add(take_step(session, batch, rate))
            # a GPU is asked for the scale where it was asked for the loss, not at every step
            if bad is not None or (log.looked and session.stepper.lost):
                raise broken_down(session, ledger, out, batch, len(log) - 1, bad)
            step += 1
            session.averaged.update(session.stepper.network, step)
            clock.report(step, log)
    bad = log.look()
    if bad is not None or session.stepper.lost or not finite_weights(session.stepper.network):
        raise broken_down(session, ledger, out, batch, len(log) - 1, bad)
    return step, log.mean(session.share)


def take_step(session: Session, batch: Batch, rate: float) -> torch.Tensor:
    """Update the weights; ConfigError that names the batch that fits where memory ends."""
    try:
        return session.stepper.take(batch, rate)
    except RuntimeError as problem:
        if not isinstance(problem, torch.OutOfMemoryError) and NO_MEMORY not in str(problem):
            raise
    n_process, size = session.share.n_process, session.recipe.batch_size
    fits = fitting_batch(session.stepper, batch) * n_process
    remedy = f"{fits} fits: --batch-size {fits}" if fits else "not even one spectrum fits"
    raise ConfigError(f"batch_size = {size} needs more memory than {session.device} has; {remedy}")


def broken_down(
    session: Session, ledger: Ledger, out: Path, latest: Batch, last: int, bad: int | None
) -> InputError:
    """Return the error on batch ``bad`` of this epoch, or on the latest, whose number is ``last``.

    Batches are numbered from 0. An earlier one is drawn again: it has the same spectra.
    """
    number = last if bad is None else bad
    step, recipe, seen = ledger.step + number, session.recipe, latest
    if number != last:
        seen = next(islice(session.feed.batches(ledger.epoch + 1), number, None))
    found = Breakdown(
        epoch=ledger.epoch + 1,
        step=step + 1,
        batch=number + 1,
        n_batch=session.feed.n_batch,
        rate=learning_rate(recipe, step, session.n_step),
        seen=seen,
    )
    return found.error(out, ledger.best_epoch, recipe)


def finite_weights(network: nn.Module) -> bool:
    """Whether every weight and buffer is a number: the last step of an epoch has no next loss."""
    values = [value for value in network.state_dict().values() if value.is_floating_point()]
    # one question to the device
    return bool(torch.stack([torch.isfinite(value).all() for value in values]).all())


class StepClock:
    """Tells ``progress`` how far and how fast training is, about once a second."""

    def __init__(self, session: Session, step: int):
        self.session, self.first = session, step
        self.start = self.last = time.perf_counter()

    def report(self, step: int, log: LossLog) -> None:
        """Report after a step."""
        now, session = time.perf_counter(), self.session
        if session.progress is None or now - self.last < SECONDS_BETWEEN_STEPS:
            return
        self.last = now
        rate = (step - self.first) / (now - self.start)
        recent = [x for x in log.losses[-20:] if math.isfinite(x)]
        session.progress(
            {
                "epoch": None,
                "step": step,
                "steps": session.n_step,
                "train_loss": float(np.mean(recent)) if recent else math.nan,
                "spectra_per_second": rate * session.recipe.batch_size,
                "seconds_left": (session.n_step - step) / rate,
            }
        )


def run_epoch(session: Session, ledger: Ledger, card: dict, out: Path) -> Ledger:
    """Train one epoch, score it, keep its weights if they are the best, save the state."""
    start, recipe = time.perf_counter(), session.recipe
    step, loss = train_epoch(session, ledger, out)
    trained = time.perf_counter() - start
    estimator = NetworkEstimator(session.averaged.module, recipe.uncertain)
    scores = validation_scores(session.view, session.labels, session.statistics, estimator)
    scores["val_error"] = agree(scores["val_error"], session.device)
    epoch, best = ledger.epoch + 1, scores["val_error"] < ledger.best_error
    seconds = ledger.seconds + time.perf_counter() - start
    rate = learning_rate(recipe, step - 1, session.n_step)
    row = {"epoch": epoch, "step": step, "learning_rate": rate, "train_loss": loss, "best": best}
    timing = {
        "spectra_per_second": round((step - ledger.step) * recipe.batch_size / trained, 1),
        "seconds": round(seconds, 3),
    }
    ledger = replace(
        ledger,
        epoch=epoch,
        step=step,
        seconds=seconds,
        best_epoch=epoch if best else ledger.best_epoch,
        best_error=scores["val_error"] if best else ledger.best_error,
        rows=(*ledger.rows, row | scores | timing),
    )
    if is_leader():
        if best:
            card["metrics"] = {"best_epoch": epoch} | scores
            write_weights(session, ledger, card, out)
        write_text(out / METRICS, "".join(json.dumps(r) + "\n" for r in ledger.rows))
        save_state(out / RESUME, ledger, session.networks, session.stepper)
    return ledger


def write_weights(session: Session, ledger: Ledger, card: dict, out: Path) -> None:
    """Write the present weights as the checkpoint of a run still going on."""
    weights = {n: v.cpu().numpy() for n, v in session.averaged.module.state_dict().items()}
    content = card | {"finished": describe_end(ledger, RUNNING)}
    write_checkpoint(out, content, weights, session.statistics)


def describe_end(ledger: Ledger, reason: str) -> dict:
    """Return the card's note on how far training went."""
    return {
        "reason": reason,
        "epochs": ledger.epoch,
        "steps": ledger.step,
        "seconds": round(ledger.seconds, 3),
    }


def build_network(
    view: TrainingView | OnlineView, labels: tuple[str, ...], model: str, recipe: NetworkRecipe
) -> nn.Module:
    """Network of a recipe for the spectra of a view, with fresh weights."""
    return create_model(
        model,
        labels,
        n_wave=view.train.wave.size,
        uncertainty=recipe.uncertain,
        seed=recipe.seed,
        **recipe.options,
    )


def check_network(task: Task) -> None:
    """Raise ConfigError if a network cannot be built or trained as its recipe asks."""
    network = build_network(task.view, task.labels, task.model, task.recipe)
    check_options(network, task.recipe, task.device, share_of_process())


def open_session(task: Task) -> Session:
    """Measure the statistics, open the feed and build the networks of a run."""
    view, labels, recipe, device = task.view, task.labels, task.recipe, task.device
    network = build_network(view, labels, task.model, recipe).to(device)
    statistics = (
        start_from(recipe.initial, network, labels, view.train.wave).typical_of(view)
        if recipe.initial
        else measure_statistics(view, labels)
    )
    share = share_of_process()
    averaged = AveragedModel(network, recipe.ema)
    if share.n_process > 1 and device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    stepper = Stepper(network, recipe, device, share)
    return Session(
        view=view,
        labels=labels,
        recipe=recipe,
        statistics=statistics,
        feed=open_feed(view, labels, statistics, recipe, share, device, MEMORY_BYTES),
        stepper=stepper,
        averaged=averaged,
        device=device,
        share=share,
        progress=task.progress if is_leader() else None,
    )


def train_network(task: Task) -> None:
    """Train to the end of the recipe, from where the run folder says it stopped.

    Leaves in ``task.out`` the checkpoint with the smallest validation error of any epoch.
    ``task.progress`` is called after every epoch with its line of ``metrics.jsonl`` and ``epochs``,
    and about once a second in between.
    """
    with train_threads(task.device, threads_before(task.out / RESUME)) as threads:
        train_session(task, open_session(task), threads)
    wait_for_all()


def train_session(task: Task, session: Session, threads: int) -> None:
    """Train an open session; parameters as of `train_network`."""
    model, view, recipe, out = task.model, task.view, task.recipe, task.out
    card = make_card(model, task.labels, recipe, view)
    card["n_parameters"] = count_parameters(session.stepper.network)
    if isinstance(view, OnlineView):
        card["dataset"] |= {"n_train": 0, "online": view.describe()}
    if recipe.cuda_graph:
        session.stepper.graph(next(session.feed.batches(1)))
    ledger = load_state(out / RESUME, session.networks, session.stepper)
    ledger = replace(ledger, threads=threads)
    logger.info("%s: %d parameters, from epoch %d", model, card["n_parameters"], ledger.epoch)
    while not (reason := reason_to_stop(ledger, recipe)):
        ledger = run_epoch(session, ledger, card, out)
        if session.progress is not None:
            session.progress(ledger.rows[-1] | {"epochs": recipe.epochs})
    if not ledger.best_epoch:
        raise DivergedError(
            f"{out}: no epoch of {ledger.epoch} had a finite validation error, so that no weights "
            f"are kept; lower learning_rate ({recipe.learning_rate:g}) and start anew",
            (*lower_rate(recipe), "--overwrite"),
        )
    if is_leader():
        close_card(out, describe_end(ledger, f"{reason}; epoch {ledger.best_epoch} kept"))


def reason_to_stop(ledger: Ledger, recipe: NetworkRecipe) -> str:
    """Say why training ends here, or return an empty text."""
    if ledger.epoch >= recipe.epochs:
        return "all epochs done"
    if recipe.patience and ledger.epoch - ledger.best_epoch >= recipe.patience:
        return f"no better validation error for {recipe.patience} epochs"
    return ""


def load_network(
    path: Path, card: dict, weights: dict[str, np.ndarray], device: str | None
) -> NetworkEstimator:
    """Rebuild the network of a checkpoint folder; ContractError if its weights do not fit."""
    where, uncertainty = pick_device(device), card["recipe"].get("loss") in UNCERTAIN_LOSSES

    def create() -> nn.Module:
        n_wave, options = card["wave"]["n_wave"], card["options"]
        labels = card["labels"]
        network = create_model(
            card["model"], labels, n_wave=n_wave, uncertainty=uncertainty, **options
        )
        hidden = card.get("residual", 0)  # units of a head that a fine-tuning added
        n_output = len(labels) * (1 + uncertainty)
        return WithHead(network, n_wave, n_output, hidden) if hidden else network

    # a single number, as a BatchNorm's count, is stored as an array of one
    shapes = {name: tuple(values.shape) or (1,) for name, values in weights.items()}
    try:
        with torch.device("meta"):  # no memory: options of a damaged card may ask for any
            planned = {name: tuple(v.shape) or (1,) for name, v in create().state_dict().items()}
        if planned != shapes:
            raise ValueError("their shapes differ")
        model = create()
        model.load_state_dict({name: torch.from_numpy(v) for name, v in weights.items()})
    except (RuntimeError, TypeError, ValueError, ArithmeticError, LookupError) as problem:
        raise ContractError(
            f"{path}: the weights do not fit model {card['model']!r} ({problem}); fit it again"
        ) from None
    return NetworkEstimator(model.to(where).eval(), uncertainty)


KIND = Kind(
    recipe=NetworkRecipe,
    fit=train_network,
    load=load_network,
    check=check_network,
    layer=attrgetter("model", "uncertainty"),
    needs_known_labels=False,
    is_network=True,
)
