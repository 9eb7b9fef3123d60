"""Who makes the shards: this process, a pool of its own, or any ``concurrent.futures`` executor."""

import multiprocessing
import os
import pickle
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    ProcessPoolExecutor,
    as_completed,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.util import Finalize
from pathlib import Path

import numba
import numpy as np

from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.dataset.shards import DatasetHeader, Shard, open_run, write_shard
from starsmith.data_contract.draws import ARRAYS
from starsmith.data_contract.errors import DataError, StarsmithError
from starsmith.data_contract.files.atomic import partial_name
from starsmith.data_contract.files.interrupts import uninterrupted
from starsmith.simulator.generation.remake import BankRemaker
from starsmith.simulator.generation.shard import make_shard
from starsmith.simulator.prior import Prior

__all__ = ["Crew", "Job", "run_shards"]

AHEAD = 512  # shards handed to an executor beyond those finished
N_WITNESS = 16
ALIGNMENT = 64  # bytes, of every mapped array


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Who makes which shards of a data set.

    Attributes
    ----------
    workers : int
        1 works in this process on one thread; more are processes of one thread each.
    executor : Executor, optional
        Makes the shards instead, such as ``dask.distributed.Client.get_executor()`` or
        ``mpi4py.futures.MPIPoolExecutor``. Its workers must see the folder of the data set.
    part : range, optional
        Numbers of the shards to make, in the order of `plan_shards`; the data set is then not
        finished. All by default.
    """

    workers: int = 1
    executor: Executor | None = None
    part: range | None = None


@dataclass(frozen=True)
class Job:
    """A data set to be made: everything a worker needs but the shard."""

    bank: Bank
    prior: Prior
    header: DatasetHeader
    out: Path


def run_shards(job: Job, todo: Sequence[Shard], crew: Crew) -> Iterator[int]:
    """Make shards in whatever order; yield the number of spectra of each as it is finished.

    Raises
    ------
    StarsmithError
        If workers died.
    DataError
        If an executor is given and the prior is not what the header says.
    """
    if not todo:
        return
    try:
        if crew.executor is not None:
            yield from _run_elsewhere(job, todo, crew.executor)
        elif crew.workers == 1 or len(todo) == 1:
            yield from _run_here(job, todo)
        else:
            yield from _run_in_pool(job, todo, min(crew.workers, len(todo)))
    except BrokenExecutor:
        raise StarsmithError(
            f"{job.out}: a worker process died (out of memory, or killed); finished shards are "
            "kept: run the same command again to resume"
        ) from None


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(threads)


def _run_here(job: Job, todo: Sequence[Shard]) -> Iterator[int]:
    with _one_thread():
        for shard in todo:
            with uninterrupted():
                columns = make_shard(job.bank, job.prior, job.header, shard)
                write_shard(job.out, job.header, shard, columns)
            yield shard.stop - shard.start


_pool_job: list[Job] = []


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
    _pool_job[:] = [mapped.job()]


def _work(shard: Shard) -> int:
    """Make and write one shard; return its number of spectra."""
    (job,) = _pool_job
    write_shard(job.out, job.header, shard, make_shard(job.bank, job.prior, job.header, shard))
    return shard.stop - shard.start


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while workers start.

    They inherit the block, so an interrupt reaches this process alone, and only when no
    worker waits for the rest of its job.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with uninterrupted():  # other threads take the signal that this one blocks
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_in_pool(job: Job, todo: Sequence[Shard], workers: int) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="starsmith-") as folder:
        pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
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


_turn = threading.Lock()  # threads of one worker process take turns: kernels are not reentrant


@lru_cache(maxsize=1)
def _remaker(out: Path, bank_file: Path, digest: str) -> tuple[DatasetHeader, BankRemaker]:
    """Header and bank of a data set, read once in a worker process."""
    bank = load_bank(bank_file)
    if bank.digest != digest:
        raise DataError(f"{bank_file}: another bank than the one of {out}")
    header = open_run(out)
    return header, BankRemaker.of(bank, header.run())


def work_elsewhere(out: Path, bank_file: Path, digest: str, shard: Shard) -> int:
    """Make and write one shard in a process that knows nothing but files."""
    with _turn, _one_thread():
        header, remaker = _remaker(out, bank_file, digest)
        write_shard(out, header, shard, remaker.columns(header, shard))
    return shard.stop - shard.start


def _run_elsewhere(job: Job, todo: Sequence[Shard], executor: Executor) -> Iterator[int]:
    """Hand shards to an executor, some ahead of those that are finished."""
    _check_recorded(job, todo[0])
    with _bank_beside(job) as bank_file:
        rest = iter(todo)
        pending = set()
        try:
            while True:
                for shard in rest:
                    task = (job.out.resolve(), bank_file, job.bank.digest, shard)
                    pending.add(executor.submit(work_elsewhere, *task))
                    if len(pending) >= AHEAD:
                        break
                if not pending:
                    return
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in pending:
                future.cancel()
            wait(pending)


@contextmanager
def _bank_beside(job: Job) -> Iterator[Path]:
    """The bank as a file beside the data set, under a name of its own, while workers need it."""
    file = partial_name(job.out.resolve())
    job.bank.save(file)
    try:
        yield file
    finally:
        shutil.rmtree(file, ignore_errors=True)


def _check_recorded(job: Job, shard: Shard) -> None:
    """Refuse a prior that workers could not rebuild from the header alone."""
    few = Shard(shard.split, shard.number, shard.start, min(shard.stop, shard.start + N_WITNESS))
    again = BankRemaker.of(job.bank, job.header.run())
    first, second = (
        again.draws(job.header, few),
        BankRemaker(job.bank, job.prior, True).draws(job.header, few),
    )
    for name in ARRAYS:
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise DataError(
                f"{job.out}: the prior's {name} cannot be had from the header again; use "
                "workers of this machine, or name the preset in the configuration"
            )
