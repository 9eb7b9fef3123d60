"""``speclearn export``: a trained model for use without starsmith."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import Named

__all__ = ["ExportOptions", "export"]


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of ``speclearn export``."""

    model: Path = argument(type=EXISTING)
    layout: str = option("--format", type=Named(["onnx"]), default="onnx")
    out: Path | None = option(type=PATH, help="File.  [default: MODEL.onnx]")
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "speclearn export vit/ --format onnx",
        "speclearn export ridge/ --format onnx --out ridge.onnx",
    ),
)
@takes(ExportOptions)
def export(options: ExportOptions) -> None:
    """Write the checkpoint MODEL as a file that needs only an ONNX runtime.

    Flux and mask go in, labels in their own units come out: normalisation is inside. The file
    is checked against the model before it appears.
    """
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.learners import load_checkpoint
    from starsmith.learners.export import export_onnx

    out = options.out or options.model.with_name(f"{options.model.resolve().name}.{options.layout}")
    refuse_existing(out, options.overwrite)
    predictor = load_checkpoint(options.model, "cpu")
    difference = export_onnx(predictor, out)
    if options.as_json:
        content = {"out": str(out), "labels": predictor.labels, "difference": difference}
        echo_json("speclearn.export", content)
    else:
        click.echo(
            f"{out}: {', '.join(predictor.labels)} from {predictor.wave.size} pixels; within "
            f"{difference:.1g} spreads of the model"
        )
