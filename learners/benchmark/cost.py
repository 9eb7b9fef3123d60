"""What a run costs before it is made: parameters, steps, arithmetic."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from starsmith.learners.benchmark.suite import Run
from starsmith.learners.estimators.registry import kind_of
from starsmith.learners.networks import count_parameters, create_model

__all__ = ["Cost", "cost_of", "forward_flops"]

TRAINING_FACTOR = 3.0  # forward and backward over forward: two products per weight and token
GATES = 4
DRAWING = ("normal_", "uniform_", "erfinv_")
ATTENTION = "scaled_dot_product_attention"
PRODUCTS: dict[str, Callable[[torch.Tensor, torch.Tensor], int]] = {
    "linear": lambda x, weight: weight.shape[1],
    "conv1d": lambda x, weight: weight.shape[1] * weight.shape[2],
    **dict.fromkeys(("matmul", "bmm", "mm"), lambda x, y: x.shape[-1]),
}
"""Function of torch -> multiplications and additions behind each number that it gives."""


@dataclass(frozen=True)
class Cost:
    """Size and arithmetic of a run.

    Attributes
    ----------
    n_parameters, steps, samples : int
        Steps of the optimiser; spectra seen, repeats included. Zero for what is not a network.
    flop : float
        Of the whole training.
    """

    n_parameters: int
    steps: int
    samples: int
    flop: float


def _recurrent_flops(network: nn.Module, n_token: int) -> float:
    """Products of LSTM layers for one sequence: the counter does not see into them."""
    total = 0.0
    for layer in network.modules():
        if isinstance(layer, nn.LSTM):
            both = 2 if layer.bidirectional else 1
            inputs = layer.input_size
            for _ in range(layer.num_layers):
                gates = GATES * layer.hidden_size * (inputs + layer.hidden_size)
                total += 2.0 * n_token * both * gates
                inputs = both * layer.hidden_size
    return total


class _Counter(TorchFunctionMode):
    """Counts products of layers as they are called; weights that would be drawn are 0.

    Torch's own counter loads its compiler first: a second of a plan that takes two.
    """

    def __init__(self):
        super().__init__()
        self.flop = 0

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Call a function of torch, unless it draws, and count it."""
        kwargs, name = kwargs or {}, func.__name__
        if name in DRAWING:
            return (args[0] if args else kwargs["tensor"]).zero_()
        found = func(*args, **kwargs)
        if name in PRODUCTS:
            self.flop += 2 * found.numel() * PRODUCTS[name](*args[:2])
        elif name == ATTENTION:
            self.flop += 4 * found.numel() * args[0].shape[-2]  # with keys, and with values
        return found


class _Tokens:
    """Longest sequence that reached an LSTM; its layers do nothing but keep the shapes."""

    def __init__(self, network: nn.Module):
        self.n = 0
        for layer in network.modules():
            if isinstance(layer, nn.LSTM):
                layer.forward = partial(self._pass, layer)

    def _pass(self, layer: nn.LSTM, tokens: torch.Tensor) -> tuple:
        self.n = max(self.n, tokens.shape[1])
        both = 2 if layer.bidirectional else 1
        context = tokens.new_zeros(*tokens.shape[:2], both * layer.hidden_size)
        state = tokens.new_zeros(both * layer.num_layers, tokens.shape[0], layer.hidden_size)
        return context, (state, state)


@cache
def forward_flops(model: str, n_wave: int, options: tuple = ()) -> tuple[float, int]:
    """Floating-point operations of one spectrum's forward pass, and the parameters.

    A multiplication and an addition count as two.
    """
    with torch.no_grad(), _Counter() as counter:
        network = create_model(model, ("logg",), n_wave=n_wave, **dict(options)).eval()
        tokens = _Tokens(network)
        network(torch.zeros(1, n_wave))
    return counter.flop + _recurrent_flops(network, tokens.n), count_parameters(network)


def cost_of(run: Run, n_data: int, n_wave: int = 4096) -> Cost:
    """Cost of a run on a data set of ``n_data`` training spectra."""
    recipe, kind = run.resolve(n_data), kind_of(run.model)
    if not (kind.is_network and isinstance(recipe, kind.recipe)):
        return Cost(0, 0, 0, 0.0)
    flop, n_parameters = forward_flops(run.model, n_wave, tuple(recipe.options.items()))
    n_seen = run.n_seen(n_data)
    samples = recipe.epochs * n_seen
    steps = recipe.epochs * math.ceil(n_seen / recipe.batch_size)
    return Cost(n_parameters, steps, samples, TRAINING_FACTOR * flop * samples)
