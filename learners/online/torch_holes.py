"""Holes of a grid on a device: which draws lean on one, told without asking the device."""

import math

import numpy as np
import torch

__all__ = ["MAX_ATTEMPTS", "Holes", "attempts_for"]

MAX_ATTEMPTS = 64  # of a draw that met a hole of the grid
RARE, NEVER = 1e-3, 1e-14  # least share of draws in holes; draws that may meet nothing else


class Holes:
    """Cells of a bank's grid whose splines lean on a node that the grid does not have.

    Parameters
    ----------
    filled : bool array, shape (n_node,)
        Nodes that were filled in.
    n_nodes, degrees : tuple of int
        Of every axis, the last label fastest.
    device : torch.device
    """

    def __init__(
        self,
        filled: np.ndarray,
        n_nodes: tuple[int, ...],
        degrees: tuple[int, ...],
        device: torch.device,
    ):
        cells = filled.reshape(n_nodes)
        for axis, degree in enumerate(degrees):
            size = cells.shape[axis] - degree
            shifted = [cells.take(range(k, k + size), axis=axis) for k in range(degree + 1)]
            cells = np.logical_or.reduce(shifted)
        self.shape = cells.shape
        self.bad = torch.from_numpy(np.ascontiguousarray(cells).ravel()).to(device)

    def met(self, first: list[torch.Tensor]) -> torch.Tensor:
        """Whether draws lean on a hole, bool; ``first`` node of each axis, int64 of that shape."""
        cell = torch.zeros_like(first[0])
        for size, node in zip(self.shape, first, strict=True):
            cell = cell * size + node
        return self.bad[cell]


def attempts_for(share: float) -> int:
    """Attempts after which no draw of a run is left, where a share of them meets a hole."""
    share = max(share, RARE)
    return MAX_ATTEMPTS if share >= 1 else min(MAX_ATTEMPTS, math.ceil(math.log(NEVER, share)))
