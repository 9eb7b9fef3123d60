"""Memory of a training step: what it will keep for the backward pass, and how to keep less.

Blocks of an encoder can compute their activations a second time instead of keeping them, with the
same random numbers: the same bits, a quarter more time, a fraction of the memory.
"""

import copy
import logging
import math

import torch
from torch import nn

from starsmith.learners.device import MEMORY_BYTES, free_bytes
from starsmith.learners.networks.blocks import Encoder
from starsmith.learners.recipe import NetworkRecipe

__all__ = ["fit_memory", "kept_bytes"]

logger = logging.getLogger(__name__)

MEMORY_SHARE = (
    0.5  # of what is free, that kept activations may take: gradients and kernels need some
)
HALF = 0.8  # of float32's activations, in half precision: some stay in single
N_SPEC = 2


def kept_bytes(network: nn.Module, n_wave: int, n_recompute: int = 0) -> int:
    """Bytes that a step keeps for its backward pass, per spectrum in float32.

    Counted on a copy without memory, whose operations compute nothing.

    Parameters
    ----------
    network : torch.nn.Module
    n_wave : int
    n_recompute : int
        Blocks of its encoder that keep nothing but their input.
    """
    with torch.device("meta"):
        shadow = copy.deepcopy(network).to("meta").train()
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # held: its number is not given again
        return tensor

    for part in shadow.modules():
        if isinstance(part, Encoder):
            part.n_recompute = n_recompute
    weights = {p.untyped_storage()._cdata for p in shadow.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        shadow(torch.empty(N_SPEC, n_wave, device="meta"))
    sizes = [storage.nbytes() for number, storage in kept.items() if number not in weights]
    return sum(sizes) // N_SPEC


def fit_memory(network: nn.Module, recipe: NetworkRecipe, device: torch.device, n_wave: int) -> int:
    """Let as few blocks of a network as must compute their activations again; return how many.

    Parameters
    ----------
    network : torch.nn.Module
        One without encoder blocks is left as it is.
    recipe : NetworkRecipe
    device : torch.device
        Half of its free memory may be kept, of a CPU `MEMORY_BYTES` at most.
    n_wave : int
    """
    encoders = [part for part in network.modules() if isinstance(part, Encoder)]
    if not encoders or recipe.cuda_graph:
        return 0
    n_block = max(len(encoder.blocks) for encoder in encoders)
    limit = MEMORY_SHARE * free_bytes(device)
    if device.type == "cpu":
        limit = min(limit, MEMORY_BYTES)
    scale = recipe.batch_size * (1.0 if recipe.precision == "float32" else HALF)
    most = scale * kept_bytes(network, n_wave)
    if most <= limit:
        return 0
    least = scale * kept_bytes(network, n_wave, n_block)
    number = min(n_block, math.ceil(n_block * (most - limit) / max(most - least, 1.0)))
    for encoder in encoders:
        encoder.n_recompute = number
    logger.info(
        "a batch of %d keeps %.1f GiB of activations: %d of %d blocks compute theirs twice",
        recipe.batch_size,
        most / 2**30,
        number,
        n_block,
    )
    return number
