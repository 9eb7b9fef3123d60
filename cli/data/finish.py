"""``specdata finish``: a data set whose shards are all written is completed."""

import click

from starsmith.cli.data.options import path_argument
from starsmith.cli.shared.command import Command, echo_json, json_option

__all__ = ["finish"]


@click.command(cls=Command, examples=("specdata finish data.zarr",))
@path_argument
@json_option()
def finish(path, as_json):
    """Complete the data set at PATH once all shards are written by `generate --shards`.

    Refuses with the list of those that are missing.
    """
    from starsmith.data_contract.dataset.shards import finish_dataset, writer_lock
    from starsmith.data_contract.files.disk_errors import told_of_disk

    with told_of_disk(path, "all shards are kept"), writer_lock(path):
        manifest = finish_dataset(path)
    if as_json:
        echo_json("specdata.finish", {"path": str(path), "digest": manifest.digest})
    else:
        click.echo(f"{path}: complete, {manifest.n_bytes / 1e6:.1f} MB")
