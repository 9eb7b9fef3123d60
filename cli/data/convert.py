"""``specdata convert``: a data set in another format or store."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import Named
from starsmith.cli.shared.progress import told_bank

__all__ = ["ConvertOptions", "convert"]


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """Options of ``specdata convert``."""

    source: Path = argument(type=EXISTING)
    target: Path = argument(type=PATH)
    layout: str | None = option(
        "--format",
        type=Named(["hdf5", "zarr"]),
        help="hdf5: the layout of the published networks, noiseless and median-normalised.  "
        "[default: the other one, or zarr with --store]",
    )
    store: str | None = option(
        type=Named(["noiseless", "frozen", "keys"]),
        help="Write a data set that stores something else.",
    )
    precision: str = option(
        type=Named(["relative", "noise"]),
        default="relative",
        help="Of --store: noise stores fluxes in steps of the noise, in half the bytes.",
    )
    folders: bool = option(
        is_flag=True, help="TARGET/train/dataset.h5 instead of TARGET/train.h5, as authors have it."
    )
    median: str = option(
        type=Named(["1", "0.5"]), default="1", help="Of every spectrum of --format hdf5."
    )
    overwrite: bool = overwrite_option("Replace files that are there.")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specdata convert data.zarr published/ --format hdf5",
        "specdata convert data.zarr authors/ --folders --median 0.5",
        "specdata convert published/ back.zarr --format zarr",
        "specdata convert data.zarr frozen.zarr --store frozen",
    ),
    resume="files and shards already written are kept; run the same command again",
)
@takes(ConvertOptions)
def convert(options: ConvertOptions) -> None:
    """Convert a data set: to or from HDF5 files, one per split, or to another store.

    Nothing is lost: back from hdf5, or through another store, it is the same data set.
    """
    from starsmith.simulator.generation.conversion import Conversion, convert_dataset

    wanted = Conversion(
        layout=options.layout,
        store=options.store,
        precision=options.precision,
        folders=options.folders,
        median=float(options.median),
    )
    report = convert_dataset(options.source, options.target, wanted, options.overwrite, told_bank)
    if options.as_json:
        echo_json("specdata.convert", report)
    else:
        for file in report["written"]:
            click.echo(file)
