"""Train a network: fresh noise every epoch, best validation weights kept, resumable."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.errors import DivergedError, InputError, StarsmithError
from starsmith.data_contract.files.atomic import write_text
from starsmith.learners.checkpoint import close_card, make_card, write_checkpoint
from starsmith.learners.estimators.registry import Kind, Task
from starsmith.learners.networks import count_parameters
from starsmith.learners.online.online_view import OnlineView
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.run_folder import METRICS, RESUME, RUNNING
from starsmith.learners.scores.validation import validation_scores
from starsmith.learners.training.applied import NetworkEstimator, load_network
from starsmith.learners.training.as_published import check_switches
from starsmith.learners.training.aside import Aside
from starsmith.learners.training.distributed import (
    agree,
    agree_on,
    agreed,
    is_leader,
    share_of_process,
    wait_for_all,
)
from starsmith.learners.training.divergence import Breakdown, lower_rate
from starsmith.learners.training.feeds import Batch
from starsmith.learners.training.memory import memory_for
from starsmith.learners.training.optimise import learning_rate
from starsmith.learners.training.resume import (
    Ledger,
    load_state,
    state_of,
    threads_before,
    write_state,
)
from starsmith.learners.training.session import Session, build_network, open_session
from starsmith.learners.training.step import LossLog, check_options
from starsmith.learners.training.threads import train_threads

__all__ = ["KIND", "NetworkEstimator", "keyed_torch", "train_to_end"]

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_STEPS = 1.0

Scored = Callable[[Session], dict]
"""Validation scores of a session's weights."""


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
    epoch, step, log = ledger.epoch + 1, ledger.step, LossLog(session.device, session.share)
    stepper = session.stepper
    stepper.network.train()
    clock = StepClock(session, step)
    rank = (session.share.rank,) if session.share.n_process > 1 else ()
    with keyed_torch(session.device, session.recipe.seed, epoch, *rank):
        for batch in seen_by_all(session, epoch):
            rate = learning_rate(session.recipe, step, session.n_step)
            bad = log.add(stepper.take(batch, rate))
            # a GPU is asked for the scale where it was asked for the loss, not at every step
            if bad is not None or (log.looked and stepper.lost):
                agree_on(broken_down(session, ledger, out, batch, len(log) - 1, bad))
            step += 1
            session.averaged.update(stepper.network, step)
            clock.report(step, log)
    bad = log.look()
    if bad is not None or stepper.lost or not finite_weights(stepper.network):
        agree_on(broken_down(session, ledger, out, batch, len(log) - 1, bad))
    return step, log.mean()


def seen_by_all(session: Session, epoch: int) -> Iterator[Batch]:
    """Batches of an epoch; what a process cannot read, or has no memory for, fails in all."""
    batches = None
    while True:
        try:
            with memory_for("reading spectra", session.device, "free it, or lower --batch-size"):
                batches = batches or session.feed.batches(epoch)
                batch = next(batches, None)
        except StarsmithError as problem:
            session.stepper.miss(problem)
        if batch is None:
            return
        yield batch


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


def run_epoch(session: Session, ledger: Ledger, card: dict, out: Path, scored: Scored) -> Ledger:
    """Train one epoch, score it, keep its weights if they are the best, save the state."""
    start, recipe = time.perf_counter(), session.recipe
    step, loss = train_epoch(session, ledger, out)
    trained = time.perf_counter() - start
    scores = agreed(lambda: scored(session))
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
    if best:
        card["metrics"] = {"best_epoch": epoch} | scores
    if is_leader():
        keep(session, ledger, card, out, best)
    return ledger


def score(session: Session) -> dict:
    """Scores of the present weights on the validation split; a GPU's in the precision it trains."""
    recipe, on_gpu = session.recipe, session.device.type == "cuda"
    precision = recipe.precision if on_gpu else "float32"
    estimator = NetworkEstimator(session.averaged.module, recipe.uncertain, precision)
    return validation_scores(
        session.view, session.labels, session.statistics, estimator, session.validation
    )


def keep(session: Session, ledger: Ledger, card: dict, out: Path, best: bool) -> None:
    """Write the best weights, the epochs' lines and the state; on a GPU while it goes on."""
    lines = "".join(json.dumps(row) + "\n" for row in ledger.rows)
    # copied from a GPU, where the weights go on moving
    state = state_of(ledger, session.networks, session.stepper)
    values = session.averaged.module.state_dict() if best else {}
    weights = {name: value.cpu().numpy() for name, value in values.items()}
    content = card | {"finished": describe_end(ledger, RUNNING)}

    def write() -> None:
        if best:
            write_checkpoint(out, content, weights, session.statistics)
        write_text(out / METRICS, lines)
        write_state(out / RESUME, state)

    session.aside(write)


