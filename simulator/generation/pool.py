"""Shards made by worker processes of this machine, which map the arrays of one job."""

import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from multiprocessing.util import Finalize
from pathlib import Path

import numba
import numpy as np

from starsmith.data_contract.dataset.shards import Shard
from starsmith.data_contract.files.interrupts import uninterrupted
from starsmith.simulator.generation.job import Job
from starsmith.simulator.generation.kept_memory import keep_memory

__all__ = ["MappedJob", "run_in_pool"]

ALIGNMENT = 64  # bytes, of every mapped array

IMPORTED_ONCE = [__name__, "numba.np.arraymath"]
"""What workers import, and what numba does when it loads the first kernel: 1.5 s."""

_pool_job: list[Job] = []


def _context() -> BaseContext:
    """How workers are started: forked of a process that has imported but never run anything.

    Where that is not the system's custom, each is started anew.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_ONCE)
    return context


def _die_with_parent(arrays: Path) -> None:
    """End this process when its parent is gone: nobody would collect its shards."""
    multiprocessing.parent_process().join()
    _inherit(arrays)
    os._exit(1)


def _inherit(arrays: Path) -> None:
    """Remove the folder of the mapped arrays if the parent, whose it is, was killed."""
    if not multiprocessing.parent_process().is_alive():
        shutil.rmtree(arrays.parent, ignore_errors=True)


@dataclass(frozen=True)
class MappedJob:
    """A job whose arrays lie in a file that all workers of this machine map.

    Attributes
    ----------
    body : bytes
        The job without its arrays, as processes of one program hand it to each other.
    arrays : Path
        The arrays, one after the other.
    spans : tuple of (int, int)
        First byte and number of bytes of each array.
    """

    body: bytes
    arrays: Path
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, job: Job, file: Path) -> "MappedJob":
        """Write the arrays of a job to ``file``."""
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(job, protocol=5, buffer_callback=buffers.append)
        spans = []
        with file.open("wb") as out:
            for buffer in buffers:
                out.seek(-out.tell() % ALIGNMENT, os.SEEK_CUR)
                spans.append((out.tell(), buffer.raw().nbytes))
                out.write(buffer.raw())
        return cls(body, file, tuple(spans))

    def job(self) -> Job:
        """Map the arrays; a worker that changed one would change its own copy only."""
        whole = np.memmap(self.arrays, dtype=np.uint8, mode="c")
        parts = [whole[start : start + size] for start, size in self.spans]
        return pickle.loads(self.body, buffers=parts)


def _start_worker(mapped: MappedJob) -> None:
    """Prepare a worker process: one thread each, interrupts left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(mapped.arrays,), daemon=True).start()
    Finalize(None, _inherit, args=(mapped.arrays,), exitpriority=1)  # if it ends for other reasons
    numba.set_num_threads(1)
    keep_memory()
    _pool_job[:] = [mapped.job()]


def _work(shard: Shard) -> int:
    """Make and write one shard; return its number of spectra."""
    (job,) = _pool_job
    return job.make(shard)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while workers start.

    They inherit the block, so an interrupt reaches this process alone, and only when no
    worker waits for the rest of its job.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker  # of POSIX alone

    resource_tracker.ensure_running()  # its start would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with uninterrupted():  # other threads take the signal that this one blocks
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_in_pool(job: Job, todo: Sequence[Shard], workers: int) -> Iterator[int]:
    """Make shards in processes of one thread each; yields the number of spectra of each."""
    with tempfile.TemporaryDirectory(prefix="starsmith-") as folder:
        pool = ProcessPoolExecutor(
            workers,
            mp_context=_context(),
            initializer=_start_worker,
            initargs=(MappedJob.of(job, Path(folder) / "arrays"),),
        )
        try:
            with _interrupts_held():
                futures = [pool.submit(_work, shard) for shard in todo]
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
