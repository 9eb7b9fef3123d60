"""``specdata check-leakage``: spectra that several files share."""

from dataclasses import asdict
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option

__all__ = ["check_leakage"]


@click.command(
    "check-leakage",
    cls=Command,
    examples=(
        "specdata check-leakage data.zarr other.zarr",
        "specdata check-leakage published/train.h5 published/test.h5 survey.ecsv",
    ),
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@json_option()
def check_leakage(paths, as_json):
    """Look for spectra that the files at PATHS share; exit code 3 where training meets test.

    Compares draw keys and contents of data sets, and identifiers (targetid, source_id, ...) of
    tables and HDF5 files.
    """
    from starsmith.cli.shared.datasets import require_apart
    from starsmith.data_contract.checks.leakage import find_shared

    if len(paths) < 2:
        raise click.UsageError("name two files or more to compare")
    shared = find_shared(paths)
    if as_json:
        echo_json("specdata.check-leakage", {"shared": [asdict(entry) for entry in shared]})
    else:
        for entry in shared:
            click.echo(f"{'LEAK: ' if entry.leak else ''}{entry}")
        if not shared:
            click.echo("nothing in common")
    require_apart(shared)
