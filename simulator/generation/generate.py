"""Generating data sets: shards made by independent workers, the same bits whoever makes them."""

import logging
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from math import gcd
from pathlib import Path

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.manifest import Manifest
from starsmith.data_contract.dataset.plan import gathered_rows
from starsmith.data_contract.dataset.schema import CHUNK_ROWS, stored_bits
from starsmith.data_contract.dataset.shards import (
    DatasetHeader,
    create_dataset,
    finish_dataset,
    finished_shards,
    open_run,
    plan_shards,
)
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError, DataError, GridError
from starsmith.data_contract.files.disk_errors import told_of_disk
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.noise.coadd import widest_conditions
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel, Response, signal_to_noise
from starsmith.data_contract.quantities import SPLITS
from starsmith.data_contract.random import check_seed
from starsmith.data_contract.tables.population import Population
from starsmith.simulator.generation.executors import Crew, run_shards
from starsmith.simulator.generation.job import Job
from starsmith.simulator.observe import draw_stars, model_flux
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import touches_filled
from starsmith.simulator.rendering.positivity import check_positive

__all__ = [
    "Crew",
    "Settings",
    "check_population",
    "check_prior",
    "prepare_dataset",
    "split_counts",
    "write_dataset",
]

log = logging.getLogger(__name__)

