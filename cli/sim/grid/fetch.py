"""``specsim grid fetch``: what would be, or was, downloaded."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, out_option
from starsmith.cli.shared.option_table import argument, grouped, option, takes
from starsmith.cli.shared.option_types import Count, Named, Range
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.errors import ConfigError, StarsmithError

if TYPE_CHECKING:
    from starsmith.simulator.grids.download.fetch_plan import FetchPlan

__all__ = ["FetchRequest", "fetch"]


@dataclass(frozen=True, kw_only=True)
class Box:
    """Ranges of labels, by their names."""

    teff: tuple[float, float] = option(
        type=Range("teff"), required=True, help="Effective temperature [K]."
    )
    logg: tuple[float, float] = option(
        type=Range("logg"), required=True, help="Surface gravity log g [dex(cgs)]."
    )
    m_h: tuple[float, float] = option(
        type=Range("m_h"), required=True, help="Metallicity [M/H] [dex]."
    )
    a_m: tuple[float, float] = option(type=Range("a_m"), default="0", help="[alpha/M] [dex].")
    c_m: tuple[float, float] = option(type=Range("c_m"), default="0", help="[C/M] [dex].")


@dataclass(frozen=True, kw_only=True)
class FetchRequest:
    """A box of archive files and the folder they go to: options of ``specsim grid fetch``."""

    archive: str = argument(type=Named(["bosz2017", "bosz2024"]))
    ranges: dict[str, tuple[float, float]] = grouped(replace(takes(Box), build=dict))
    resolution: int = option(type=Count(), default=50000, help="wave / FWHM.")
    format: str | None = option(
        type=Named(["fits", "ascii", "text"]), help="bosz2017: fits (default), ascii."
    )
    microturbulence: int = option(type=Count(minimum=0), default=2, help="[km/s]")
    wave_min: float | None = option(
        type=float, help="Keep this vacuum range of each file only [Angstrom], with --wave-max."
    )
    wave_max: float | None = option(type=float, help="Where the range ends [Angstrom].")
    out: Path = out_option("Folder for the files; goes on with what is there.")
    base_url: str | None = option(help="A mirror of the archive.  [default: the archive at MAST]")
    connections: int = option(
        type=click.IntRange(1, 16), default=4, help="Files on the way at a time."
    )
    dry_run: bool = option(is_flag=True, help="Say what would be fetched; open no connection.")
    as_json: bool = json_option()

    def plan(self) -> "FetchPlan":
        """Files of the box."""
        from starsmith.simulator.grids import plan_fetch

        if (self.wave_min is None) != (self.wave_max is None):
            raise ConfigError("--wave-min and --wave-max crop together; give both, or neither")
        crop = None if self.wave_min is None else (self.wave_min, self.wave_max)
        return plan_fetch(
            self.archive.removeprefix("bosz"),
            self.ranges,
            self.resolution,
            self.format,
            self.microturbulence,
            self.base_url,
            crop,
        )

    def estimate(self) -> dict:
        """Files and bytes that would come, and the room there is; opens no connection."""
        from starsmith.simulator.grids.download.fetch import missing_bytes, room_bytes

        plan = self.plan()
        folders = (self.out.absolute(), *self.out.absolute().parents)
        folder = next(parent for parent in folders if parent.is_dir())
        present = sum((self.out / plan.kept_name(file)).exists() for file in plan.files)
        return {
            "out": str(self.out),
            "source": plan.base_url,
            **plan.setup,
            "n_files": len(plan.files),
            "n_present": present,
            "n_never_computed": len(plan.never_computed),
            "bytes": missing_bytes(plan, self.out),
            "bytes_needed": room_bytes(plan, self.out, self.connections),
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
        with progress_bar(self.archive, "files") as bar:

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
            "bytes_kept": done.n_kept,
        }


@click.command(
    cls=Command,
    examples=(
        "specsim grid fetch bosz2017 --teff 3500..6500 --logg 0..5 --m-h -2.5..0.75 --out bosz/ "
        "--wave-min 6400 --wave-max 9100",
        "specsim grid fetch bosz2024 --teff 5000 --logg 4..5 --m-h -1..0.5 --out bosz/ --dry-run",
    ),
    resume="whole files are kept and parts continued; run the same command again",
)
@takes(FetchRequest)
def fetch(options: FetchRequest) -> None:
    """Download a box of BOSZ spectra, ready for `specsim grid import`.

    Models the archive lacks are recorded as holes.
    """
    report = options.estimate() if options.dry_run else options.fetch()
    if options.as_json:
        echo_json("specsim.grid.fetch", report)
    else:
        click.echo(_describe(report))


def _describe(report: dict) -> str:
    """What was, or would be, downloaded, in a line or two."""
    absent = f", {report['n_never_computed']} never computed" * bool(report["n_never_computed"])
    if report.get("dry_run"):
        return (
            f"would fetch {report['n_files'] - report['n_present']} of {report['n_files']} files"
            f"{absent}, about {_megabytes(report['bytes'])} "
            f"({_megabytes(report['bytes_needed'])} on the disk, {report['bytes_free'] / 1e9:.1f} "
            f"GB free), to {report['out']}\n"
            f"from {report['source']}: {report['first']} .. {report['last']}"
        )
    return (
        f"{report['n_fetched']} files fetched ({_megabytes(report['bytes'])}, "
        f"{_megabytes(report['bytes_kept'])} kept), "
        f"{report['n_kept']} there already, {len(report['holes'])} not in the archive{absent}\n"
        f"next: specsim grid import {report['out']} --out bosz.zarr"
    )


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.2f} GB"
