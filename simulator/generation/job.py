"""A data set to be made, and its shards made in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numba

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.shards import DatasetHeader, Shard, write_shard
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.files.interrupts import uninterrupted
from starsmith.simulator.generation.shard import make_shard
from starsmith.simulator.prior import Prior

__all__ = ["Job", "one_thread", "run_here"]


@dataclass(frozen=True)
class Job:
    """A data set to be made: everything a worker needs but the shard.

    ``spectra_of`` makes S/N and fluxes of draws, where this machine's kernels shall not.
    """

    bank: Bank
    prior: Prior
    header: DatasetHeader
    out: Path
    spectra_of: Callable[[Draws], dict] | None = None

    def make(self, shard: Shard) -> int:
        """Make and write one shard; its number of spectra."""
        columns = make_shard(self.bank, self.prior, self.header, shard, self.spectra_of)
        write_shard(self.out, self.header, shard, columns)
        return shard.stop - shard.start


@contextmanager
def one_thread() -> Iterator[None]:
    """Let kernels run on one thread."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(threads)


def run_here(job: Job, todo: Sequence[Shard]) -> Iterator[int]:
    """Make shards one after the other; yields the number of spectra of each."""
    with one_thread():
        for shard in todo:
            with uninterrupted():
                n_new = job.make(shard)
            yield n_new
