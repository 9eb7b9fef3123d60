"""Which spectra make up the batches of an epoch, and which of them a process takes."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Order", "Share"]


@dataclass(frozen=True)
class Share:
    """A process's part of every batch: one of ``n_process``, number ``rank`` from 0."""

    rank: int = 0
    n_process: int = 1

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Every ``n_process``-th row, from the ``rank``-th on."""
        return rows[self.rank :: self.n_process]


@dataclass(frozen=True)
class Order:
    """Batches of whole size from a number of spectra, anew each epoch.

    Blocks come in random order and are shuffled inside. Draws are independent, so this mixes
    as well as shuffling everything, and reads a file in order. Blocks hold whole batches, the last
    one the rest too: less than a batch is left out of an epoch, other spectra each time. Fewer
    spectra than a batch are one batch.

    Attributes
    ----------
    n_spec, batch_size, block_rows : int
        ``block_rows`` is what is read at a time; a block holds at least one batch.
    seed : int
    """

    n_spec: int
    batch_size: int
    block_rows: int
    seed: int

    @property
    def blocks(self) -> list[slice]:
        """Rows of every block: whole batches, nearly equal in number, and the rest in the last."""
        n_block = math.ceil(self.n_batch / max(self.block_rows // self.batch_size, 1))
        # no block is a small rest
        edges = np.linspace(0, self.n_batch, n_block + 1).astype(int) * self.batch_size
        edges[-1] = self.n_spec
        return [slice(a, b) for a, b in itertools.pairwise(edges.tolist())]

    def _batches_in(self, block: slice) -> int:
        return max(1, (block.stop - block.start) // self.batch_size)

    @property
    def n_batch(self) -> int:
        """Batches of one epoch."""
        return max(1, self.n_spec // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """Blocks of an epoch, each with the rows of its batches, counted from the block's start."""
        # the order is a function of seed and epoch alone
        random = np.random.default_rng([self.seed, epoch])
        blocks = self.blocks
        for number in random.permutation(len(blocks)):
            block = blocks[number]
            rows = random.permutation(block.stop - block.start)
            size = min(self.batch_size, rows.size)
            # rows that fill no batch wait for another epoch
            yield block, [rows[k * size : (k + 1) * size] for k in range(self._batches_in(block))]
