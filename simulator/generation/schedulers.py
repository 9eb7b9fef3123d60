"""Executors on other machines that shards can be handed to: dask and MPI."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from starsmith.data_contract.errors import ConfigError, StarsmithError

__all__ = ["executor_of"]

PATIENCE = 20  # seconds to find a scheduler


@contextmanager
def executor_of(scheduler: str | None) -> Iterator[Executor | None]:
    """Open ``tcp://host:port`` (dask) or ``mpi``; None without a scheduler.

    Raises
    ------
    ConfigError
        If it is neither, or nobody answers there.
    StarsmithError
        If its workers died.
    """
    if scheduler is None:
        yield None
    elif scheduler == "mpi":
        with _mpi() as executor:
            yield executor
    elif "://" in scheduler:
        with _dask(scheduler) as executor:
            yield executor
    else:
        raise ConfigError(
            f"--scheduler {scheduler!r}: expected the address of a dask scheduler, such as "
            "tcp://host:8786, or mpi"
        )


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    from distributed import Client, KilledWorker

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as problem:
        raise ConfigError(
            f"--scheduler {address}: no dask scheduler answers ({problem}); start one with "
            "`dask scheduler` and workers with `dask worker`"
        ) from None
    with client:
        try:
            yield client.get_executor()
        except KilledWorker as problem:
            raise StarsmithError(
                f"--scheduler {address}: workers died over one shard again and again ({problem}); "
                "give them more memory; finished shards are kept: run the same command again"
            ) from None


@contextmanager
def _mpi() -> Iterator[Executor]:
    try:
        from mpi4py.futures import MPIPoolExecutor
        from mpi4py.MPI import COMM_WORLD  # noqa: F401 fails where there is no MPI library
    except ModuleNotFoundError:
        raise
    except (ImportError, RuntimeError) as problem:
        raise ConfigError(
            f"--scheduler mpi: no MPI library can be loaded ({str(problem).splitlines()[0]}); load "
            "your cluster's module, or leave --scheduler out"
        ) from None
    with MPIPoolExecutor() as executor:
        yield executor
