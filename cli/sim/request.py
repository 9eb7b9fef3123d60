"""What `specsim generate` was asked for: sizes, resolved configuration, estimate, run."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.datasets import export_published, remove_dataset
from starsmith.cli.shared.options import BankSource, typed_first
from starsmith.cli.sim.division import ALONE, Division
from starsmith.cli.sim.executor_choice import executor_of
from starsmith.cli.sim.tasks import Tasks
from starsmith.data_contract.dataset.manifest import MANIFEST_FILE
from starsmith.data_contract.dataset.schema import SHARD_ROWS
from starsmith.data_contract.dataset.shards import plan_shards
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.atomic import write_toml
from starsmith.data_contract.noise.view import NoiseModel
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.simulator.generation.generate import (
    Crew,
    Settings,
    check_prior,
    prepare_dataset,
    split_counts,
    write_dataset,
)
from starsmith.simulator.presets import settle
from starsmith.simulator.prior import Prior

__all__ = ["Request", "describe"]

BYTES_PER_PIXEL = {"noiseless": 1.3, "frozen": 3.1, "keys": 0.0}  # rounded and compressed
HEADER_BYTES_PER_PIXEL = 650  # wavelengths and noise tables, once
SCALARS_PER_ROW = 6 + len(CONDITIONS)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A data set to write.

    Attributes
    ----------
    source : BankSource
    prior : Prior
    noise : NoiseModel
    preset : str or None
        What completes the prior once the grid is known.
    counts : dict of str to int
        Spectra in each split.
    seed : int
    out : Path
    store : str
        ``noiseless``, ``frozen`` or ``keys``.
    format : str
        ``zarr`` or ``hdf5``.
    workers : int
    overwrite : bool
    shard_rows : int
        Spectra in a shard.
    division : Division
        Which shards to make, and who makes them.
    """

    source: BankSource
    prior: Prior
    noise: NoiseModel
    preset: str | None
    counts: dict[str, int]
    seed: int
    out: Path
    store: str
    format: str
    workers: int
    overwrite: bool
    shard_rows: int = SHARD_ROWS
    division: Division = ALONE

    @classmethod
    def from_options(cls, **options) -> "Request":
        """Settle the split sizes; UsageError unless exactly one of -n and --splits is given."""
        sizes = typed_first("n", "splits")
        if len(sizes) != 1:
            raise click.UsageError("give the number of spectra as -n 1e6, or --splits, not both")
        del options["n"], options["splits"]
        counts = sizes.get("splits") or split_counts(sizes["n"])
        return cls(counts=counts, **options)

    def resolved(self) -> dict:
        """Everything that decides the data, in the vocabulary of the command's TOML file."""
        decided = {"splits": self.counts, "seed": self.seed, "store": self.store}
        stars = self.prior.recorded()
        if self.prior.population is not None:
            stars = {k: v for k, v in stars.items() if k not in self.prior.population.columns}
            stars["population"] = self.prior.population.path
        if self.preset:
            decided["preset"] = self.preset
        if self.shard_rows != SHARD_ROWS:
            decided["shard_rows"] = self.shard_rows
        return {
            **self.source.describe(),
            **decided,
            "format": self.format,
            **stars,
            **self.noise.recorded(),
        }

    def estimate(self) -> dict:
        """Rows, shards and bytes that would be written, and the room there is."""
        n_wave = self._n_wave()
        per_row = SCALARS_PER_ROW * 8 + BYTES_PER_PIXEL[self.store] * n_wave
        folder = next(parent for parent in self.out.absolute().parents if parent.exists())
        return {
            "out": str(self.out),
            "counts": self.counts,
            "n_spectra": sum(self.counts.values()),
            "n_shards": len(plan_shards(self.counts, self.shard_rows)),
            "bytes": int(HEADER_BYTES_PER_PIXEL * n_wave + per_row * sum(self.counts.values())),
            "bytes_free": shutil.disk_usage(folder).free,
            "config": self.resolved(),
            "dry_run": True,
        }

    def write(self, progress: Callable[[int, int], None]) -> dict:
        """Write the data set, or finish an interrupted one.

        Returns
        -------
        report : dict
            Counts, bytes, digest and resolved configuration.
        """
        if self.format == "hdf5" and self.store == "frozen":
            raise ConfigError(
                "--format hdf5 holds noiseless flux, --store frozen does not; use --store noiseless"
            )
        if self.division != ALONE and (self.overwrite or self.format == "hdf5"):
            raise ConfigError(
                "--shards, --scheduler and --emit-tasks go with --format zarr and without "
                "--overwrite: remove the old data set first, export with `specdata convert`"
            )
        bank = self.source.moving(self.prior.moving).reddened(self.prior.reddened).open()
        prior = settle(self.preset or "", bank, self.prior)
        folder = self.dataset
        if self.overwrite and folder.exists():
            check_prior(bank, prior, self.noise)  # while the old data are still there
            remove_dataset(folder)
        complete = (folder / MANIFEST_FILE).exists()
        folder.parent.mkdir(parents=True, exist_ok=True)
        settings = Settings(
            store=self.store, shard_rows=self.shard_rows, config=self.resolved(), noise=self.noise
        )
        job = (bank, prior, self.counts, folder, self.seed, settings)
        config_file = self.out.with_name(f"{self.out.name}.toml")
        report = {
            "out": str(self.out),
            "counts": self.counts,
            "n_spectra": sum(self.counts.values()),
            "n_shards": len(plan_shards(self.counts, self.shard_rows)),
            "config_file": str(config_file),
            "notice": bank.notice,
        }
        if self.division.emit_tasks:
            prepare_dataset(*job)
            write_toml(config_file, self.resolved())
            tasks = Tasks(
                out=folder,
                config=config_file,
                n_shards=report["n_shards"],
                per_task=self.division.task_shards,
            )
            file = tasks.write(self.division.emit_tasks)
            return report | {"task_file": str(file), "n_tasks": len(tasks.spans)}
        with executor_of(self.division.scheduler) as executor:
            crew = Crew(workers=self.workers, executor=executor, part=self.division.shards)
            manifest = write_dataset(*job, crew, progress)
        if manifest is None:
            return report | {"shards": [crew.part.start, crew.part.stop]}
        if self.format == "hdf5":
            export_published(folder, self.out, overwrite=True)
        write_toml(config_file, self.resolved())
        return report | {
            "bytes": manifest.n_bytes,
            "digest": manifest.digest,
            "already_complete": complete,
        }

    @property
    def dataset(self) -> Path:
        """Folder of the data set itself: beside the exported files for ``hdf5``."""
        return self.out / "dataset.zarr" if self.format == "hdf5" else self.out

    def _n_wave(self) -> int:
        if self.source.bank is not None:
            return self.source.open().wave.size
        from starsmith.simulator.instruments import load_instrument

        return load_instrument(self.source.instrument).wave.size


def describe(report: dict) -> str:
    """One line on what was, or would be, written."""
    if "task_file" in report:
        return (
            f"{report['n_tasks']} tasks for {report['n_shards']} shards in {report['task_file']}, "
            "which says how to run it"
        )
    if "shards" in report:
        start, stop = report["shards"]
        return (
            f"shards {start}:{stop} of {report['n_shards']} written; when all are, "
            f"`specdata finish {report['out']}` completes the data set"
        )
    splits = " + ".join(f"{count} {split}" for split, count in report["counts"].items())
    size = f"{report['bytes'] / 1e6:.1f} MB"
    if report.get("dry_run"):
        room = f"{report['bytes_free'] / 1e9:.1f} GB free"
        return (
            f"would write {splits} spectra in {report['n_shards']} shards, about {size} "
            f"({room}), to {report['out']}"
        )
    state = "already complete" if report["already_complete"] else "written"
    return f"{splits} spectra, {size}, {state}: {report['out']}"
