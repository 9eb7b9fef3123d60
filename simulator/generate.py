"""Generating data sets: shards made by independent workers, the same bits whoever makes them."""

import logging
import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numba
import numpy as np

from starsmith.data_contract.bank import Bank
from starsmith.data_contract.errors import ConfigError, GridError, StarsmithError
from starsmith.data_contract.exposures import widest_conditions
from starsmith.data_contract.manifest import Manifest
from starsmith.data_contract.names import CONDITIONS, SPLITS
from starsmith.data_contract.noise import CALCULATOR, NoiseModel, sensitivity
from starsmith.data_contract.population import Population
from starsmith.data_contract.random import check_seed
from starsmith.data_contract.shards import (
    DatasetHeader,
    Shard,
    create_dataset,
    finish_dataset,
    finished_shards,
    plan_shards,
    write_shard,
    writer_lock,
)
from starsmith.simulator.interpolate import touches_filled
from starsmith.simulator.observe import (
    KEEP_BITS,
    draw_stars,
    model_flux,
    observe,
    signal_to_noise,
)
from starsmith.simulator.prior import Prior

__all__ = [
    "Settings",
    "check_population",
    "check_prior",
    "make_shard",
    "split_counts",
    "write_dataset",
]

log = logging.getLogger(__name__)

HELD_OUT_FRACTION = 0.1
HELD_OUT_MOST = 10_000
FROZEN_KEEP_BITS = 10  # of flux and error: at most 0.01 sigma where S/N per pixel is 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a data set is stored.

    Attributes
    ----------
    store : str
        ``noiseless``, ``frozen`` or ``keys``.
    error_kind : str
        Honest error of a frozen store: ``observed`` or ``smooth``.
    shard_rows : int
        Spectra per shard, the unit of work.
    noise : NoiseModel
        Terms of the noise.
    config : dict
        Resolved configuration of the command, recorded as it is.
    """

    store: str = "noiseless"
    error_kind: str = "observed"
    shard_rows: int = 2048
    noise: NoiseModel = CALCULATOR
    config: Mapping = field(default_factory=dict)


def split_counts(n: int) -> dict[str, int]:
    """Divide ``n`` spectra: a tenth each, 10,000 at most, for validation and test.

    Raises
    ------
    ConfigError
        If that leaves a split empty.
    """
    held_out = min(int(n * HELD_OUT_FRACTION), HELD_OUT_MOST)
    counts = {"train": n - 2 * held_out, "val": held_out, "test": held_out}
    if not held_out:
        raise ConfigError(
            f"-n {n} is too few for three splits; ask for at least {round(1 / HELD_OUT_FRACTION)}"
        )
    return counts


def check_prior(bank: Bank, prior: Prior, noise: NoiseModel = CALCULATOR) -> None:
    """Refuse a prior with draws the bank cannot render or observe.

    Ranges are refused one by one, so rendering their lower and their upper ends is enough;
    of a population every row is looked at.

    Raises
    ------
    ConfigError, DataError, GridError
        Naming the range and what the grid or the instrument allows.
    """
    if prior.population is not None:
        check_population(bank, prior.population)
    drawn = draw_stars(bank, prior, 0, "train", np.arange(2))
    corners = np.array([prior.ranges[name] for name in bank.label_names]).T
    ends = replace(
        drawn,
        labels=corners if prior.population is None else drawn.labels,
        mag=np.array(prior.ranges["mag"]),
        conditions=np.array([prior.ranges[name] for name in CONDITIONS]).T,
        rv=np.array(prior.ranges["rv"]),
        ebv=np.array(prior.ranges["ebv"]),
    )
    signal_to_noise(bank, model_flux(bank, ends), ends)
    sensitivity(bank.noise, widest_conditions(noise, ends.conditions))


def check_population(bank: Bank, population: Population) -> None:
    """Refuse a population with rows outside the grid; tell of rows it can never draw.

    Raises
    ------
    GridError
        Naming every label that leaves the grid, and in how many rows.
    """
    axes = dict(zip(bank.label_names, bank.axes, strict=True))
    if problems := population.outside(axes):
        raise GridError(
            f"{population.path}: {'; '.join(problems)}; remove those rows, or use a grid that "
            "holds them"
        )
    lost = touches_filled(bank, population.labels(bank.label_names))
    if lost.any():
        log.warning(
            "%s: %d of %d rows (%.2g of the weight) lean on holes of grid %r and are never drawn",
            population.path,
            lost.sum(),
            len(population),
            population.weight[lost].sum(),
            bank.grid.get("name"),
        )


def make_shard(bank: Bank, prior: Prior, header: DatasetHeader, shard: Shard) -> dict:
    """Simulate one shard.

    Returns
    -------
    columns : dict of str to array
        What the header's store holds: labels, conditions, ``mag``, ``snr``, ``index``, each
        (n_spec,), and the fluxes, each (n_spec, n_wave).
    """
    draws = draw_stars(
        bank, prior, header.seed, shard.split, np.arange(shard.start, shard.stop, dtype=np.int64)
    )
    columns = {name: draws.labels[:, k] for k, name in enumerate(draws.label_names)}
    columns |= {name: draws.conditions[:, k] for k, name in enumerate(CONDITIONS)}
    columns |= {"mag": draws.mag, "index": draws.index}
    columns |= {"rv": draws.rv} if header.moving else {}
    columns |= {"ebv": draws.ebv} if header.reddened else {}
    if header.store == "frozen":
        batch = observe(bank, draws, error=header.error_kind, noise=header.noise_terms)
        return columns | {"flux": batch.flux, "error": batch.error, "snr": batch.snr}
    flux_model = model_flux(bank, draws)
    columns["snr"] = signal_to_noise(bank, flux_model, draws, header.noise_terms)
    return columns if header.store == "keys" else columns | {"flux_model": flux_model}


_worker: dict = {}


def _die_with_parent() -> None:
    """End this process when its parent is gone: nobody would collect its shards."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _start_worker(bank: Bank, prior: Prior, header: DatasetHeader, out: Path) -> None:
    """Prepare a worker process: one thread each, interrupts left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    numba.set_num_threads(1)
    _worker.update(bank=bank, prior=prior, header=header, out=out)


def _work(shard: Shard) -> int:
    """Make and write one shard; return its number of spectra."""
    columns = make_shard(_worker["bank"], _worker["prior"], _worker["header"], shard)
    write_shard(_worker["out"], _worker["header"], shard, columns)
    return shard.stop - shard.start


def _make_header(
    bank: Bank, prior: Prior, counts: Mapping[str, int], seed: int, settings: Settings
) -> DatasetHeader:
    packages = ("starsmith", "numpy", "numba", "scipy", "zarr")
    return DatasetHeader(
        wave=bank.wave,
        noise=bank.noise,
        label_names=bank.label_names,
        counts=dict(counts),
        seed=check_seed(seed),
        store=settings.store,
        keep_bits=FROZEN_KEEP_BITS if settings.store == "frozen" else KEEP_BITS,
        error_kind=settings.error_kind,
        shard_rows=settings.shard_rows,
        mag_band=bank.mag_band,
        notice=bank.notice,
        config=dict(settings.config),
        bank_digest=bank.digest,
        grid=bank.grid,
        instrument=bank.instrument,
        prior=prior.recorded(),
        noise_model=settings.noise.recorded(),
        population=prior.population.recorded() if prior.population else {},
        versions={name: version(name) for name in packages}
        | {"python": platform.python_version(), "machine": platform.machine()},
    )


def write_dataset(
    bank: Bank,
    prior: Prior,
    n: int | Mapping[str, int],
    out: Path | str,
    seed: int,
    settings: Settings | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Manifest:
    """Simulate a data set and write it as shards; a second call resumes an interrupted one.

    Parameters
    ----------
    bank : Bank
    prior : Prior
    n : int, or dict of split to int
        Total number of spectra (divided by `split_counts`), or the number in each split.
    out : path
        Folder of the data set.
    seed : int
        0..2**32-1.
    settings : Settings, optional
    workers : int
        1 works in this process on one thread; more are processes of one thread each.
    progress : callable, optional
        Called with (spectra done, spectra in all) after every shard.

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    DataError
        If ``out`` holds something else, or another process is writing there.
    ConfigError, GridError
        If the prior, seed or counts cannot be used with this bank.
    """
    counts = split_counts(n) if isinstance(n, int) else dict(n)
    if set(counts) != set(SPLITS) or min(counts.values()) < 1:
        raise ConfigError(
            f"splits {counts}: expected at least one spectrum in each of {list(SPLITS)}"
        )
    out = Path(out)
    settings = settings or Settings()
    header = _make_header(bank, prior, counts, seed, settings)
    check_prior(bank, prior, settings.noise)
    create_dataset(out, header)
    with writer_lock(out):
        plan = plan_shards(counts, header.shard_rows)
        done = finished_shards(out)
        todo = [shard for shard in plan if shard not in done]
        total = sum(counts.values())
        n_done = total - sum(shard.stop - shard.start for shard in todo)
        if progress:
            progress(n_done, total)
        for n_new in _run(todo, (bank, prior, header, out), workers):
            n_done += n_new
            if progress:
                progress(n_done, total)
        return finish_dataset(out)


@contextmanager
def _interrupts_held():
    """Hold Ctrl-C back while workers start.

    They inherit the block, so an interrupt reaches this process alone, and only when no
    worker waits for the rest of its job.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(todo: list[Shard], job: tuple, workers: int):
    """Yield the size of every shard as it is finished."""
    if workers == 1 or len(todo) <= 1:
        threads = numba.get_num_threads()
        bank, prior, header, out = job
        numba.set_num_threads(1)
        try:
            for shard in todo:
                write_shard(out, header, shard, make_shard(bank, prior, header, shard))
                yield shard.stop - shard.start
        finally:
            numba.set_num_threads(threads)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(todo)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=job,
    )
    try:
        with _interrupts_held():
            futures = [pool.submit(_work, shard) for shard in todo]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise StarsmithError(
            f"{job[3]}: a worker process died (out of memory, or killed); finished shards are "
            "kept: run the same command again to resume"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
