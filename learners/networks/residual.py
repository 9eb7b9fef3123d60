"""A network with a small one beside it, whose outputs are added: the residual head."""

import torch
from torch import nn

__all__ = ["WithHead", "head_size"]


def head_size(n_wave: int, n_output: int, hidden: int) -> int:
    """Numbers of a residual head of one hidden layer: weights and biases."""
    return (n_wave + 1) * hidden + (hidden + 1) * n_output


class WithHead(nn.Module):
    """Network and residual head over the same pixels: (B, P) -> (B, n_output).

    The head, [P, hidden, n_output] with ReLU as in the LAMOST to DESI transfer paper, begins at
    zero: its last layer holds nothing else, so that the sum is the network's own to the bit.

    Parameters
    ----------
    base : torch.nn.Module
    n_wave, n_output, hidden : int
    """

    def __init__(self, base: nn.Module, n_wave: int, n_output: int, hidden: int):
        super().__init__()
        self.base = base
        self.head = nn.Sequential(nn.Linear(n_wave, hidden), nn.ReLU(), nn.Linear(hidden, n_output))
        nn.init.zeros_(self.head[2].weight)
        nn.init.zeros_(self.head[2].bias)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """What the network says, and what the head adds."""
        return self.base(flux_BP) + self.head(flux_BP)
