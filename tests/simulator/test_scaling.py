"""Beyond one process: whoever makes the shards, the bits are those of a local run."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

from starsmith.data_contract.dataset.shards import finish_dataset
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.lock import writer_lock
from starsmith.simulator.generation.generate import Crew, Settings, write_dataset
from starsmith.simulator.prior import Prior
from tests.simulator.test_generate import same_files

SMALL = Settings(shard_rows=64)


def write(bank, out, crew, progress=None, n=400):
    return write_dataset(bank, Prior.default(), n, out, 7, SMALL, crew, progress)


@pytest.fixture(scope="module")
def local(toy_bank, tmp_path_factory):
    """The data set made by one process: 5 + 1 + 1 shards."""
    out = tmp_path_factory.mktemp("local") / "data.zarr"
    write(toy_bank, out, 1)
    return out


def test_parts_in_any_order_make_the_same_data_set(toy_bank, local, tmp_path):
    """Three processes' worth of parts, the last first; the manifest comes with a final pass."""
    out = tmp_path / "data.zarr"
    assert write(toy_bank, out, Crew(part=range(5, 7))) is None
    assert write(toy_bank, out, Crew(part=range(0, 3))) is None
    with pytest.raises(DataError, match=r"2 of 7 shards.*first: train-00003.*3:5"):
        finish_dataset(out)
    write(toy_bank, out, Crew(part=range(2, 5)))
    finish_dataset(out)
    assert same_files(local, out)


def test_parts_beyond_the_plan_are_refused(toy_bank, tmp_path):
    with pytest.raises(ConfigError, match=r"--shards 5:9 is not within 0:7"):
        write(toy_bank, tmp_path / "data.zarr", Crew(part=range(5, 9)))


def test_writers_of_different_parts_do_not_wait_for_each_other(tmp_path):
    """Overlapping parts, and the whole beside a part, are refused; disjoint parts are not."""
    path = tmp_path / "data[1].zarr"
    with writer_lock(path, range(0, 50)), writer_lock(path, range(50, 100)):
        for other in (range(49, 51), range(0, 50), None):
            with pytest.raises(DataError, match="is writing it"), writer_lock(path, other):
                pass
    with (
        writer_lock(path),
        pytest.raises(DataError, match="is writing"),
        writer_lock(path, range(3)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_any_executor_serves(toy_bank, local, tmp_path):
    """Two threads that know nothing but file names: bank and prior come from disk."""
    out = tmp_path / "data.zarr"
    with ThreadPoolExecutor(2) as executor:
        write(toy_bank, out, Crew(executor=executor))
    assert same_files(local, out)
    assert [path.name for path in tmp_path.iterdir()] == ["data.zarr"]  # the bank is gone


def test_a_prior_that_files_do_not_hold_is_refused_elsewhere(toy_bank, tmp_path):
    """Nodes without the preset that names them could not be rebuilt by another process."""
    axes = dict(zip(toy_bank.label_names, map(tuple, toy_bank.axes), strict=True))
    prior = Prior(Prior.default().ranges, nodes=axes)
    with ThreadPoolExecutor(1) as executor:
        crew = Crew(executor=executor)
        with pytest.raises(DataError, match="labels cannot be had"):
            write_dataset(toy_bank, prior, 400, tmp_path / "data.zarr", 7, SMALL, crew)


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_writes_the_same_bytes(toy_bank, tmp_path):
    """Two worker processes on this machine, one killed after the third of 32 shards."""
    distributed = pytest.importorskip("distributed", reason="comes with starsmith[cluster]")
    write(toy_bank, tmp_path / "local.zarr", 1, n=2000)
    out = tmp_path / "data.zarr"
    killed = []
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def kill_one(n_done, _):
            if n_done >= 3 * 64 and not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        write(toy_bank, out, Crew(executor=client.get_executor()), kill_one, n=2000)
    assert killed
    assert same_files(tmp_path / "local.zarr", out)


def test_mpi_workers_write_the_same_bytes(toy_bank, local, tmp_path):
    """mpi4py's executor, where there is an MPI library to run it."""
    try:
        futures = import_module("mpi4py.futures")
        import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as problem:
        pytest.skip(f"no MPI here: {problem}")
    out = tmp_path / "data.zarr"
    with futures.MPIPoolExecutor(1) as executor:
        write(toy_bank, out, Crew(executor=executor))
    assert same_files(local, out)
