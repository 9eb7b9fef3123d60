"""Files in the published layout that ``specsim generate`` writes: nodes, and authors' shards."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.atomic import write_toml

if TYPE_CHECKING:
    from starsmith.data_contract.bank.bank_file import Bank
    from starsmith.simulator.prior import Prior

__all__ = ["describe", "describe_files", "write_author_shards", "write_nodes"]

Report = Callable[[int, int], None]


class Asked(Protocol):
    """What these files need of the options of ``specsim generate``."""

    counts: dict[str, int]
    out: Path
    seed: int
    format: str
    shards: range | None
    scheduler: str | None
    emit_tasks: str | None
    mag_step: float
    median: str
    author_shards: int | None
    overwrite: bool
    dry_run: bool

    @property
    def config_file(self) -> Path:
        """TOML file of the resolved configuration."""

    def opened(self) -> "tuple[Bank, Prior]":
        """Bank and prior."""

    def sizes(self) -> dict:
        """Spectra and shards."""

    def resolved(self) -> dict:
        """Everything that decides the data."""

    def write(self, progress: Report) -> dict:
        """Write one data set."""


def write_nodes(options: Asked, progress: Report) -> dict:
    """Write the spectra of a grid's nodes at every magnitude, or say what would be written."""
    import numpy as np

    from starsmith.simulator.generation.node_spectra import NodeSpectra

    bank, prior = options.opened()
    low, high = prior.ranges["mag"]
    count = int((high - low) / options.mag_step + 1e-9) + 1
    mags = np.round(low + options.mag_step * np.arange(count), 9).tolist()
    nodes = NodeSpectra(bank, prior)
    report = {
        "out": str(options.out),
        "n_nodes": len(nodes.labels),
        "mags": mags,
        "n_spectra": len(nodes.labels) * count,
        "notice": bank.notice,
    }
    if options.dry_run:
        return report | {"dry_run": True}
    files = nodes.write(options.out, mags, float(options.median), options.overwrite, progress)
    write_toml(options.config_file, options.resolved())
    return report | {"written": [str(file) for file in files]}


def write_author_shards(options: Asked, progress: Report) -> dict:
    """Write a data set of each seed, and export them under the names that authors give."""
    from starsmith.simulator.generation.author_shards import author_files, shard_counts
    from starsmith.simulator.generation.conversion import export_splits

    if options.format != "hdf5" or options.shards or options.scheduler or options.emit_tasks:
        raise ConfigError("--author-shards goes with --format hdf5 and one machine")
    report, written = {}, []
    for k, counts in enumerate(shard_counts(options.counts, options.author_shards)):
        seed = options.seed + k
        out = options.out / f"seed_{seed}.zarr"
        part = replace(
            options, counts=counts, seed=seed, format="zarr", author_shards=None, out=out
        )
        report = part.write(progress)
        files = author_files(options.out, options.counts, options.author_shards, k)
        written += export_splits(out, files, float(options.median))
    write_toml(options.config_file, options.resolved())
    told = {"written": [str(file) for file in written], "config_file": str(options.config_file)}
    return report | options.sizes() | told


def describe_files(report: dict) -> str:
    """One line on nodes; the files of authors' shards, a line each."""
    if "n_nodes" not in report:
        return "\n".join(report["written"])
    state = "would write" if report.get("dry_run") else "written"
    mags = ", ".join(f"{mag:g}" for mag in report["mags"])
    return f"{state} {report['n_nodes']} nodes at magnitudes {mags}: {report['out']}"


def describe(report: dict) -> str:
    """One line on what was, or would be, written."""
    if "n_nodes" in report or "written" in report:
        return describe_files(report)
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
