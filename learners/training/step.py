"""One step of training: forward, loss, backward, clipping, update, in any precision."""

import logging
import math
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import nn

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.networks.blocks import EncoderBlock
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training.applied import AUTOCAST
from starsmith.learners.training.batch import Batch
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.compiled import (
    check_compiler,
    compile_regions,
    compiles,
    is_recurrent,
)
from starsmith.learners.training.distributed import agree_on
from starsmith.learners.training.memory import OutOfMemory, is_memory_error
from starsmith.learners.training.optimise import decay_groups, loss_function

__all__ = ["LossLog", "Stepper", "check_options", "computes_in_half", "fitting_batch"]

logger = logging.getLogger(__name__)

FUSED = ("cpu", "cuda")  # devices whose AdamW is one kernel
CHECK_STEPS = {"cpu": 1, "cuda": 50}  # on a GPU every look waits for it
"""Steps between looks at the loss; every look makes a GPU wait for it."""

FIRST_SCALE, LEAST_SCALE = 2.0**12, 1.0  # of the loss in float16: below 1 nothing can be saved
"""Of a half-precision loss: grows while gradients stay finite, falls where they do not."""

HALF_RECURRENT = ("cuda",)
"""Devices whose autocast runs LSTM layers in float16, whatever precision it was asked for.

PyTorch's wrapper of cuDNN casts input, state and weights to ``at::kHalf``
(``aten/src/ATen/cudnn/AutocastRNN.cpp``).
"""


