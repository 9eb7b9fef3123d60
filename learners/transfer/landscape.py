"""Loss around trained weights, along two random directions scaled by filter (Li et al. 2018)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from starsmith.learners.training.network import keyed_torch

__all__ = ["filter_directions", "loss_landscape"]

N_SIDE, REACH = 21, 3.0


def filter_directions(network: nn.Module, seed: int) -> list[dict[str, torch.Tensor]]:
    """Two Gaussian directions over what learns: each row as long as the row of the weights.

    Of a matrix a row is what one output reads; of LoRA's A it is a rank vector and of B that of
    an output. Biases and norms, which have one dimension, are one row each.
    """
    learning = {n: p for n, p in network.named_parameters() if p.requires_grad}
    directions = []
    with keyed_torch(torch.device("cpu"), seed, 17):
        for _ in range(2):
            direction = {}
            for name, weight in learning.items():
                drawn = torch.randn(weight.shape).to(weight.device)
                rows = (drawn, weight.detach())
                if weight.ndim > 1:
                    rows = tuple(values.reshape(len(weight), -1) for values in rows)
                else:
                    rows = tuple(values.reshape(1, -1) for values in rows)
                long = rows[1].norm(dim=1, keepdim=True) / rows[0].norm(dim=1, keepdim=True)
                direction[name] = (rows[0] * long).reshape(weight.shape)
            directions.append(direction)
    return directions


@torch.no_grad()
def loss_landscape(
    network: nn.Module,
    loss: Callable[[nn.Module], float],
    directions: list[dict[str, torch.Tensor]],
    n_side: int = N_SIDE,
    reach: float = REACH,
) -> tuple[np.ndarray, np.ndarray]:
    """Loss on a square around the weights, which are put back.

    Parameters
    ----------
    network : torch.nn.Module
    loss : callable
        ``loss(network)``, e.g. the squared error of metal-poor stars.
    directions : list of two dicts
        From `filter_directions`; only weights that are named are moved.
    n_side : int
    reach : float
        Steps go from -reach to reach along both.

    Returns
    -------
    step : float64 array, shape (n_side,)
    values : float64 array, shape (n_side, n_side)
        At ``step[i]`` along the first and ``step[j]`` along the second direction.
    """
    step = np.linspace(-reach, reach, n_side)
    weights = dict(network.named_parameters())
    kept = {name: weights[name].detach().clone() for name in directions[0]}
    values = np.empty((n_side, n_side))
    try:
        for i, along in enumerate(step.tolist()):
            for j, across in enumerate(step.tolist()):
                for name, centre in kept.items():
                    moved = centre + along * directions[0][name] + across * directions[1][name]
                    weights[name].copy_(moved)
                values[i, j] = loss(network)
    finally:
        for name, centre in kept.items():
            weights[name].copy_(centre)
    return step, values
