"""``specdata check-leakage``: spectra that several files share."""

from dataclasses import asdict, dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, argument, takes

__all__ = ["LeakageOptions", "check_leakage"]


@dataclass(frozen=True, kw_only=True)
class LeakageOptions:
    """Options of ``specdata check-leakage``."""

    paths: tuple[Path, ...] = argument(nargs=-1, required=True, type=EXISTING)
    as_json: bool = json_option()


@click.command(
    "check-leakage",
    cls=Command,
    examples=(
        "specdata check-leakage data.zarr other.zarr",
        "specdata check-leakage published/train.h5 published/test.h5",
        "specdata check-leakage survey_train.ecsv survey_test.ecsv",
    ),
)
@takes(LeakageOptions)
def check_leakage(options: LeakageOptions) -> None:
    """Look for spectra that the files at PATHS share; exit code 3 where training meets test.

    Compares draw keys and contents of data sets, and identifiers (targetid, source_id, ...) of
    tables and HDF5 files.
    """
    from starsmith.data_contract.checks.leakage import find_shared, require_apart

    if len(options.paths) < 2:
        raise click.UsageError("name two files or more to compare")
    shared = find_shared(options.paths)
    if options.as_json:
        echo_json("specdata.check-leakage", {"shared": [asdict(entry) for entry in shared]})
    else:
        for entry in shared:
            click.echo(f"{'LEAK: ' if entry.leak else ''}{entry}")
        if not shared:
            click.echo("nothing in common")
    require_apart(shared)
