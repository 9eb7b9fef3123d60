"""Train a network: fresh noise every epoch, best validation weights kept, resumable."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.errors import StarsmithError
from starsmith.data_contract.training import TrainingView
from starsmith.learners.checkpoint import make_card, write_checkpoint, write_text
from starsmith.learners.models import count_parameters, create_model
from starsmith.learners.optimise import (
    AveragedModel,
    decay_groups,
    learning_rate,
    loss_function,
    split_uncertainty,
)
from starsmith.learners.preprocess import (
    BLOCK_ROWS,
    Statistics,
    iterate_blocks,
    measure_statistics,
    select_labels,
)
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.run_folder import METRICS, RESUME, RUNNING, close_run
from starsmith.learners.state import Ledger, load_state, save_state
from starsmith.learners.validation import validation_scores

__all__ = ["NetworkEstimator", "train_network"]

logger = logging.getLogger(__name__)

PREDICT_ROWS = 512


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

    view: TrainingView
    labels: tuple[str, ...]
    recipe: NetworkRecipe
    statistics: Statistics
    model: nn.Module
    averaged: AveragedModel
    optimizer: torch.optim.Optimizer
    device: torch.device

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Networks whose weights make up the state of the run."""
        averaged = {"averaged": self.averaged.module} if self.recipe.ema else {}
        return {"model": self.model} | averaged

    @property
    def blocks(self) -> list[slice]:
        """Rows read at a time; a batch never spans two blocks."""
        return list(iterate_blocks(len(self.view.train), max(BLOCK_ROWS, self.recipe.batch_size)))

    @property
    def n_step(self) -> int:
        """Steps of the whole training."""
        size = self.recipe.batch_size
        return self.recipe.epochs * sum(math.ceil((b.stop - b.start) / size) for b in self.blocks)


@contextmanager
def keyed_torch(device: torch.device, seed: int, epoch: int):
    """Draw torch's random numbers from a key of (seed, epoch); restore its state after."""
    key = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(key)
        yield


