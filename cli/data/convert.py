"""``specdata convert``: a data set in another format or store."""

from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option

__all__ = ["convert"]


@click.command(
    cls=Command,
    examples=(
        "specdata convert data.zarr published/ --format hdf5",
        "specdata convert published/ back.zarr --format zarr",
        "specdata convert data.zarr frozen.zarr --store frozen",
    ),
    resume="files and shards already written are kept; run the same command again",
)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "layout",
    type=click.Choice(["hdf5", "zarr"]),
    help="hdf5: the layout of the published networks, noiseless and median-normalised.  "
    "[default: the other one, or zarr with --store]",
)
@click.option(
    "--store",
    type=click.Choice(["noiseless", "frozen", "keys"]),
    help="Write a data set that stores something else.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@json_option()
def convert(source, target, as_json, **choices):
    """Convert a data set: to or from HDF5 files, one per split, or to another store.

    Nothing is lost: back from hdf5, or through another store, it is the same data set.
    """
    from starsmith.cli.data.conversions import convert as convert_any

    report = convert_any(source, target, **choices)
    if as_json:
        echo_json("specdata.convert", report)
    else:
        for file in report["written"]:
            click.echo(file)
