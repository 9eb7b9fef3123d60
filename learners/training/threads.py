"""How many threads train on a CPU that others use too.

A step of a small network is hundreds of parallel loops, each of which waits for its last thread:
where another process holds a core, two threads are slower than one.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numba
import torch

__all__ = ["busy_cores", "train_threads"]

logger = logging.getLogger(__name__)

STAT = Path("/proc/stat")  # Linux: ticks of every core since the machine started
SECONDS = 0.2  # that others are watched for
IDLE = (3, 4)  # columns of the first line: idle, and waiting for a disk


def _ticks() -> tuple[int, int]:
    """Ticks of all cores together, and those of them that were idle."""
    counts = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    return sum(counts), sum(counts[k] for k in IDLE)


def busy_cores() -> float:
    """Cores that other processes keep busy while this one sleeps for a moment; 0 if unknown."""
    try:
        total, idle = _ticks()
        time.sleep(SECONDS)
        later, still = _ticks()
    except (OSError, ValueError, IndexError):
        return 0.0
    passed = max(later - total, 1)
    return (os.cpu_count() or 1) * (1.0 - min((still - idle) / passed, 1.0))


@contextmanager
def train_threads(device: torch.device, before: int = 0) -> Iterator[int]:
    """Set torch's threads for the time of a with-block.

    Parameters
    ----------
    device : torch.device
        Only a CPU's threads are chosen.
    before : int
        Threads that the run was begun with, which a continued one keeps: bits depend on them.

    Yields
    ------
    threads : int
        Torch's own number, unless nobody has chosen one and others keep cores busy: then what is
        free, at least one.
    """
    asked = torch.get_num_threads()
    # numba's threads start with the first kernel, and would set torch's number to their own
    numba.set_num_threads(numba.get_num_threads())
    chosen = asked
    if device.type == "cpu" and asked == os.cpu_count() > 1 and "OMP_NUM_THREADS" not in os.environ:
        chosen = min(before, asked) or max(1, min(asked, round(asked - busy_cores())))
        if chosen < asked:
            logger.warning(
                "%d of %d cores are busy: training on %d thread(s); OMP_NUM_THREADS=%d takes all",
                asked - chosen,
                asked,
                chosen,
                asked,
            )
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(asked)