HELD_OUT_FRACTION = 0.1
HELD_OUT_MOST = 10_000
MOST_FILES = 400_000  # of single shards: with those they share, a manifest of 60 MB

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a data set is stored.

    Attributes
    ----------
    store : str
        ``noiseless``, ``frozen`` or ``keys``.
    precision : str
        ``relative``, or ``noise``: fluxes in steps of the noise as well, in half the bytes.
    error_kind : str
        Honest error of a frozen store: ``observed`` or ``smooth``.
    shard_rows : int
        Spectra per shard, the unit of work.
    noise : NoiseModel
        Terms of the noise.
    config : dict
        Resolved configuration of the command, recorded as it is.

    Examples
    --------
    >>> kept = starsmith.Settings(store="frozen")
    >>> _ = starsmith.write_dataset(bank, prior, 40, "frozen.zarr", seed=1, settings=kept)
    >>> starsmith.open_dataset("frozen.zarr").header.store
    'frozen'
    """

    store: str = "noiseless"
    precision: str = "relative"
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
    elif prior.nodes is None:  # stars on nodes leave most of the box empty
        check_positive(bank, prior.ranges)
    drawn = draw_stars(bank, prior, 0, "train", np.arange(2))
    bounds = {name: np.array(span) for name, span in prior.ranges.items()}
    corners = {"index": drawn.index, **bounds}
    ends = Draws.of_columns(drawn.seed, drawn.split, drawn.label_names, corners)
    if prior.population is not None:
        ends = replace(ends, labels=drawn.labels)
    signal_to_noise(bank.noise, model_flux(bank, ends), ends.conditions)
    Response.of(bank.noise, widest_conditions(noise, ends.conditions))


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
        **stored_bits(settings.store, settings.precision),
        error_kind=settings.error_kind,
        shard_rows=settings.shard_rows,
        chunk_rows=gcd(settings.shard_rows, CHUNK_ROWS),
        column_rows=gathered_rows(counts, settings.shard_rows),
        mag_band=bank.mag_band,
        notice=bank.notice,
        config=dict(settings.config),
        bank_digest=bank.digest,
        grid=bank.grid,
        instrument=bank.instrument,
        prior=prior.recorded(bank.label_names),
        noise_model=settings.noise.recorded(),
        population=prior.population.recorded() if prior.population else {},
        versions={name: version(name) for name in packages}
        | {"python": platform.python_version(), "machine": platform.machine()},
    )


def check_request(
    bank: Bank, prior: Prior, n: int | Mapping[str, int], seed: int, settings: Settings
) -> DatasetHeader:
    """Header of the data set that is asked for; arguments and errors as in `write_dataset`."""
    counts = split_counts(n) if isinstance(n, int) else dict(n)
    if set(counts) != set(SPLITS) or min(counts.values()) < 1:
        raise ConfigError(
            f"splits {counts}: expected at least one spectrum in each of {list(SPLITS)}"
        )
    check_prior(bank, prior, settings.noise)
    header = _make_header(bank, prior, counts, seed, settings)
    _check_files(header)
    return header


def _check_files(header: DatasetHeader) -> None:
    """Refuse more files than a manifest lists, with the size of shards that makes fewer."""
    rows, per_shard = header.shard_rows, len(header.columns) - len(header.gathered) + 1
    while (n_file := per_shard * sum(-(-n // rows) for n in header.counts.values())) > MOST_FILES:
        rows *= 2
    if rows > header.shard_rows:
        raise ConfigError(
            f"shards of {header.shard_rows} spectra make more than {MOST_FILES:,} files, which no "
            f"manifest lists; pass --shard-rows {rows}: {n_file:,} files"
        )


def prepare_dataset(
    bank: Bank,
    prior: Prior,
    n: int | Mapping[str, int],
    out: Path | str,
    seed: int,
    settings: Settings | None = None,
) -> DatasetHeader:
    """Check what is asked for and create the empty data set; arguments as in `write_dataset`."""
    header = check_request(bank, prior, n, seed, settings or Settings())
    header = _laid_out_as(Path(out), header)
    with told_of_disk(Path(out)):
        create_dataset(out, header)
    return header


def _laid_out_as(out: Path, header: DatasetHeader) -> DatasetHeader:
    """The header with the files per column of a data set that is there, begun by older software."""
    try:
        return replace(header, column_rows=open_run(out).column_rows)
    except DataError:
        return header


def write_dataset(
    bank: Bank,
    prior: Prior,
    n: int | Mapping[str, int],
    out: Path | str,
    seed: int,
    settings: Settings | None = None,
    workers: int | Crew = 1,
    progress: Progress | None = None,
) -> Manifest | None:
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
    workers : int or Crew
        1 works in this process on one thread; more are processes of one thread each. A `Crew`
        may bring an executor, or make some of the shards only.
    progress : callable, optional
        Called with (spectra done, spectra in all) after every shard.

    Returns
    -------
    manifest : Manifest or None
        None where the crew made a part: `finish_dataset` completes what all parts made.

    Raises
    ------
    DataError
        If ``out`` holds something else, or another process is writing there.
    ConfigError, GridError
        If the prior, seed, counts or part cannot be used with this bank.
    StarsmithError
        If the disk is full or cannot be written, or workers died; finished shards are kept.

    Examples
    --------
    >>> _ = starsmith.write_dataset(bank, prior, 40, "small.zarr", seed=1)
    >>> len(starsmith.open_dataset("small.zarr").split("train"))
    32
    """
    out = Path(out)
    crew = workers if isinstance(workers, Crew) else Crew(workers=workers)
    elsewhere = None
    if crew.spectra_of:  # it may refuse, before anything is written
        elsewhere = crew.spectra_of(check_request(bank, prior, n, seed, settings or Settings()))
    header = prepare_dataset(bank, prior, n, out, seed, settings)
    with told_of_disk(out), writer_lock(out, crew.part):
        plan = plan_shards(header.counts, header.shard_rows)
        wanted = plan if crew.part is None else _part_of(plan, crew.part)
        done = finished_shards(out, wanted)
        todo = [shard for shard in wanted if shard not in done]
        total = sum(shard.stop - shard.start for shard in wanted)
        n_done = total - sum(shard.stop - shard.start for shard in todo)
        if progress:
            progress(n_done, total)
        for n_new in run_shards(Job(bank, prior, header, out, elsewhere), todo, crew):
            n_done += n_new
            if progress:
                progress(n_done, total)
        return finish_dataset(out) if crew.part is None else None


def _part_of(plan: tuple, part: range) -> tuple:
    if not 0 <= part.start < part.stop <= len(plan):
        raise ConfigError(
            f"--shards {part.start}:{part.stop} is not within 0:{len(plan)}, the shards of this "
            "data set"
        )
    return plan[part.start : part.stop]
