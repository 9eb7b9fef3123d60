"""``speclearn``: train, score and use networks and their baselines."""

from pathlib import Path

import click

from starsmith.cli.learn.bench import bench
from starsmith.cli.learn.evaluate import evaluate, explain
from starsmith.cli.learn.export import export
from starsmith.cli.learn.train import train
from starsmith.cli.shared.command import CommandGroup, echo_json, json_option, version_option
from starsmith.cli.shared.option_types import SPLIT_NAMES
from starsmith.data_contract.text_tables import text_table

__all__ = ["main"]


@click.group(cls=CommandGroup, name="speclearn")
@version_option()
def main():
    """Train networks on simulated spectra, score them, use them on your own."""


main.add_command(train)
main.add_command(evaluate)
main.add_command(bench)
main.add_command(explain)
main.add_command(export)

model_argument = click.argument("model", type=click.Path(exists=True, path_type=Path))
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there.")
device_option = click.option("--device", help="torch device.  [default: a GPU if there is one]")


@main.command(
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


@main.command(examples=("speclearn models", "speclearn models 'specvit*' --json"))
@click.argument("pattern", default="*")
@json_option()
def models(pattern, as_json):
    """List the models whose name matches PATTERN."""
    from starsmith.learners import list_models, list_recipes

    rows = [{"model": name, "recipe": name in list_recipes()} for name in list_models(pattern)]
    if as_json:
        echo_json("speclearn.models", {"models": rows})
        return
    for row in rows:
        click.echo(row["model"])


if __name__ == "__main__":
    main()
