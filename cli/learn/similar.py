"""``speclearn similar``: the spectra of a data set that resemble one of a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, argument, option, takes
from starsmith.cli.shared.option_types import SPLIT_NAMES, Count, Named
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    import numpy as np

    from starsmith.data_contract.dataset.split import Split
    from starsmith.learners.embedding.doors import Door

__all__ = ["SimilarOptions", "similar"]

FAR = 0.99  # of the data set's own spectra lie closer to their neighbours


@dataclass(frozen=True, kw_only=True)
class SimilarOptions:
    """Options of ``speclearn similar``."""

    run: Path = argument(type=EXISTING)
    data: Path = argument(type=EXISTING)
    file: Path | None = argument(required=False, type=EXISTING)
    row: int | None = option(
        type=click.IntRange(min=0), help="Instead of FILE: a spectrum of DATA itself."
    )
    outliers: int | None = option(
        type=Count(), help="Instead of FILE: so many spectra of DATA, the most unlike ones first."
    )
    split: str = option(type=Named(SPLIT_NAMES), default="test", help="Of DATA, searched.")
    neighbours: int = option("-k", type=Count(), default=10, help="Spectra to list.")
    air: bool = option(is_flag=True, help="Wavelengths of FILE are those of air.")
    side: str = option(type=Named(("first", "second")), default="first", help="Of an aligned pair.")
    device: str | None = device_option()
    as_json: bool = json_option()

    def __post_init__(self):
        given = [value for value in (self.file, self.row, self.outliers) if value is not None]
        if len(given) != 1:
            raise click.UsageError("give FILE, or --row of DATA, or --outliers, and one of them")


@click.command(
    cls=Command,
    examples=(
        "speclearn similar masked/ data.zarr my_star.ecsv",
        "speclearn similar models/compressed data.zarr --row 12 -k 5",
        "speclearn similar masked/ data.zarr --outliers 20",
    ),
)
@takes(SimilarOptions)
def similar(options: SimilarOptions) -> None:
    """List the spectra of DATA that are most similar to one, by the vectors of RUN.

    RUN is a folder of `speclearn pretrain` or `speclearn train`. Similarity is the cosine of the
    angle between vectors less their mean in DATA. The outlier score is
    the share of DATA's own spectra that lie closer to their neighbours. --outliers lists the
    spectra of DATA whose own score is largest.
    """
    from starsmith.data_contract.errors import DataError
    from starsmith.learners.embedding.doors import open_door
    from starsmith.learners.embedding.neighbours import outlier_scores, similar_to
    from starsmith.simulator.generation.recorded import open_recorded

    door = open_door(options.run, None, options.side, options.device)
    split = open_recorded(options.data).split(options.split)
    vectors = door.of_split(split)
    if options.outliers is not None:
        _list_outliers(options, split, vectors)
        return
    rows = list(range(len(split)))
    if options.row is not None:
        if options.row >= len(split):
            raise DataError(
                f"--row {options.row}: split {split.name!r} of {options.data} has {len(split)} "
                f"spectra, 0 to {len(split) - 1}"
            )
        own = vectors[options.row : options.row + 1]
        rows.remove(options.row)
    else:
        own = _of_file(door, options)
    found = similar_to(own, vectors[rows], options.neighbours)
    score = float(outlier_scores(own, vectors[rows], options.neighbours)[0])
    table = [
        _line(split, rows[k], {"similarity": round(float(cosine), 4)})
        for k, cosine in zip(found.rows[0].tolist(), found.similarity[0], strict=True)
    ]
    if options.as_json:
        echo_json("speclearn.similar", {"neighbours": table, "outlier": score})
        return
    click.echo(text_table(table))
    more = ": unlike anything in it" if score > FAR else ""
    click.echo(f"outlier score {score:.3f}{more}", err=True)


def _list_outliers(options: SimilarOptions, split: "Split", vectors: "np.ndarray") -> None:
    """The spectra of a split that are least like the others."""
    import numpy as np

    from starsmith.learners.embedding.neighbours import outliers_among

    scores = outliers_among(vectors, options.neighbours)
    first = np.argsort(-scores, kind="stable")[: options.outliers].tolist()
    table = [_line(split, row, {"outlier": round(float(scores[row]), 4)}) for row in first]
    if options.as_json:
        echo_json("speclearn.similar.outliers", {"outliers": table})
    else:
        click.echo(text_table(table))


def _of_file(door: "Door", options: SimilarOptions) -> "np.ndarray":
    """Vector of the first spectrum of a file, brought to the pixels of the door."""
    from starsmith.data_contract.surveys.any_file import read_any
    from starsmith.learners.embedding.doors import bring

    return door.vectors(bring(door, next(iter(read_any(options.file, options.air)))))


def _line(split: "Split", row: int, found: dict) -> dict:
    """A spectrum, what was found of it, and its labels."""
    line: dict = {"row": row}
    if split.header.store == "observed":
        line["name"] = split.names[row]
    labels = {name: float(split.label(name)[row]) for name in split.header.label_names}
    return line | found | labels
