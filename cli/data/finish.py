"""``specdata finish``: a data set whose shards are all written is completed."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, argument, takes

__all__ = ["FinishOptions", "finish"]


@dataclass(frozen=True, kw_only=True)
class FinishOptions:
    """Options of ``specdata finish``."""

    path: Path = argument(type=EXISTING)
    as_json: bool = json_option()


@click.command(cls=Command, examples=("specdata finish data.zarr",))
@takes(FinishOptions)
def finish(options: FinishOptions) -> None:
    """Complete the data set at PATH once all shards are written by `generate --shards`.

    Refuses with the list of those that are missing.
    """
    from starsmith.data_contract.dataset.shards import finish_dataset
    from starsmith.data_contract.files.disk_errors import told_of_disk
    from starsmith.data_contract.files.lock import writer_lock

    path = options.path
    with told_of_disk(path, "all shards are kept"), writer_lock(path):
        manifest = finish_dataset(path)
    if options.as_json:
        echo_json("specdata.finish", {"path": str(path), "digest": manifest.digest})
    else:
        click.echo(f"{path}: complete, {manifest.n_bytes / 1e6:.1f} MB")
