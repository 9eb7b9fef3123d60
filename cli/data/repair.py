"""``specdata repair``: damaged parts of a data set made again."""

import click

from starsmith.cli.data.options import named_bank, path_argument, remake_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.options import bank_options
from starsmith.cli.shared.progress import progress_bar

__all__ = ["repair"]


@click.command(
    cls=Command,
    examples=("specdata repair data.zarr", "specdata repair data.zarr --bank bank.zarr --json"),
    resume="shards made again are kept; run the same command again",
)
@path_argument
@remake_option
@json_option()
@bank_options
def repair(path, remake, as_json, source):
    """Make the damaged shards and files of the data set at PATH again.

    Spectra come from the bank recorded in PATH unless one is named. Exit code 0 means that
    everything verifies afterwards.
    """
    from starsmith.cli.shared import datasets

    with progress_bar("repair", "shards") as progress:
        report = datasets.repair(path, named_bank(source), progress, thorough=remake)
    if as_json:
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
