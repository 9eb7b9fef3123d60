"""LoRA: weights that change by a product of two thin matrices (Hu et al. 2021).

W becomes W + (alpha / rank) B A, with A (rank, n_in) drawn at random and B (n_out, rank) zero. Of a
convolution n_in counts channels times pixels of its kernel; of a recurrent layer every matrix, to
its input (``weight_ih``) and to its own past (``weight_hh``), has a pair of its own.
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.nn.utils import parametrize

from starsmith.data_contract.errors import ConfigError

__all__ = ["KINDS", "LowRank", "add_low_rank", "low_rank_sizes", "target_weights"]

KINDS = ("attention", "mlp", "convolution", "recurrent")
"""What a layer is part of; ``all`` stands for all of them, ``all-but-last`` leaves the head out."""

ATTENTION = ("*query_key_value", "*_proj", "*blocks.*.project")


class LowRank(nn.Module):
    """W -> W + scale B A, of the shape of W.

    Parameters
    ----------
    weight : tensor, shape (n_out, ...)
    rank : int
    scale : float
        alpha / rank.
    """

    def __init__(self, weight: torch.Tensor, rank: int, scale: float):
        super().__init__()
        self.scale = scale
        n_out, n_in = weight.shape[0], weight[0].numel()
        self.A = nn.Parameter(torch.empty(rank, n_in, device=weight.device))
        self.B = nn.Parameter(torch.zeros(n_out, rank, device=weight.device))
        nn.init.kaiming_uniform_(self.A, a=5**0.5)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight that the layer works with."""
        return weight + (self.scale * (self.B @ self.A)).view_as(weight)


def _kind_of(name: str, layer: nn.Module) -> str:
    if isinstance(layer, nn.RNNBase):
        return "recurrent"
    if isinstance(layer, nn.Conv1d):
        return "convolution"
    if isinstance(layer, nn.MultiheadAttention) or any(fnmatchcase(name, p) for p in ATTENTION):
        return "attention"
    return "mlp"


def _weights(network: nn.Module) -> Iterator[tuple[str, str, nn.Module, str]]:
    """Name of the layer, kind, layer and name of every matrix that can be adapted, in order."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            yield name, _kind_of(name, layer), layer, "weight"
        elif isinstance(layer, nn.RNNBase):
            for weight in layer._flat_weights_names:
                if weight.startswith("weight_"):
                    yield name, "recurrent", layer, weight
        elif isinstance(layer, nn.MultiheadAttention) and layer.in_proj_weight is not None:
            yield name, "attention", layer, "in_proj_weight"


def target_weights(network: nn.Module, targets: str) -> list[tuple[str, nn.Module, str]]:
    """Layers that a word or pattern means: name, layer, name of its matrix.

    Parameters
    ----------
    network : torch.nn.Module
    targets : str
        ``all``, ``all-but-last`` (linear) layer, some of `KINDS`, or patterns of layers' names,
        separated by commas.

    Raises
    ------
    ConfigError
        If the network has no such layer.
    """
    found = list(_weights(network))
    if targets == "all-but-last":
        linear = [k for k, entry in enumerate(found) if isinstance(entry[2], nn.Linear)]
        last = linear[-1] if linear else -1
        chosen = [entry for k, entry in enumerate(found) if k != last]
    elif targets == "all":
        chosen = found
    else:
        wanted = [part.strip() for part in targets.split(",") if part.strip()]
        chosen = [e for e in found if e[1] in wanted or any(fnmatchcase(e[0], w) for w in wanted)]
        for part in wanted:
            if not any(e[1] == part or fnmatchcase(e[0], part) for e in found):
                names = sorted({entry[0] for entry in found})
                kinds = sorted({entry[1] for entry in found})
                raise ConfigError(
                    f"--targets {part}: this network has no such layer; it has kinds "
                    f"{', '.join(kinds)} and layers {', '.join(names[:12])}"
                )
    if not chosen:
        raise ConfigError(f"--targets {targets}: no layer is left to adapt; try all")
    return [(name, layer, weight) for name, _, layer, weight in chosen]


def low_rank_sizes(shapes: Sequence[Sequence[int]], rank: int) -> int:
    """Numbers of the pairs A, B for weights of these shapes (n_out, n_in, ...)."""
    total = 0
    for shape in shapes:
        n_in = 1
        for size in shape[1:]:
            n_in *= size
        total += rank * (shape[0] + n_in)
    return total


def _refresh(layer: nn.RNNBase, inputs: tuple) -> None:
    """Hand a recurrent layer its present weights: it keeps a list of those it was made with."""
    layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]


def add_low_rank(network: nn.Module, targets: str, rank: int, alpha: float) -> list[str]:
    """Give layers of a network their pairs, in place; return the names of the adapted weights.

    Raises
    ------
    ConfigError
        If the network has no such layer, or the rank is not above 0.
    """
    if rank < 1:
        raise ConfigError(f"--rank {rank}: expected 1 or more")
    names = []
    for name, layer, weight in target_weights(network, targets):
        pair = LowRank(getattr(layer, weight), rank, alpha / rank)
        parametrize.register_parametrization(layer, weight, pair)
        if isinstance(layer, nn.RNNBase) and not layer._forward_pre_hooks:
            layer.register_forward_pre_hook(_refresh)
        names.append(f"{name}.{weight}" if name else weight)
    return names
