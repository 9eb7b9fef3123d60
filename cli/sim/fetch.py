"""``specsim grid fetch``: what would be, or was, downloaded."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.option_types import LABEL_NAMES
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.errors import StarsmithError

__all__ = ["FetchRequest", "describe"]


@dataclass(frozen=True, kw_only=True)
class FetchRequest:
    """A box of archive files and the folder they go to."""

    release: str
    ranges: dict[str, tuple[float, float]]
    resolution: int
    format: str | None
    microturbulence: int
    base_url: str | None
    out: Path
    connections: int

    @classmethod
    def from_options(cls, archive: str, **options) -> "FetchRequest":
        """Gather the options of the command; ``archive`` is bosz2017 or bosz2024."""
        ranges = {name: options.pop(name) for name in LABEL_NAMES}
        return cls(release=archive.removeprefix("bosz"), ranges=ranges, **options)

    def plan(self):
        """Files of the box."""
        from starsmith.simulator.grids import plan_fetch

        return plan_fetch(
            self.release,
            self.ranges,
            self.resolution,
            self.format,
            self.microturbulence,
            self.base_url,
        )

    def estimate(self) -> dict:
        """Files and bytes that would come, and the room there is; opens no connection."""
        from starsmith.simulator.grids.download.fetch import missing_bytes

        plan = self.plan()
        folders = (self.out.absolute(), *self.out.absolute().parents)
        folder = next(parent for parent in folders if parent.is_dir())
        present = sum((self.out / file.name).exists() for file in plan.files)
        return {
            "out": str(self.out),
            "source": plan.base_url,
            **plan.setup,
            "n_files": len(plan.files),
            "n_present": present,
            "n_never_computed": len(plan.never_computed),
            "bytes": missing_bytes(plan, self.out),
            "bytes_free": shutil.disk_usage(folder).free,
            "first": plan.files[0].name,
            "last": plan.files[-1].name,
            "dry_run": True,
        }

    def fetch(self) -> dict:
        """Download what is missing; failures are named on stderr.

        Returns
        -------
        report : dict

        Raises
        ------
        StarsmithError
            If a file could not be had.
        """
        from starsmith.simulator.grids import fetch_grid

        plan = self.plan()
        with progress_bar(f"bosz{self.release}", "files") as bar:

            def show(n_done: int, n_files: int, n_received: int) -> None:
                bar(n_done, n_files, _megabytes(n_received))

            done = fetch_grid(plan, self.out, self.connections, progress=show)
        for file, reason in done.failed:
            click.echo(f"failed {file}: {reason}", err=True)
        if done.failed:
            raise StarsmithError(
                f"{len(done.failed)} of {len(plan.files)} files could not be had; run the same "
                "command again: whole files are kept"
            )
        return {
            "out": str(self.out),
            "source": plan.base_url,
            **plan.setup,
            "n_fetched": len(done.fetched),
            "n_kept": len(done.kept),
            "n_never_computed": len(plan.never_computed),
            "holes": done.holes,
            "bytes": done.n_received,
        }


def describe(report: dict) -> str:
    """What was, or would be, downloaded, in a line or two."""
    absent = f", {report['n_never_computed']} never computed" * bool(report["n_never_computed"])
    if report.get("dry_run"):
        return (
            f"would fetch {report['n_files'] - report['n_present']} of {report['n_files']} files"
            f"{absent}, about {_megabytes(report['bytes'])} "
            f"({report['bytes_free'] / 1e9:.1f} GB free), to {report['out']}\n"
            f"from {report['source']}: {report['first']} .. {report['last']}"
        )
    return (
        f"{report['n_fetched']} files fetched ({_megabytes(report['bytes'])}), "
        f"{report['n_kept']} there already, {len(report['holes'])} not in the archive{absent}\n"
        f"next: specsim grid import {report['out']} --out bosz.zarr"
    )


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.2f} GB"
