"""Work that leaves Python's lock, such as decoding and hashing, on all processors."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_threads"]

Item, Result = TypeVar("Item"), TypeVar("Result")

MOST = 8  # threads; a disk serves no more


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], most: int = MOST
) -> Iterator[Result]:
    """Results of a function of every item, in order; results should be small, all may wait.

    Nothing runs before the first result is asked for. At most ``most`` threads take part.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    n_thread = min(len(allowed) or os.cpu_count() or 1, most)
    if n_thread == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(n_thread) as pool:
        yield from pool.map(function, items)