def describe_end(ledger: Ledger, reason: str) -> dict:
    """Return the card's note on how far training went."""
    return {
        "reason": reason,
        "epochs": ledger.epoch,
        "steps": ledger.step,
        "seconds": round(ledger.seconds, 3),
    }


def check_network(task: Task) -> None:
    """Raise ConfigError if a network cannot be built or trained as its recipe asks."""
    network = build_network(task.view, task.labels, task.model, task.recipe)
    check_options(network, task.recipe, task.device, share_of_process())
    check_switches(task.view.train, task.recipe, isinstance(task.view, OnlineView))


def train_network(task: Task) -> None:
    """Train to the end of the recipe, from where the run folder says it stopped.

    Leaves in ``task.out`` the checkpoint with the smallest validation error of any epoch.
    ``task.progress`` is called after every epoch with its line of ``metrics.jsonl`` and ``epochs``,
    and about once a second in between.
    """
    train_to_end(task.out, task.device, lambda aside: open_task(task, aside), score)


def open_task(task: Task, aside: Aside) -> tuple[Session, dict]:
    """Session of a task, and the card of what it makes."""
    session = open_session(task, aside)
    card = make_card(task.model, task.labels, task.recipe, task.view)
    if isinstance(task.view, OnlineView):
        card["dataset"] |= {"n_train": 0, "online": task.view.describe()}
    return session, card


def train_to_end(
    out: Path,
    device: torch.device,
    opened: Callable[[Aside], tuple[Session, dict]],
    scored: Scored,
) -> None:
    """Train what a function opens to the end of its recipe, and close its card.

    Parameters
    ----------
    out : Path
        Run folder, prepared.
    device : torch.device
    opened : callable
        Makes the session and the card of its checkpoint.
    scored : callable
        Validation scores of a session's weights; ``val_error`` among them chooses an epoch.
    """
    with train_threads(device, threads_before(out / RESUME)) as threads:
        with Aside(device) as aside:
            session, card = agreed(lambda: opened(aside))
            ledger = train_session(session, card, out, threads, scored)
        if is_leader():
            reason = reason_to_stop(ledger, session.recipe)
            close_card(out, describe_end(ledger, f"{reason}; epoch {ledger.best_epoch} kept"))
    wait_for_all()


def train_session(session: Session, card: dict, out: Path, threads: int, scored: Scored) -> Ledger:
    """Train an open session to its end; parameters as of `train_to_end`."""
    recipe = session.recipe
    card["n_parameters"] = count_parameters(session.stepper.network)
    if recipe.cuda_graph:
        with memory_for("recipe key cuda_graph = true", session.device, "set it to false"):
            session.stepper.graph(next(session.feed.batches(1)))
    ledger = load_state(out / RESUME, session.networks, session.stepper)
    ledger = replace(ledger, threads=threads)
    number = card["n_parameters"]
    logger.info("%s: %d parameters, from epoch %d", card["model"], number, ledger.epoch)
    while not reason_to_stop(ledger, recipe):
        ledger = run_epoch(session, ledger, card, out, scored)
        if session.progress is not None:
            session.progress(ledger.rows[-1] | {"epochs": recipe.epochs})
    if not ledger.best_epoch:
        raise DivergedError(
            f"{out}: no epoch of {ledger.epoch} had a finite validation error, so that no weights "
            f"are kept; lower learning_rate ({recipe.learning_rate:g}) and start anew",
            (*lower_rate(recipe), "--overwrite"),
        )
    return ledger


def reason_to_stop(ledger: Ledger, recipe: NetworkRecipe) -> str:
    """Say why training ends here, or return an empty text."""
    if ledger.epoch >= recipe.epochs:
        return "all epochs done"
    if recipe.patience and ledger.epoch - ledger.best_epoch >= recipe.patience:
        return f"no better validation error for {recipe.patience} epochs"
    return ""


KIND = Kind(
    recipe=NetworkRecipe,
    fit=train_network,
    load=load_network,
    check=check_network,
    layer=attrgetter("model", "uncertainty"),
    needs_known_labels=False,
    is_network=True,
)
