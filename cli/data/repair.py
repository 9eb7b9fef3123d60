"""``specdata repair``: damaged parts of a data set made again."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.data.options import remake_option, remaker_of
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, argument, grouped, takes
from starsmith.cli.shared.options import BankSource, bank_options
from starsmith.cli.shared.progress import progress_bar

__all__ = ["RepairOptions", "repair"]


@dataclass(frozen=True, kw_only=True)
class RepairOptions:
    """Options of ``specdata repair``."""

    path: Path = argument(type=EXISTING)
    remake: bool = remake_option()
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)


@click.command(
    cls=Command,
    examples=("specdata repair data.zarr", "specdata repair data.zarr --bank bank.zarr --json"),
    resume="shards made again are kept; run the same command again",
)
@takes(RepairOptions)
def repair(options: RepairOptions) -> None:
    """Make the damaged shards and files of the data set at PATH again.

    Spectra come from the bank recorded in PATH unless one is named. Exit code 0 means that
    everything verifies afterwards.
    """
    from starsmith.data_contract.checks.repair import repair_dataset
    from starsmith.data_contract.files.disk_errors import told_of_disk

    path = options.path
    with progress_bar("repair", "shards") as progress, told_of_disk(path, "what is intact is kept"):
        done = repair_dataset(path, remaker_of(path, options.source), progress, options.remake)
    report = {
        "path": str(path),
        "findings": done.findings,
        "shards": [{"shard": name, "same_bits": same} for name, same in done.shards.items()],
        "files": done.headers,
        "removed": done.removed,
        "digest_before": done.digest_before,
        "digest": done.digest,
    }
    if options.as_json:
        echo_json("specdata.repair", report)
        return
    for text in report["findings"]:
        click.echo(text, err=True)
    click.echo(repaired(report))


def repaired(report: dict) -> str:
    """One line on what was made again."""
    shards = report["shards"]
    other = [entry["shard"] for entry in shards if not entry["same_bits"]]
    if not (report["findings"] or shards or report["files"] or report["removed"]):
        return f"{report['path']}: nothing to repair"
    parts = [f"{len(shards)} shard(s)", f"{len(report['files'])} other file(s) made again"]
    removed = f", {len(report['removed'])} removed" if report["removed"] else ""
    bits = "the bits that were recorded"
    if other:
        bits = f"the recorded values to 1e-6, but other bits, in {', '.join(other)}"
    return f"{report['path']}: {' and '.join(parts)}{removed}; {bits}; all verified"
