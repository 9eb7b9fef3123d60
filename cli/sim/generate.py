"""``specsim generate``: data sets."""

import shlex
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    echo_notice,
    json_option,
    out_option,
    overwrite_option,
)
from starsmith.cli.shared.option_table import grouped, option, parse, takes
from starsmith.cli.shared.option_types import Count, Named, ShardSpan, SplitCounts
from starsmith.cli.shared.options import (
    BankSource,
    bank_options,
    config_option,
    seed_option,
    typed_first,
)
from starsmith.cli.shared.progress import progress_bar
from starsmith.cli.shared.survey_options import (
    noise_options,
    preset_option,
    survey_prior_options,
)
from starsmith.cli.sim.published_files import describe, write_author_shards, write_nodes
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.atomic import write_toml

if TYPE_CHECKING:
    from starsmith.data_contract.bank.bank_file import Bank
    from starsmith.data_contract.dataset.schema import DatasetHeader
    from starsmith.data_contract.noise.view import NoiseModel
    from starsmith.learners.online.device_spectra import DeviceSpectra
    from starsmith.simulator.generation.generate import Settings
    from starsmith.simulator.prior import Prior

__all__ = ["DIVISION", "Request", "generate", "requested"]

TASK_SHARDS = 50  # a quarter of a minute of computing on one core, 100,000 spectra
DIVISION = ("shards", "scheduler", "emit_tasks", "task_shards")
"""Options that divide the making of a data set between machines."""
FEW = 8192  # spectra: they are made before another process has started


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many spectra, in all or of each split."""

    n: int | None = option(
        "-n", type=Count(), help="Spectra in all: 80 % train, val and test at most 1e4 each."
    )
    splits: dict[str, int] | None = option(
        type=SplitCounts(), help="Spectra of each split, instead of -n."
    )
    nodes: bool | None = option(
        is_flag=True,
        default=None,
        help="Instead of -n: the grid's own nodes inside the label ranges, with the noise of every "
        "magnitude from the first to the last of --mag, as OUT/mag_21.5/dataset.h5.",
    )


def _counts(given: dict[str, Any]) -> dict[str, int]:
    """Spectra of each split; UsageError unless exactly one of -n and --splits is given."""
    from starsmith.simulator.generation.generate import split_counts

    sizes = typed_first(*given)
    if len(sizes) != 1:
        raise click.UsageError("give the number of spectra as -n 1e6, or --splits, or --nodes")
    if "nodes" in sizes:
        return {}
    return sizes.get("splits") or split_counts(sizes["n"])


@dataclass(frozen=True, kw_only=True)
class Request:
    """A data set to write: options of ``specsim generate``."""

    counts: dict[str, int] = grouped(replace(takes(Sizes), build=_counts))
    out: Path = out_option("Where to write the data set.", default="data.zarr")
    seed: int = seed_option()
    format: str = option(
        type=Named(["zarr", "hdf5"]),
        default="zarr",
        help="hdf5 also exports the published layout: OUT/train.h5, ..., beside OUT/dataset.zarr.",
    )
    store: str = option(
        type=Named(["noiseless", "frozen", "keys"]),
        default="noiseless",
        help="What is stored: noiseless flux; one noisy flux and its error; or only the keys.",
    )
    precision: str = option(
        type=Named(["relative", "noise"]),
        default="relative",
        help="Of stored fluxes: 2^-13 of themselves (frozen: 2^-11); or in steps of the noise, "
        "at most 1/32 of the background's sigma (frozen: 1/16), in half the bytes.",
    )
    mag_step: float = option(
        type=click.FloatRange(0.001), default=0.5, help="Between magnitudes of --nodes."
    )
    median: str = option(
        type=Named(["1", "0.5"]), default="1", help="Of every spectrum of HDF5 files."
    )
    author_shards: int | None = option(
        type=click.IntRange(1, 100),
        help="Divide train among so many files of --format hdf5, each of its own seed, as authors "
        "do: OUT/train_200k_0/dataset.h5, ..., val_1k, test_10k.",
    )
    shard_rows: int = option(type=Count(16), default=2048, help="Spectra in a shard.")
    workers: int | None = option(
        type=click.IntRange(1, 1024),
        help=f"Processes that make shards.  [default: 2; 1 up to {FEW} spectra]",
    )
    device: str | None = option(
        help="Compute spectra on a device of torch, such as cuda: the same keys and labels, "
        "fluxes within 1e-5 before rounding."
    )
    shards: range | None = option(
        type=ShardSpan(), help="Make only these, such as 0:50; see --emit-tasks."
    )
    scheduler: str | None = option(
        help="Let dask (tcp://host:8786) or mpi workers make the shards."
    )
    emit_tasks: str | None = option(
        type=Named(["slurm", "disbatch"]), help="Write a job file for a cluster."
    )
    task_shards: int | None = option(type=Count(), help="Shards to a task.  [default: 50]")
    max_grid_error: float | None = option(
        type=click.FloatRange(0.0),
        help="Refuse ranges where the grid's mean interpolation error is larger, such as 0.0015.",
    )
    max_grid_bias: float | None = option(
        type=click.FloatRange(0.0),
        help="Refuse ranges where it biases a label by more of its bound at S/N 100, such as 0.2.",
    )
    overwrite: bool = overwrite_option("Replace a data set of another configuration.")
    dry_run: bool = option(is_flag=True, help="Say what would be written, write nothing.")
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)
    prior: "Prior" = grouped(survey_prior_options)
    preset: str | None = preset_option()
    noise: "NoiseModel" = grouped(noise_options)

    def __post_init__(self):
        if self.emit_tasks and (self.shards or self.scheduler):
            raise click.UsageError("--emit-tasks makes no shards: drop --shards and --scheduler")
        if self.task_shards and not self.emit_tasks:
            raise click.UsageError("--task-shards belongs to --emit-tasks slurm or disbatch")

    def resolved(self) -> dict:
        """Everything that decides the data, in the vocabulary of the command's TOML file."""
        from starsmith.data_contract.dataset.schema import SHARD_ROWS

        decided = {"splits": self.counts, "seed": self.seed, "store": self.store}
        stars = self.prior.recorded()
        if self.prior.population is not None:
            stars = {k: v for k, v in stars.items() if k not in self.prior.population.columns}
            stars["population"] = self.prior.population.path
        if not self.counts:
            decided = {"nodes": True, "mag_step": self.mag_step}
        if self.author_shards:
            decided["author_shards"] = self.author_shards
        if self.median != "1":
            decided["median"] = self.median
        if self.preset:
            decided["preset"] = self.preset
        if self.device:
            decided["device"] = self.device
        if self.precision != "relative":
            decided["precision"] = self.precision
        if self.shard_rows != SHARD_ROWS:
            decided["shard_rows"] = self.shard_rows
        return {
            **self.source.describe(),
            **decided,
            "format": self.format,
            **stars,
            **self.noise.recorded(),
        }

    @property
    def settings(self) -> "Settings":
        """How the data set is stored."""
        from starsmith.simulator.generation.generate import Settings

        return Settings(
            store=self.store,
            precision=self.precision,
            shard_rows=self.shard_rows,
            config=self.resolved(),
            noise=self.noise,
        )

    def estimate(self) -> dict:
        """Refuse what `write` refuses; rows, shards, bytes that would be written, and the room."""
        from starsmith.simulator.generation.rehearsal import bytes_needed, check_place

        bank, prior = self.opened()
        settings, published = self.settings, self.format == "hdf5"
        check_place(bank, prior, self.counts, self.dataset, self.seed, settings, self.overwrite)
        folder = next(parent for parent in self.out.absolute().parents if parent.exists())
        return self.sizes() | {
            "bytes": bytes_needed(bank, prior, self.counts, self.seed, settings, published),
            "bytes_free": shutil.disk_usage(folder).free,
            "config": self.resolved(),
            "dry_run": True,
        }

    def sizes(self) -> dict:
        """Spectra and shards, and where they go."""
        from starsmith.data_contract.dataset.shards import plan_shards

        return {
            "out": str(self.out),
            "counts": self.counts,
            "n_spectra": sum(self.counts.values()),
            "n_shards": len(plan_shards(self.counts, self.shard_rows)),
        }

    def write(self, progress: Callable[[int, int], None]) -> dict:
        """Write the data set, or finish an interrupted one.

        Returns
        -------
        report : dict
            Counts, bytes, digest and resolved configuration.
        """
        from starsmith.data_contract.dataset.manifest import MANIFEST_FILE
        from starsmith.data_contract.dataset.replacing import replacing
        from starsmith.data_contract.files.disk_errors import told_of_disk
        from starsmith.simulator.generation import generate as simulation
        from starsmith.simulator.generation.conversion import export_published
        from starsmith.simulator.generation.kept_memory import keep_memory
        from starsmith.simulator.generation.schedulers import executor_of

        keep_memory()
        bank, prior = self.opened()
        folder, settings = self.dataset, self.settings
        folder.parent.mkdir(parents=True, exist_ok=True)
        report = self.sizes() | {"config_file": str(self.config_file), "notice": bank.notice}
        if self.emit_tasks:
            simulation.prepare_dataset(bank, prior, self.counts, folder, self.seed, settings)
            return report | self._write_tasks(report["n_shards"])
        workers = self.workers or (2 if sum(self.counts.values()) > FEW else 1)
        where: AbstractContextManager[Path] = nullcontext(folder)
        if self.overwrite:
            asked = simulation.check_request(bank, prior, self.counts, self.seed, settings)
            where = replacing(folder, asked)
        with executor_of(self.scheduler) as executor, told_of_disk(folder), where as place:
            complete = (place / MANIFEST_FILE).exists()
            crew = simulation.Crew(
                workers=workers,
                executor=executor,
                part=self.shards,
                spectra_of=self._on_device(bank),
            )
            manifest = simulation.write_dataset(
                bank, prior, self.counts, place, self.seed, settings, crew, progress
            )
        if manifest is None:
            return report | {"shards": [crew.part.start, crew.part.stop]}
        if self.format == "hdf5":
            export_published(folder, self.out, overwrite=True, median=float(self.median))
        write_toml(self.config_file, self.resolved())
        return report | {
            "bytes": manifest.n_bytes,
            "digest": manifest.digest,
            "already_complete": complete,
        }

    def _on_device(self, bank: "Bank") -> "Callable[[DatasetHeader], DeviceSpectra] | None":
        """What makes the spectra of a data set on ``--device``."""
        if self.device is None:
            return None
        from starsmith.learners.online.device_spectra import DeviceSpectra

        return lambda header: DeviceSpectra(bank, header, self.device)

    def _write_tasks(self, n_shards: int) -> dict:
        """Write the job file of a cluster, and the configuration it names."""
        from starsmith.simulator.generation.task_file import MOST_TASKS, Tasks

        write_toml(self.config_file, self.resolved())
        place = shlex.quote(str(self.dataset.absolute()))
        config = shlex.quote(str(self.config_file.absolute()))
        tasks = Tasks(
            out=self.dataset,
            what="shards",
            command=f"specsim generate --config {config} --out {place}",
            finish=f"specdata finish {place}",
            n=n_shards,
            per_task=self.task_shards or max(TASK_SHARDS, -(-n_shards // MOST_TASKS)),
        )
        file = tasks.write(self.emit_tasks)
        return {"task_file": str(file), "n_tasks": len(tasks.spans)}

    def opened(self) -> "tuple[Bank, Prior]":
        """Bank and prior, where the options go together."""
        from starsmith.simulator.generation.grid_trust import require_grid_errors
        from starsmith.simulator.presets import settle

        self._check()
        bank = self.source.moving(self.prior.moving).reddened(self.prior.reddened).open()
        limits = {"error": self.max_grid_error, "bias": self.max_grid_bias}
        limits = {name: limit for name, limit in limits.items() if limit is not None}
        if limits:
            require_grid_errors(bank, self.prior, limits)
        return bank, settle(self.preset or "", bank, self.prior)

    def _check(self) -> None:
        """Refuse options that do not go together."""
        if self.format == "hdf5" and self.store == "frozen":
            raise ConfigError(
                "--format hdf5 holds noiseless flux, --store frozen does not; use --store noiseless"
            )
        if self.precision == "noise" and self.store == "keys":
            raise ConfigError("--store keys holds no flux that --precision noise could round")
        if self.device and (self.workers or self.scheduler or self.emit_tasks or not self.counts):
            raise ConfigError(
                "--device works in one process: drop --workers, --scheduler, --emit-tasks, --nodes"
            )
        if self.device:
            from starsmith.learners.device import pick_device

            pick_device(self.device)
        divided = self.shards or self.scheduler or self.emit_tasks
        if divided and (self.overwrite or self.format == "hdf5"):
            raise ConfigError(
                "--shards, --scheduler and --emit-tasks go with --format zarr and without "
                "--overwrite: remove the old data set first, export with `specdata convert`"
            )

    @property
    def config_file(self) -> Path:
        """TOML file of the resolved configuration."""
        return self.out.with_name(f"{self.out.name}.toml")

    @property
    def dataset(self) -> Path:
        """Folder of the data set itself: beside the exported files for ``hdf5``."""
        return self.out / "dataset.zarr" if self.format == "hdf5" else self.out


@click.command(
    cls=Command,
    examples=(
        "specsim generate --mag 20.5-22.5 -n 1e6",
        "specsim generate -n 2000 --logg 1-3 --seeing 0.8 --out giants.zarr --seed 7",
        "specsim generate --config run.toml --out data.zarr --dry-run",
        "specsim generate --nodes --mag 20.5..22.5 --out nodes/",
        "specsim generate -n 1e6 --format hdf5 --author-shards 5 --median 0.5 --out authors/",
        "specsim generate -n 1e9 --out big.zarr --shard-rows 16384 --emit-tasks slurm",
    ),
    resume="finished shards are kept; run the same command again to continue",
)
@takes(Request)
@config_option()
def generate(options: Request) -> None:
    """Write simulated spectra, divided into train, val and test, as a data set.

    The same command gives the same spectra whatever --workers is, and goes on where an
    interrupted one stopped.
    """
    if options.dry_run and options.counts:
        report = options.estimate()
    else:
        with progress_bar("spectra") as progress:
            if not options.counts:
                report = write_nodes(options, progress)
            elif options.author_shards:
                report = write_author_shards(options, progress)
            else:
                report = options.write(progress)
    if options.as_json:
        echo_json("specsim.generate", report)
    else:
        click.echo(describe(report))
        echo_notice(report.get("notice", ""))


def requested(words: Sequence[str]) -> Request:
    """What ``specsim generate`` is asked for by these words."""
    return parse(generate, Request, words)
