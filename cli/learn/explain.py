"""``speclearn explain``: which wavelengths a network reads."""

from pathlib import Path

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_types import LABEL_NAMES, Count
from starsmith.data_contract.text_tables import text_table

__all__ = ["explain"]


@click.command(
    cls=Command,
    examples=(
        "speclearn explain vit/ data.zarr --plot explain.png",
        "speclearn explain vit/ data.zarr --target m_h -n 500 --json",
    ),
)
@click.argument("model", metavar="RUN", type=click.Path(exists=True, path_type=Path))
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--target", type=click.Choice(LABEL_NAMES), help="Which label.  [default: first]")
@click.option(
    "-n", "n_spec", type=Count(), default=200, show_default=True, help="Test spectra to average."
)
@click.option("--plot", type=click.Path(path_type=Path), help="Spectrum, lines and curves.")
@device_option
@json_option()
def explain(model, data, target, n_spec, plot, device, as_json):
    """Say which wavelengths the network in RUN reads, and where the information is.

    Attention of transformers, gradients of any network, and the Fisher information of the
    same stars: shares in the bands of known features, and curves with --plot.
    """
    from starsmith.cli.learn.evaluate_work import explain_model

    found = explain_model(model, data, target, n_spec, plot, device)
    if as_json:
        echo_json("speclearn.explain", found)
    else:
        click.echo(text_table(found["shares"]))
