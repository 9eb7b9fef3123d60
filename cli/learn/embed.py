"""``speclearn embed``: spectra as vectors, in a data set that every estimator reads."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import (
    Command,
    echo_json,
    json_option,
    out_option,
    overwrite_option,
)
from starsmith.cli.shared.option_table import EXISTING, argument, option, takes
from starsmith.cli.shared.option_types import Named
from starsmith.cli.shared.progress import progress_bar

__all__ = ["EmbedOptions", "embed"]

KINDS = ("mean", "projected", "split")
SIDES = ("first", "second")


@dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """Options of ``speclearn embed``."""

    run: Path = argument(type=EXISTING)
    data: Path = argument(type=EXISTING)
    out: Path = out_option("Data set of vectors to write.")
    kind: str | None = option(
        type=Named(KINDS), help="Of a pretrained run.  [default: the richest it gives]"
    )
    side: str = option(
        type=Named(SIDES), default="first", help="Of an aligned pair, whose spectra DATA holds."
    )
    device: str | None = device_option()
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "speclearn embed masked/ data.zarr --out emb.zarr",
        "speclearn embed split/ lrs.zarr --kind split --out emb.zarr",
        "speclearn embed models/compressed data.zarr --out emb.zarr",
    ),
    resume="finished shards are kept; run the same command again to continue",
)
@takes(EmbedOptions)
def embed(options: EmbedOptions) -> None:
    """Write vectors of the spectra of DATA, with their labels and splits, as a data set.

    RUN is a folder of `speclearn pretrain`, or of `speclearn train`: then a vector is what the
    last layer reads. `speclearn train` takes the result as it takes spectra.
    """
    from starsmith.learners.embedding.doors import open_door
    from starsmith.learners.embedding.vector_data import write_vectors
    from starsmith.simulator.generation.recorded import open_recorded

    door = open_door(options.run, options.kind, options.side, options.device)
    dataset = open_recorded(options.data)
    with progress_bar("vectors", "spectra") as report:
        manifest = write_vectors(
            door, dataset, options.out, overwrite=options.overwrite, progress=report
        )
    content = {"out": str(options.out), "digest": manifest.digest, "vectors": door.name}
    if options.as_json:
        echo_json("speclearn.embed", content)
    else:
        click.echo(f"vectors of {door.name}: {options.out}")
