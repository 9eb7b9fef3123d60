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
    n_shard : int
        Equal parts of the spectra, read one after the other in random order; no batch has
        spectra of two.
    """

    n_spec: int
    batch_size: int
    block_rows: int
    seed: int
    n_shard: int = 1

    @property
    def shards(self) -> list[list[slice]]:
        """Blocks of every shard."""
        edges = np.linspace(0, self.n_spec, self.n_shard + 1).astype(int).tolist()
        return [self._blocks(a, b) for a, b in itertools.pairwise(edges)]

    @property
    def blocks(self) -> list[slice]:
        """Rows of every block: whole batches, nearly equal in number, and the rest in the last."""
        return list(itertools.chain.from_iterable(self.shards))

    def _blocks(self, start: int, stop: int) -> list[slice]:
        n_batch = max(1, (stop - start) // self.batch_size)
        n_block = math.ceil(n_batch / max(self.block_rows // self.batch_size, 1))
        # no block is a small rest
        edges = start + np.linspace(0, n_batch, n_block + 1).astype(int) * self.batch_size
        edges[-1] = stop
        return [slice(a, b) for a, b in itertools.pairwise(edges.tolist())]

    def _batches_in(self, block: slice) -> int:
        return max(1, (block.stop - block.start) // self.batch_size)

    @property
    def n_batch(self) -> int:
        """Batches of one epoch."""
        return sum(map(self._batches_in, self.blocks))

    @property
    def most_rows(self) -> int:
        """Rows of the block with the most batches."""
        return self.batch_size * max(map(self._batches_in, self.blocks))

    def epoch(self, epoch: int) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """Blocks of an epoch, each with the rows of its batches, counted from the block's start."""
        # the order is a function of seed and epoch alone
        random = np.random.default_rng([self.seed, epoch])
        shards = self.shards
        order = random.permutation(len(shards)) if len(shards) > 1 else (0,)
        mixed = (shards[k][b] for k in order for b in random.permutation(len(shards[k])))
        for block in mixed:
            rows = random.permutation(block.stop - block.start)
            size = min(self.batch_size, rows.size)
            # rows that fill no batch wait for another epoch
            yield block, [rows[k * size : (k + 1) * size] for k in range(self._batches_in(block))]