def batches(session: Session, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows, standardised flux and standardised labels of every batch of one epoch.

    Blocks come in random order and are shuffled inside. Draws are independent, so this mixes
    as well as shuffling everything, and reads the file in order.
    """
    recipe, train = session.recipe, session.view.train
    order = np.random.default_rng([recipe.seed, epoch])
    targets = session.statistics.scale.to_scaled(select_labels(train, session.labels))
    blocks = session.blocks
    for number in order.permutation(len(blocks)):
        block = blocks[number]
        seen = train.observe(block, epoch=epoch if recipe.noise == "fresh" else None)
        scaled = session.statistics.normaliser.apply(seen.flux, seen.mask)
        n_batch = math.ceil(len(scaled) / recipe.batch_size)
        for rows in np.array_split(order.permutation(len(scaled)), n_batch):
            yield block.start + rows, scaled[rows], targets[block.start + rows]


def take_step(session: Session, scaled: np.ndarray, target: np.ndarray, rate: float) -> float:
    """Update the weights on one batch; return its loss, or nan if the step was not taken."""
    recipe, device = session.recipe, session.device
    for group in session.optimizer.param_groups:
        group["lr"] = rate
    flux = torch.from_numpy(scaled).to(device)
    truth = torch.from_numpy(target).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        output = session.model(flux)
    loss = loss_function(recipe.loss)(output.float(), truth)
    session.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(session.model.parameters(), recipe.grad_clip)
    if not torch.isfinite(loss + norm):
        return math.nan
    session.optimizer.step()
    return loss.item()


def train_epoch(session: Session, ledger: Ledger, out: Path) -> tuple[int, float]:
    """Take every step of the next epoch; return steps taken so far and the mean loss.

    Raises
    ------
    StarsmithError
        If a loss or gradient is not finite: the batch is named, the best weights stay.
    """
    epoch, step, losses = ledger.epoch + 1, ledger.step, []
    session.model.train()
    with keyed_torch(session.device, session.recipe.seed, epoch):
        for number, (rows, scaled, target) in enumerate(batches(session, epoch), start=1):
            rate = learning_rate(session.recipe, step, session.n_step)
            loss = take_step(session, scaled, target, rate)
            if not math.isfinite(loss):
                kept = f"the weights of epoch {ledger.best_epoch} are kept in {out}"
                raise StarsmithError(
                    f"epoch {epoch}, batch {number} (training rows {rows.min()}..{rows.max()}): "
                    f"loss or gradient is not finite; "
                    f"{kept if ledger.best_epoch else 'no epoch was completed'}. "
                    f"Lower learning_rate ({session.recipe.learning_rate:g}) in the recipe and "
                    f"fit into another folder"
                )
            step += 1
            session.averaged.update(session.model, step)
            losses.append(loss)
    return step, float(np.mean(losses))


def run_epoch(session: Session, ledger: Ledger, card: dict, out: Path) -> Ledger:
    """Train one epoch, score it, keep its weights if they are the best, save the state."""
    start, recipe = time.perf_counter(), session.recipe
    step, loss = train_epoch(session, ledger, out)
    estimator = NetworkEstimator(session.averaged.module, recipe.loss == "gaussian_nll")
    scores = validation_scores(session.view, session.labels, session.statistics, estimator)
    epoch, best = ledger.epoch + 1, scores["val_error"] < ledger.best_error
    seconds = ledger.seconds + time.perf_counter() - start
    rate = learning_rate(recipe, step - 1, session.n_step)
    row = {"epoch": epoch, "step": step, "learning_rate": rate, "train_loss": loss, "best": best}
    ledger = replace(
        ledger,
        epoch=epoch,
        step=step,
        seconds=seconds,
        best_epoch=epoch if best else ledger.best_epoch,
        best_error=scores["val_error"] if best else ledger.best_error,
        rows=(*ledger.rows, row | scores | {"seconds": round(seconds, 3)}),
    )
    if best:
        card["metrics"] = {"best_epoch": epoch} | scores
        write_weights(session, ledger, card, out)
    write_text(out / METRICS, "".join(json.dumps(r) + "\n" for r in ledger.rows))
    save_state(out / RESUME, ledger, session.networks, session.optimizer)
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


def open_session(
    view: TrainingView,
    labels: tuple[str, ...],
    model: str,
    recipe: NetworkRecipe,
    device: torch.device,
) -> Session:
    """Measure the statistics and build the networks of a run."""
    network = create_model(
        model,
        labels,
        n_wave=view.train.wave.size,
        uncertainty=recipe.loss == "gaussian_nll",
        seed=recipe.seed,
        **recipe.options,
    ).to(device)
    optimizer = torch.optim.AdamW(
        decay_groups(network, recipe.weight_decay),
        lr=recipe.learning_rate,
        fused=device.type == "cuda",
    )
    return Session(
        view=view,
        labels=labels,
        recipe=recipe,
        statistics=measure_statistics(view, labels),
        model=network,
        averaged=AveragedModel(network, recipe.ema),
        optimizer=optimizer,
        device=device,
    )


def train_network(
    view: TrainingView,
    labels: tuple[str, ...],
    model: str,
    recipe: NetworkRecipe,
    out: Path,
    progress: Callable[[dict], None] | None,
    device: torch.device,
) -> None:
    """Train to the end of the recipe, from where the run folder says it stopped.

    Leaves in ``out`` the checkpoint with the smallest validation error of any epoch.
    ``progress`` is called after every epoch with its line of ``metrics.jsonl`` and ``epochs``.
    """
    session = open_session(view, labels, model, recipe, device)
    card = make_card(model, labels, recipe, view)
    card["n_parameters"] = count_parameters(session.model)
    ledger = load_state(out / RESUME, session.networks, session.optimizer)
    logger.info("%s: %d parameters, from epoch %d", model, card["n_parameters"], ledger.epoch)
    while not (reason := reason_to_stop(ledger, recipe)):
        ledger = run_epoch(session, ledger, card, out)
        if progress is not None:
            progress(ledger.rows[-1] | {"epochs": recipe.epochs})
    if not ledger.best_epoch:
        raise StarsmithError(
            f"{out}: no epoch of {ledger.epoch} had a finite validation error; lower "
            f"learning_rate ({recipe.learning_rate:g}) in the recipe and fit into another folder"
        )
    close_run(out, describe_end(ledger, reason))


def reason_to_stop(ledger: Ledger, recipe: NetworkRecipe) -> str:
    """Say why training ends here, or return an empty text."""
    if ledger.epoch >= recipe.epochs:
        return "all epochs done"
    if recipe.patience and ledger.epoch - ledger.best_epoch >= recipe.patience:
        return f"no better validation error for {recipe.patience} epochs"
    return ""
