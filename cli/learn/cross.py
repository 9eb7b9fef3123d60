"""``speclearn cross``: the other kind of spectra of stars, from an aligned pair."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import SPLIT_NAMES, Named
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.learners.pretrain.encoder import Encoder

__all__ = ["CrossOptions", "cross"]


@dataclass(frozen=True, kw_only=True)
class CrossOptions:
    """Options of ``speclearn cross``."""

    run: Path = argument(type=EXISTING)
    data: Path = argument(type=EXISTING)
    other: Path | None = argument(required=False, type=EXISTING)
    out: Path | None = option(type=PATH, help="Data set of predicted spectra to write.")
    side: str = option(
        type=Named(("first", "second")), default="first", help="Of the pair, whose spectra DATA is."
    )
    split: str = option(type=Named(SPLIT_NAMES), default="test", help="Whose stars are scored.")
    device: str | None = device_option()
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()

    def __post_init__(self):
        if self.out is None and self.other is None:
            raise click.UsageError("give OTHER, to score predictions, or --out, to write them")


@click.command(
    cls=Command,
    examples=(
        "speclearn cross split/ lrs.zarr --out xp_of_lrs.zarr",
        "speclearn cross split/ xp.zarr --side second --out lrs_of_xp.zarr",
        "speclearn cross split/ lrs.zarr xp.zarr",
    ),
    resume="finished shards are kept; run the same command again to continue",
)
@takes(CrossOptions)
def cross(options: CrossOptions) -> None:
    """Predict the other kind of spectra of the stars of DATA, by the aligned pair RUN.

    RUN is a folder of `speclearn pretrain align`. --out is a data set with the labels and splits
    of DATA. OTHER holds the same stars in the same order: predictions both ways are scored on it,
    and how often a star's own spectrum of the other kind is the most similar of all.
    """
    from starsmith.learners.pretrain.encoder import open_encoder

    encoder = open_encoder(options.run, options.side, options.device)
    content: dict = {"run": str(options.run), "out": None, "rows": []}
    if options.out is not None:
        content["out"] = _write(options, encoder)
    if options.other is not None:
        content["rows"] = _score(options, encoder)
    if options.as_json:
        echo_json("speclearn.cross", content)
        return
    if content["rows"]:
        click.echo(text_table([_line(row) for row in content["rows"]]))
    if content["out"]:
        click.echo(f"predicted spectra: {content['out']}")


def _write(options: CrossOptions, encoder: "Encoder") -> str:
    """Write predictions for every split of the data."""
    from starsmith.learners.embedding.cross import cross_door
    from starsmith.learners.embedding.vector_data import write_vectors
    from starsmith.simulator.generation.recorded import open_recorded

    door, dataset = cross_door(encoder), open_recorded(options.data)
    with progress_bar("predictions", "spectra") as report:
        write_vectors(
            door,
            dataset,
            options.out,
            overwrite=options.overwrite,
            wave=encoder.other.wave,
            progress=report,
        )
    return str(options.out)


def _score(options: CrossOptions, encoder: "Encoder") -> list[dict]:
    """Rows of both ways."""
    from starsmith.data_contract.dataset.training import TrainingSplit
    from starsmith.learners.embedding.cross import cross_scores
    from starsmith.simulator.generation.recorded import open_recorded

    own, other = (
        TrainingSplit.of(open_recorded(path).split(options.split), fresh_noise=False)
        for path in (options.data, options.other)
    )
    return cross_scores(encoder, own, other)


def _line(row: dict) -> dict:
    """A row with its intervals in brackets."""
    line = {name: row[name] for name in ("from", "to", "stars")}
    for name in ("R2", "recall@1", "recall@5", "recall@10"):
        value = row[name]
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        line[name] = None if value is None else f"{value:.3f} ({low:.3f} to {high:.3f})"
    return line | {"chance@1": row["chance@1"]}
