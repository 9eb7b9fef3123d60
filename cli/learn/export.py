"""``speclearn export``: a trained model for use without starsmith."""

from pathlib import Path

import click

from starsmith.cli.learn.options import model_argument, overwrite_option
from starsmith.cli.shared.command import Command, echo_json, json_option

__all__ = ["export"]


@click.command(
    cls=Command,
    examples=(
        "speclearn export vit/ --format onnx",
        "speclearn export ridge/ --format onnx --out ridge.onnx",
    ),
)
@model_argument
@click.option("--format", "format_", type=click.Choice(["onnx"]), default="onnx", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="File.  [default: MODEL.onnx]")
@overwrite_option
@json_option()
def export(model, format_, out, overwrite, as_json):
    """Write the checkpoint MODEL as a file that needs only an ONNX runtime.

    Flux and mask go in, labels in their own units come out: normalisation is inside. The file
    is checked against the model before it appears.
    """
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.learners import load_checkpoint
    from starsmith.learners.export import export_onnx

    out = out or model.with_name(f"{model.resolve().name}.{format_}")
    refuse_existing(out, overwrite)
    predictor = load_checkpoint(model, "cpu")
    difference = export_onnx(predictor, out)
    if as_json:
        content = {"out": str(out), "labels": predictor.labels, "difference": difference}
        echo_json("speclearn.export", content)
    else:
        click.echo(
            f"{out}: {', '.join(predictor.labels)} from {predictor.wave.size} pixels; within "
            f"{difference:.1g} spreads of the model"
        )
