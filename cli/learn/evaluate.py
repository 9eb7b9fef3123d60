"""``speclearn evaluate``: how good models are."""

from pathlib import Path

import click

from starsmith.cli.learn.options import device_option, overwrite_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_types import LABEL_NAMES, SPLIT_NAMES, Count, Edges

__all__ = ["evaluate"]


@click.command(
    cls=Command,
    examples=(
        "speclearn evaluate ridge/ data.zarr",
        "speclearn evaluate vit/ data.zarr --split val --out predictions.ecsv --plot scores.png",
        "speclearn evaluate vit/ ridge/ trees.ecsv data.zarr     (differences, star by star)",
        "speclearn evaluate vit/ data.zarr --ceiling             (exit 3 if it is too good)",
        "speclearn evaluate gp/ data.zarr --calibration --calibration-plot pit.png",
    ),
)
@click.argument(
    "models", metavar="MODEL...", nargs=-1, type=click.Path(exists=True, path_type=Path)
)
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--split", type=click.Choice(SPLIT_NAMES), help="Which spectra.  [default: test]")
@click.option("--target", type=click.Choice(LABEL_NAMES), help="Which label.  [default: first]")
@click.option("--snr-bins", type=Edges(), default="default", help="Bin edges, like 0,5,10,inf.")
@click.option("--mag-bins", type=Edges(), help="Bin edges.  [default: every half magnitude]")
@click.option("--ceiling", is_flag=True, help="Beside the exact posterior mean of the same stars.")
@click.option(
    "--n-template", type=Count(1000), default=40_000, show_default=True,
    help="Templates behind --ceiling.",
)  # fmt: skip
@click.option("--calibration", is_flag=True, help="Check stated uncertainties.")
@click.option("--noise-draws", type=Count(), help="Average over this many further noise draws.")
@click.option(
    "--population", help="Scores for other shares: giants=0.14,subgiants=0.24,dwarfs=0.62."
)
@click.option("--out", type=click.Path(path_type=Path), help="ECSV table of the predictions.")
@click.option("--plot", type=click.Path(path_type=Path), help="Predicted against true.")
@click.option("--calibration-plot", type=click.Path(path_type=Path), help="PIT, coverage, z.")
@device_option
@overwrite_option
@json_option()
def evaluate(models, data, as_json, **options):
    """Score models on spectra of DATA they were not trained on.

    A MODEL is a checkpoint folder, or a table of predictions that was written for the same
    spectra. Of several, every one is also compared with the best, star by star. The train
    split is scored only where --split train says so.
    """
    from starsmith.cli.learn.evaluate_work import Inquiry

    if not models:
        raise click.UsageError("give one MODEL at least, then DATA: speclearn evaluate vit/ data")
    report = Inquiry(models=models, data=data, **options).answer()
    if as_json:
        echo_json("speclearn.evaluate", report.to_dict())
    else:
        click.echo(report.to_markdown())
    report.refuse_leaks()
