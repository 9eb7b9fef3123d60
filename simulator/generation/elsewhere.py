"""Shards made by any ``concurrent.futures`` executor, whose workers know nothing but files."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.dataset.shards import DatasetHeader, Shard, open_run, write_shard
from starsmith.data_contract.draws import ARRAYS
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import partial_name
from starsmith.simulator.generation.job import Job, one_thread
from starsmith.simulator.generation.remake import BankRemaker

__all__ = ["run_elsewhere", "work_elsewhere"]

AHEAD = 512  # shards handed to an executor beyond those finished
N_WITNESS = 16  # rows that show whether the header says enough

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
    with _turn, one_thread():
        header, remaker = _remaker(out, bank_file, digest)
        write_shard(out, header, shard, remaker.columns(header, shard))
    return shard.stop - shard.start


def run_elsewhere(job: Job, todo: Sequence[Shard], executor: Executor) -> Iterator[int]:
    """Hand shards to an executor, some ahead of those that are finished."""
    _check_recorded(job, todo[0])
    with _bank_beside(job) as bank_file:
        work = partial(work_elsewhere, job.out.resolve(), bank_file, job.bank.digest)
        rest = iter(todo)
        pending = set()
        try:
            while True:
                for shard in rest:
                    pending.add(executor.submit(work, shard))
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
