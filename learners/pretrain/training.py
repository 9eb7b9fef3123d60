"""Pretrain a network: the house's loop, state and run folder, with losses that need no label."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from starsmith.data_contract.files.lock import writer_lock
from starsmith.learners.checkpoint import make_card, read_checkpoint
from starsmith.learners.device import pick_device
from starsmith.learners.online.online_view import OnlineView
from starsmith.learners.preprocess import Statistics
from starsmith.learners.pretrain.continued import as_begun, begin_from, changing, take_heads
from starsmith.learners.pretrain.encoder import Encoder, open_encoder
from starsmith.learners.pretrain.feeds import HidingFeed, PairFeed, Pairs, Several, hiding_numbers
from starsmith.learners.pretrain.networks import build_pair, build_pretrained
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.pretrain.sources import (
    View,
    check_pairs,
    check_views,
    joined,
    measure,
    open_source_feed,
)
from starsmith.learners.recipe import PretrainRecipe
from starsmith.learners.run_folder import TrainingResult, is_closed, open_run, result_from_card
from starsmith.learners.train import load_if_small, removed_if_nothing_came
from starsmith.learners.training.aside import Aside
from starsmith.learners.training.batch import Batch
from starsmith.learners.training.distributed import agreed, is_leader, share_of_process
from starsmith.learners.training.feeds import Feed
from starsmith.learners.training.network import train_to_end
from starsmith.learners.training.optimise import AveragedModel
from starsmith.learners.training.session import Session
from starsmith.learners.training.standardised import Standardised
from starsmith.learners.training.step import Stepper

__all__ = ["align", "pretrain"]

Progress = Callable[[dict], None] | None


class PretrainStepper(Stepper):
    """A step whose loss is what the network is to teach itself."""

    def __init__(self, network: nn.Module, recipe: PretrainRecipe, device: torch.device):
        super().__init__(network, recipe, device, share_of_process())
        for group in self.optimizer.param_groups:
            group["betas"] = recipe.betas

    def count(self, batch: Batch | None) -> None:
        """Add up what the losses of all processes are divided by."""
        known = 0.0 if batch is None else self.network.number(batch.flux, batch.truth)
        self.known = torch.as_tensor(known, dtype=torch.float32, device=self.device).reshape(())
        if self.share.n_process > 1:
            dist.all_reduce(self.known)

    def backward(self, batch: Batch) -> torch.Tensor:
        """Leave this process's part of the gradients; return its part of the loss."""
        with self._autocast():
            total = self.network.teach(batch.flux, batch.truth)
        loss = total / self.known.clamp(min=torch.finfo(torch.float32).tiny)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        return loss.detach()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be trained on what.

    Attributes
    ----------
    model : str
    network : torch.nn.Module
        With fresh weights, of an aligned pair with those of its backbones.
    views : tuple of View
        One, several in turn, or two of the same stars.
    recipe : PretrainRecipe
    out : Path
    device : torch.device
    progress : callable or None
    digest : str
        Of what else decides the run.
    more : dict
        Further entries of the card.
    pair : (Encoder, Encoder), optional
        Of an aligned pair.
    begun : Encoder, optional
        That the run goes on from.
    """

    model: str
    network: nn.Module
    views: tuple[View, ...]
    recipe: PretrainRecipe
    out: Path
    device: torch.device
    progress: Progress
    digest: tuple[str, ...] = ()
    more: dict
    pair: tuple[Encoder, ...] = ()
    begun: Encoder | None = None

    @property
    def view(self) -> View:
        """The first view, under a digest of all."""
        return joined(self.views, *self.digest)

    def statistics(self) -> Statistics:
        """Of the input; kept where networks know theirs: of an aligned pair, of a run gone on."""
        known = self.pair[0] if self.pair else self.begun
        return measure(self.views, self.recipe.scaling) if known is None else known.statistics

    def sources(self, statistics: Statistics) -> tuple[Feed, Several | Pairs]:
        """Training batches, and validation spectra."""
        recipe, device, share = self.recipe, self.device, share_of_process()
        if self.pair:
            both = [
                open_source_feed((view,), side.statistics, recipe, share, device)
                for view, side in zip(self.views, self.pair, strict=True)
            ]
            seen = tuple(
                Standardised(view.val, side.statistics.normaliser, device)
                for view, side in zip(self.views, self.pair, strict=True)
            )
            return PairFeed(both[0], both[1]), Pairs(seen[0], seen[1])
        feed = open_source_feed(self.views, statistics, recipe, share, device)
        seen = tuple(Standardised(v.val, statistics.normaliser, device) for v in self.views)
        return HidingFeed(feed, recipe.seed, self.network.n_uniform), Several(seen)

    def open(self, aside: Aside) -> tuple[Session, dict]:
        """Session and card of the run."""
        statistics, network = self.statistics(), self.network.to(self.device)
        feed, validation = self.sources(statistics)
        recipe = self.recipe
        if recipe.steps:
            recipe = replace(recipe, epochs=math.ceil(recipe.steps / feed.n_batch))
        averaged = AveragedModel(network, recipe.ema)
        share = share_of_process()
        if share.n_process > 1 and self.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        session = Session(
            view=self.views[0],
            labels=(),
            recipe=recipe,
            statistics=statistics,
            feed=feed,
            stepper=PretrainStepper(network, recipe, self.device),
            averaged=averaged,
            device=self.device,
            share=share,
            progress=self.progress if is_leader() else None,
            validation=validation,
            aside=aside,
        )
        return session, self.card()

    def card(self) -> dict:
        """Card of the checkpoint."""
        card = make_card(self.model, (), self.recipe, self.view) | self.more
        card["normalisation"] = f"scaling = {self.recipe.scaling}"
        online = [v for v in self.views if isinstance(v, OnlineView)]
        if online:
            card["dataset"] |= {"n_train": 0, "online": online[0].describe()}
        return card


@torch.no_grad()
def score(session: Session) -> dict:
    """Loss on validation spectra, under numbers that hide the same in every epoch."""
    network, recipe = session.averaged.module.eval(), session.recipe
    total = number = 0.0
    first = 0
    for block in session.validation:
        for part in block.split(recipe.batch_size):
            rows = np.arange(first, first + len(part))
            first += len(part)
            part = part.to(session.device)
            hiding = hiding_numbers(recipe.seed, "val", rows, network.n_uniform, 0, session.device)
            total += float(network.teach(part, hiding))
            number += float(network.number(part, hiding))
    loss = total / number
    return {"val_loss": loss, "val_error": loss}


@torch.no_grad()
def score_pairs(session: Session) -> dict:
    """Loss on validation pairs, batch by batch, and how often a star's partner is the nearest."""
    network, size = session.averaged.module.eval(), session.recipe.batch_size
    losses, found, weights = [], 0, []
    for first, second in session.validation:
        for one, other in zip(first.split(size), second.split(size), strict=True):
            one, other = one.to(session.device), other.to(session.device)
            losses.append(float(network.teach(one, other)))
            weights.append(len(one))
            sides = (network(one, "first"), network(other, "second"))
            units = [nn.functional.normalize(side, dim=1) for side in sides]
            nearest = (units[0] @ units[1].T).argmax(dim=1)
            found += int((nearest == torch.arange(len(one), device=nearest.device)).sum())
    loss = float(np.average(losses, weights=weights))
    return {"val_loss": loss, "val_error": loss, "val_partner": found / sum(weights)}


