"""What stays the same during a training run: data, recipe, networks and their optimizer."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.learners.device import MEMORY_BYTES
from starsmith.learners.estimators.registry import Task
from starsmith.learners.networks import create_model
from starsmith.learners.online.online_view import OnlineView
from starsmith.learners.preprocess import Statistics, measure_statistics
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training.as_published import start_as_published
from starsmith.learners.training.aside import Aside
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.distributed import is_leader, share_of_process
from starsmith.learners.training.feeds import Feed, open_feed
from starsmith.learners.training.memory import is_memory_error
from starsmith.learners.training.optimise import AveragedModel
from starsmith.learners.training.recompute import fit_memory
from starsmith.learners.training.standardised import Standardised
from starsmith.learners.training.step import Stepper
from starsmith.learners.training.warm_start import start_from

__all__ = ["Session", "build_network", "open_session"]


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
    validation: Standardised
    aside: Aside

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Networks whose weights make up the state of the run."""
        averaged = {"averaged": self.averaged.module} if self.recipe.ema else {}
        return {"model": self.stepper.network} | averaged

    @property
    def n_step(self) -> int:
        """Steps of the whole training."""
        return self.recipe.epochs * self.feed.n_batch


def build_network(
    view: TrainingView | OnlineView, labels: tuple[str, ...], model: str, recipe: NetworkRecipe
) -> nn.Module:
    """Network of a recipe for the spectra of a view, with fresh weights."""
    network = create_model(
        model,
        labels,
        n_wave=view.train.wave.size,
        uncertainty=recipe.uncertain,
        seed=recipe.seed,
        **recipe.options,
    )
    return start_as_published(network, recipe)


def open_session(task: Task, aside: Aside) -> Session:
    """Measure the statistics, open the feed and build the networks of a run."""
    view, labels, recipe, device = task.view, task.labels, task.recipe, task.device
    network = build_network(view, labels, task.model, recipe).to(device)
    statistics = (
        start_from(recipe.initial, network, labels, view.train.wave).typical_of(view)
        if recipe.initial
        else measure_statistics(view, labels, recipe.published)
    )
    share = share_of_process()
    averaged = AveragedModel(network, recipe.ema)
    feed = open_feed(view, labels, statistics, recipe, share, device, MEMORY_BYTES)
    fit_memory(network, recipe, device, view.train.wave.size)
    if share.n_process > 1 and device.type == "cuda":
        try_alone(network, recipe, device, feed)
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    stepper = Stepper(network, recipe, device, share)
    return Session(
        view=view,
        labels=labels,
        recipe=recipe,
        statistics=statistics,
        feed=feed,
        stepper=stepper,
        averaged=averaged,
        device=device,
        share=share,
        progress=task.progress if is_leader() else None,
        validation=Standardised(view.val, statistics.normaliser, device),
        aside=aside,
    )


def try_alone(network: nn.Module, recipe: NetworkRecipe, device: torch.device, feed: Feed) -> None:
    """Take one step's memory before batch norms wait for each other: none fails in the middle."""
    plain = replace(recipe, compile=False, cuda_graph=False)
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    stepper, batch = Stepper(network.train(), plain, device, Share()), next(feed.batches(1))
    try:
        stepper.backward(batch)
    except (RuntimeError, MemoryError) as problem:
        if not is_memory_error(problem):
            raise
        raise stepper.too_large(batch) from None
    finally:
        stepper.optimizer.zero_grad(set_to_none=True)
        for name, value in network.named_buffers():
            value.copy_(buffers[name])