class Stepper:
    """Everything that turns a batch into new weights.

    Parameters
    ----------
    network : torch.nn.Module
        On its device; updated in place.
    recipe : NetworkRecipe
    device : torch.device
    share : Share
        More than one process: gradients are means over all of them.

    Raises
    ------
    ConfigError
        If the recipe asks for what device or network cannot do.
    """

    def __init__(
        self, network: nn.Module, recipe: NetworkRecipe, device: torch.device, share: Share
    ):
        check_options(network, recipe, device, share)
        self.network, self.recipe, self.device, self.share = network, recipe, device, share
        self.loss = loss_function(recipe.loss, recipe.beta)
        self.optimizer = torch.optim.AdamW(
            decay_groups(network, recipe.weight_decay, recipe.published.decay_all),
            lr=recipe.learning_rate,
            fused=device.type in FUSED,
        )
        half = computes_in_half(network, recipe.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, init_scale=FIRST_SCALE, enabled=half)
        if compiles(recipe, device):
            compile_regions(network)
        self.known: torch.Tensor | None = None  # labels of the batch, over all processes

    def graph(self, batch: Batch) -> None:
        """Capture the network for batches of this shape; its buffers stay as they are."""
        # capture runs a few steps: running means must not feel them
        buffers = {name: value.clone() for name, value in self.network.named_buffers()}
        self.network.train()
        with self._autocast(cache=False):
            torch.cuda.make_graphed_callables(self.network, (torch.zeros_like(batch.flux),))
        for name, value in self.network.named_buffers():
            value.copy_(buffers[name])

    def _autocast(self, cache: bool = True) -> torch.autocast:
        dtype = AUTOCAST.get(self.recipe.precision)
        return torch.autocast(
            self.device.type,
            dtype or torch.bfloat16,
            enabled=dtype is not None,
            cache_enabled=cache,
        )

    def backward(self, batch: Batch) -> torch.Tensor:
        """Leave this process's part of the gradients; return its part of the loss.

        Waits for no other process: what fails here fails here alone.
        """
        with self._autocast(cache=not self.recipe.cuda_graph):
            output = self.network(batch.flux)
        # sums over known labels, and their number
        total, number = self.loss(output.float(), batch.truth, batch.error)
        # a batch without labels teaches nothing, and is no error
        loss = total / (number if self.known is None else self.known).clamp(min=1)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        return loss.detach()

    def take(self, batch: Batch, rate: float) -> torch.Tensor:
        """Update the weights on one batch; return its loss, not finite if the step diverged.

        Raises
        ------
        OutOfMemory
            In all processes, if the batch does not fit the memory of one.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.count(batch)
        problem = loss = None
        try:
            loss = self.backward(batch)
        except (RuntimeError, MemoryError) as found:
            if not is_memory_error(found):
                raise
            problem = True  # not the error: it holds what fills the memory
        agree_on(self.too_large(batch) if problem else None)
        self.add_up()
        self.scaler.unscale_(self.optimizer)  # the limit is on the true gradient
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.grad_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        # With a scaled loss an infinite gradient is a step left out, not a divergence.
        return loss if self.scaler.is_enabled() else loss + 0.0 * norm

    def miss(self, problem: Exception) -> None:
        """Take part in a step that this process has no batch for; raises the error in all."""
        self.count(None)
        agree_on(problem)

    def count(self, batch: Batch | None) -> None:
        """Add up the labels that the processes know; each averages over those of all."""
        if self.share.n_process == 1:
            return
        known = 0 if batch is None else (~torch.isnan(batch.truth)).sum()
        self.known = torch.as_tensor(known, dtype=torch.float32, device=self.device).reshape(())
        dist.all_reduce(self.known)

    def add_up(self) -> None:
        """Give every process the sum of all gradients, in one message."""
        if self.share.n_process == 1:
            return
        grads = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = torch.cat([grad.flatten() for grad in grads])
        dist.all_reduce(flat)
        parts = flat.split([grad.numel() for grad in grads])
        torch._foreach_copy_(
            grads, [part.view_as(grad) for part, grad in zip(parts, grads, strict=True)]
        )

    def too_large(self, batch: Batch) -> OutOfMemory:
        """Return the error on a batch that does not fit; names one that does."""
        size = self.recipe.batch_size
        fits = fitting_batch(self, batch) * self.share.n_process
        remedy = f"{fits} fits: --batch-size {fits}" if fits else "not even one spectrum fits"
        return OutOfMemory(
            f"batch_size = {size} needs more memory than {self.device} can allocate; {remedy}"
        )

    @property
    def lost(self) -> bool:
        """Whether no scale of a half-precision loss gives finite gradients any more.

        A GPU has to wait for the answer: ask where the loss is looked at.
        """
        return self.scaler.is_enabled() and self.scaler.get_scale() < LEAST_SCALE


def computes_in_half(network: nn.Module, precision: str, device: torch.device) -> bool:
    """Whether any layer computes in float16, whose small gradients need a scaled loss.

    A tenth to all of the gradients of an LSTM lie below the smallest number of float16.
    """
    half_layers = device.type in HALF_RECURRENT and is_recurrent(network)
    return precision == "float16" or (precision == "bfloat16" and half_layers)


def supports_bfloat16(device: torch.device) -> bool:
    """Whether a GPU has units for bfloat16: those of compute capability 8 on."""
    return torch.cuda.get_device_capability(device)[0] >= 8


def warn_of_slow(network: nn.Module, recipe: NetworkRecipe, device: torch.device) -> None:
    """Say what a recipe could have faster on a device."""
    if device.type == "cpu" and recipe.precision == "float16":
        logger.warning(
            "precision = float16 is slower than float32 on a CPU, which computes in it by "
            "converting; --set precision=float32 trains the same network faster"
        )
    shares = [b.attention_dropout * 16 for b in network.modules() if isinstance(b, EncoderBlock)]
    if device.type == "cuda" and any(share % 1 for share in shares):
        logger.info(
            "attention dropout %g is no multiple of 1/16, which cuDNN's kernel needs: another one "
            "is used; --set options.attention_dropout=0.125, or 0",
            shares[0] / 16,
        )
    old = device.type == "cuda" and torch.cuda.is_available() and not supports_bfloat16(device)
    if old and recipe.precision == "bfloat16":
        logger.warning(
            "this GPU computes in bfloat16 by converting, slower than in float32: "
            "--set precision=float16"
        )


def check_options(
    network: nn.Module, recipe: NetworkRecipe, device: torch.device, share: Share
) -> None:
    """Refuse what cannot be done, and warn of what is slow; see `Stepper`."""
    warn_of_slow(network, recipe, device)
    if recipe.compile is True:
        check_compiler(device)
    if recipe.cuda_graph:
        if device.type != "cuda":
            raise ConfigError(f"recipe key cuda_graph = true: {device} is no GPU; set it to false")
        if is_recurrent(network) or share.n_process > 1 or recipe.compile is True:
            raise ConfigError(
                "recipe key cuda_graph = true: not for recurrent networks, several processes or "
                "together with compile; set it to false"
            )
    if recipe.batch_size % share.n_process:
        raise ConfigError(
            f"batch_size = {recipe.batch_size} does not divide among {share.n_process} "
            "processes; choose a multiple"
        )


@dataclass
class LossLog:
    """Losses of an epoch, looked at now and then for one that is not finite."""

    device: torch.device
    share: Share = field(default_factory=Share)
    losses: list[float] = field(default_factory=list)
    waiting: list[torch.Tensor] = field(default_factory=list)

    def add(self, loss: torch.Tensor) -> int | None:
        """Note a loss; return the number of the first bad batch, from 0, once one is known."""
        self.waiting.append(loss)  # stays on the device until looked at
        return self.look() if len(self.waiting) >= CHECK_STEPS[self.device.type] else None

    def __len__(self) -> int:
        return len(self.losses) + len(self.waiting)

    @property
    def looked(self) -> bool:
        """Whether every loss so far is known: the device had to be waited for just now."""
        return not self.waiting

    def look(self) -> int | None:
        """Fetch what is waiting; return the number of its first batch that is not finite."""
        if not self.waiting:
            return None
        losses = torch.stack(self.waiting)
        if self.share.n_process > 1:
            dist.all_reduce(losses)  # parts of the loss: a bad one is bad in all processes
        first, fetched = len(self.losses), losses.tolist()
        self.waiting.clear()
        self.losses += fetched
        return next((first + k for k, x in enumerate(fetched) if not math.isfinite(x)), None)

    def mean(self) -> float:
        """Mean loss of the epoch's global batches."""
        return sum(self.losses) / len(self.losses)


def fitting_batch(stepper: Stepper, batch: Batch) -> int:
    """Largest half, quarter, ... of a batch that leaves gradients without running out of memory.

    Tried on the network itself: a captured graph takes batches of one size only.

    Returns
    -------
    size : int
        0 if not even one spectrum fits.
    """
    graphed = stepper.network.__dict__.pop("forward", None)
    size = len(batch.flux) // 2  # halve until it fits
    try:
        while size and not _fits(stepper, batch, size):
            size //= 2
    finally:
        if graphed is not None:
            stepper.network.forward = graphed
    return size


def _fits(stepper: Stepper, batch: Batch, size: int) -> bool:
    """Whether the first spectra of a batch leave gradients; the memory is given back."""
    error = None if batch.error is None else batch.error[:size]
    part = Batch(batch.flux[:size], batch.truth[:size], error, batch.rows[:size])
    try:
        stepper.backward(part)
        return True
    except (RuntimeError, MemoryError) as problem:
        if not is_memory_error(problem):
            raise
        return False
    finally:
        stepper.optimizer.zero_grad(set_to_none=True)
        if stepper.device.type == "cuda":
            torch.cuda.empty_cache()