def pretrain(
    model: str,
    view: View,
    recipe: PretrainRecipe | None = None,
    out: Path | str = "pretrained",
    also: tuple[View, ...] = (),
    progress: Progress = None,
    resume: bool = True,
    device: str | None = None,
) -> TrainingResult:
    """Train a network on spectra without labels and leave its best weights in a folder.

    Parameters
    ----------
    model : str
        ``lrs_masked``, ``xp_masked``, ``masked_small``, ``masked_tiny``, ``xp_autoencoder``,
        ``autoencoder_small`` or ``autoencoder_tiny``.
    view : TrainingView or OnlineView
        ``open_dataset(path).training()`` or ``open_online(bank, ranges)``.
    recipe : PretrainRecipe, optional
        By default the packaged one.
    out : path
        Run folder; one that holds the same run is continued.
    also : tuple of views
        Further spectra on the same pixels; batches of all come in turn.
    progress, resume, device
        As of `starsmith.fit`.

    Returns
    -------
    result : TrainingResult
        `open_encoder` reads its ``path``.

    Raises
    ------
    ConfigError, DataError
        If the request cannot be trained, or ``out`` holds something else.
    """
    recipe = load_pretraining(model) if recipe is None else recipe
    views = (view, *also)

    def planned() -> Plan:
        check_views(views)
        begun = begin_from(model, recipe)
        if begun is None:
            n_wave, how = view.train.wave.size, recipe
            network = build_pretrained(model, n_wave, recipe.options, recipe.seed)
        else:
            begun.check_wave(view.train.wave, recipe.initial)
            network, how = begun.network, as_begun(begun, recipe)
        return Plan(
            model=model,
            network=changing(network, how),
            views=views,
            recipe=how,
            out=Path(out),
            device=pick_device(device),
            progress=progress,
            digest=() if begun is None else (begun.card["weights_sha256"],),
            more={"dim": network.dim},
            begun=begun,
        )

    return run(agreed(planned), resume, score)


