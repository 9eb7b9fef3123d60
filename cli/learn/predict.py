"""``speclearn predict``: labels of a spectrum, or of a split of a data set."""

from pathlib import Path

import click

from starsmith.cli.learn.options import device_option, model_argument, overwrite_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_types import SPLIT_NAMES
from starsmith.data_contract.text_tables import text_table

__all__ = ["predict"]


@click.command(
    cls=Command,
    examples=(
        "speclearn predict vit/ my_star.ecsv",
        "speclearn predict vit/ data.zarr --split test --out predictions.ecsv",
    ),
)
@model_argument
@click.argument("source", metavar="SPECTRUM|DATA", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--split", type=click.Choice(SPLIT_NAMES), default="test", show_default=True,
    help="Of a data set.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Table of the predictions.")
@device_option
@overwrite_option
@json_option()
def predict(model, source, split, out, device, overwrite, as_json):
    """Predict labels of one spectrum, or of a split of a data set.

    SPECTRUM is an ECSV, CSV or FITS table with columns wave [vacuum Angstrom], flux and, where
    you have them, error and mask (0 = good), on the model's own wavelengths.
    """
    from starsmith.cli.learn.learning import prediction_rows

    rows = prediction_rows((model, device), source, split, out, overwrite)
    if as_json:
        echo_json("speclearn.predict", {"source": str(source), "predictions": rows})
        return
    click.echo(text_table(rows))
