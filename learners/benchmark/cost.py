"""What a run costs before it is made: parameters, steps, arithmetic."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from starsmith.learners.benchmark.suite import Run
from starsmith.learners.estimators.registry import kind_of
from starsmith.learners.networks import count_parameters, create_model

__all__ = ["Cost", "cost_of", "forward_flops"]

TRAINING_FACTOR = 3.0  # forward and backward over forward: two products per weight and token
GATES = 4


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


class _Tokens:
    """Longest sequence that reached an LSTM."""

    def __init__(self, network: nn.Module):
        self.n = 0
        for layer in network.modules():
            if isinstance(layer, nn.LSTM):
                layer.register_forward_pre_hook(self._look)

    def _look(self, layer: nn.Module, inputs: tuple) -> None:
        self.n = max(self.n, inputs[0].shape[1])


@cache
def forward_flops(model: str, n_wave: int, options: tuple = ()) -> tuple[float, int]:
    """Floating-point operations of one spectrum's forward pass, and the parameters.

    A multiplication and an addition count as two.
    """
    network = create_model(model, ("logg",), n_wave=n_wave, **dict(options)).eval()
    tokens = _Tokens(network)
    # the plain form of attention: products of the fused ones are not counted on a CPU
    plain = sdpa_kernel(SDPBackend.MATH)
    with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, n_wave))
    counted = counter.get_flop_counts().get("Global", {})
    seen = sum(n for kind, n in counted.items() if "lstm" not in str(kind).lower())
    return float(seen) + _recurrent_flops(network, tokens.n), count_parameters(network)


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
