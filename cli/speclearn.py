"""``speclearn``: train, score and use networks and their baselines."""

from pathlib import Path

import click

from starsmith.cli.common import CommandGroup, echo_json, json_option, version_option
from starsmith.cli.tables import text_table
from starsmith.cli.types import LABEL_NAMES, SPLIT_NAMES, Count, Edges

__all__ = ["main"]


@click.group(cls=CommandGroup, name="speclearn")
@version_option()
def main():
    """Train networks on simulated spectra, score them, use them on your own."""


data_argument = click.argument("data", type=click.Path(exists=True, path_type=Path))
model_argument = click.argument("model", type=click.Path(exists=True, path_type=Path))
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there.")
device_option = click.option("--device", help="torch device.  [default: a GPU if there is one]")


@main.command(
    examples=(
        "speclearn train data.zarr --model ridge --target logg --out ridge/",
        "speclearn train data.zarr --model specvit_tiny --out vit/ --epochs 5",
        "speclearn train data.zarr --model specvit --recipe my_recipe.toml --out vit/",
    ),
    resume="the last finished epoch is kept; run the same command again to continue",
)
@data_argument
@click.option("--model", required=True, help="One of `speclearn models`.")
@click.option(
    "--target",
    type=click.Choice(LABEL_NAMES),
    multiple=True,
    default=("logg",),
    show_default=True,
    help="Label to predict; may be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Checkpoint folder to write.  [default: models/MODEL]",
)
@click.option("--recipe", help="Packaged recipe or a TOML file.  [default: the model's own]")
@click.option("--epochs", type=Count())
@click.option("--batch-size", type=Count())
@click.option("--lr", "learning_rate", type=click.FloatRange(0, 10, min_open=True))
@click.option("--seed", type=click.IntRange(min=0), help="Of the weights and the order of spectra.")
@device_option
@overwrite_option
@json_option()
def train(data, model, target, out, recipe, device, overwrite, as_json, **changes):
    """Train a model on the train split of DATA; its best checkpoint is left in --out.

    Options beat the recipe. A run that was interrupted goes on where it stopped.
    """
    from starsmith.cli.learning import result_line, train_model

    changes = {key: value for key, value in changes.items() if value is not None}
    out = out or Path("models") / model
    result = train_model(
        data, model, target, out, (recipe or model, changes), device=device, resume=not overwrite
    )
    if as_json:
        content = {"out": str(out), "stop_reason": result.stop_reason, "seconds": result.seconds}
        echo_json("speclearn.train", {"model": model, **content, "metrics": result.metrics})
    else:
        click.echo(result_line(result))


@main.command(
    examples=(
        "speclearn evaluate ridge/ data.zarr",
        "speclearn evaluate vit/ data.zarr --split val --out predictions.ecsv --plot scores.png",
    ),
)
@model_argument
@data_argument
@click.option("--split", type=click.Choice(SPLIT_NAMES), help="Which spectra.  [default: test]")
@click.option("--target", type=click.Choice(LABEL_NAMES), help="Which label.  [default: first]")
@click.option("--snr-bins", type=Edges(), default="default", help="Bin edges, like 0,5,10,inf.")
@click.option("--out", type=click.Path(path_type=Path), help="ECSV table of the predictions.")
@click.option("--plot", type=click.Path(path_type=Path), help="Predicted against true.")
@device_option
@overwrite_option
@json_option()
def evaluate(model, data, split, target, snr_bins, device, as_json, **files):
    """Score the checkpoint MODEL on spectra of DATA it was not trained on.

    The train split is scored only where --split train says so.
    """
    from starsmith.cli.learning import evaluate_model

    evaluation = evaluate_model((model, device), (data, split), target, snr_bins, **files)
    if as_json:
        echo_json("speclearn.evaluate", evaluation.to_dict())
    else:
        click.echo(evaluation.to_markdown())


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
    from starsmith.cli.learning import prediction_rows

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
