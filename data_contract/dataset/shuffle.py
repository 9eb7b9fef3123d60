"""The order rows are trained in: random, but a few shards at a time."""

from collections.abc import Iterator

import numpy as np

from starsmith.data_contract.random import DrawKey, uniforms

__all__ = ["BUFFER_SHARDS", "shuffled_batches"]

BUFFER_SHARDS = 4  # decoded at a time: 134 MB at 2048 rows of 4096 pixels


def shuffled_batches(
    n_rows: int,
    shard_rows: int,
    size: int = 256,
    epoch: int = 0,
    seed: int = 0,
    buffer_shards: int = BUFFER_SHARDS,
) -> Iterator[np.ndarray]:
    """Yield every row of a split once, in batches of random order.

    Shards are taken in random order, ``buffer_shards`` at a time, and the rows of those
    are shuffled: reading decodes each shard once an epoch, and never more of them together.

    Parameters
    ----------
    n_rows, shard_rows : int
        Of the split, and of its shards.
    size : int
        Rows of a batch; the last may be shorter.
    epoch, seed : int
        Another order each; the same order for the same two on every machine.
    buffer_shards : int
        1 or more; as many as there are is a full shuffle.

    Yields
    ------
    rows : int64 array, shape (size,)
    """
    shards = _shuffled(np.arange(-(-n_rows // shard_rows)), seed, "shuffle_shards", epoch)
    left = np.empty(0, dtype=np.int64)
    for start in range(0, shards.size, buffer_shards):
        group = shards[start : start + buffer_shards, None]
        rows = (group * shard_rows + np.arange(shard_rows)).ravel()
        rows = _shuffled(rows[rows < n_rows], seed, "shuffle_rows", epoch)
        rows = np.concatenate([left, rows])
        whole = rows.size - rows.size % size
        yield from rows[:whole].reshape(-1, size)
        left = rows[whole:]
    if left.size:
        yield left


def _shuffled(items: np.ndarray, seed: int, stream: str, epoch: int) -> np.ndarray:
    keys = uniforms(DrawKey(seed, "train", items), stream, 1, epoch)[:, 0]
    return items[np.argsort(keys, kind="stable")].astype(np.int64)