def align(
    variant: str,
    runs: tuple[Path | str, Path | str],
    views: tuple[View, View],
    recipe: PretrainRecipe | None = None,
    out: Path | str = "aligned",
    progress: Progress = None,
    resume: bool = True,
    device: str | None = None,
) -> TrainingResult:
    """Train heads that bring the vectors of two pretrained networks together.

    Parameters
    ----------
    variant : str
        ``base``, ``split`` or ``pr``.
    runs : (path, path)
        Run folders of `pretrain`; the first is read by its tokens, an autoencoder by its latent.
    views : (view, view)
        The same stars in the same order, on the pixels of the first and of the second run.
    recipe, out, progress, resume, device
        As of `pretrain`.

    Raises
    ------
    ConfigError, DataError
        As `pretrain`, and if the views are not of the same stars, or not of the runs' pixels.
    """
    recipe = load_pretraining(variant) if recipe is None else recipe

    def planned() -> Plan:
        pair = tuple(open_encoder(folder, device="cpu") for folder in runs)
        for view, side, folder in zip(views, pair, runs, strict=True):
            check_views((view,))
            side.check_wave(view.train.wave, str(folder))
        check_pairs(views[0], views[1])
        begun = begin_from(variant, recipe)
        how = recipe if begun is None else as_begun(begun, recipe)
        network = build_pair(tuple(side.network for side in pair), variant, how.options, how.seed)
        if begun is not None:
            take_heads(network, begun)
        network.remember(pair[1].statistics)
        more = {"dim": network.dim, "backbones": [side.backbone for side in pair]}
        return Plan(
            model=variant,
            network=changing(network, how),
            views=views,
            recipe=how,
            out=Path(out),
            device=pick_device(device),
            progress=progress,
            digest=tuple(
                side.card["weights_sha256"] for side in (*pair, *([begun] if begun else []))
            ),
            more=more,
            pair=pair,
        )

    return run(agreed(planned), resume, score_pairs)


def run(plan: Plan, resume: bool, scored: Callable[[Session], dict]) -> TrainingResult:
    """Prepare the run folder, train to the end, return what came out."""
    out = plan.out
    with ExitStack() as held:

        def begin() -> None:
            if is_leader():
                held.enter_context(writer_lock(out))
                open_run(out, plan.model, (), plan.recipe, plan.view, resume)

        agreed(begin)
        if not is_closed(out):
            with removed_if_nothing_came(out):
                for view in plan.views:
                    agreed(lambda view=view: load_if_small(view))
                train_to_end(out, plan.device, plan.open, scored)
        return result_from_card(out, read_checkpoint(out)[0])
