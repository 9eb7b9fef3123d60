"""Who makes the shards: this process, a pool of its own, or any ``concurrent.futures`` executor."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass

from starsmith.data_contract.dataset.shards import DatasetHeader, Shard
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import StarsmithError
from starsmith.simulator.generation.elsewhere import run_elsewhere
from starsmith.simulator.generation.job import Job, run_here
from starsmith.simulator.generation.pool import run_in_pool

__all__ = ["Crew", "run_shards"]


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
    spectra_of : callable, optional
        From the header to a callable that makes S/N and fluxes of draws, in this process: such as
        those of a GPU.
    """

    workers: int = 1
    executor: Executor | None = None
    part: range | None = None
    spectra_of: Callable[[DatasetHeader], Callable[[Draws], dict]] | None = None


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
            yield from run_elsewhere(job, todo, crew.executor)
        elif job.spectra_of is not None or crew.workers == 1 or len(todo) == 1:
            yield from run_here(job, todo)
        else:
            yield from run_in_pool(job, todo, min(crew.workers, len(todo)))
    except BrokenExecutor:
        raise StarsmithError(
            f"{job.out}: a worker process died (out of memory, or killed); finished shards are "
            "kept: run the same command again to resume"
        ) from None
