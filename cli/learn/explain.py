"""``speclearn explain``: which wavelengths a network reads."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import Count, Labels
from starsmith.cli.shared.progress import told_bank
from starsmith.data_contract.text_tables import text_table

__all__ = ["ExplainOptions", "explain"]

N_STAR = 24  # whose Fisher information is averaged
CURVES = ("wave", "spectrum", "attention", "saliency", "information")


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """Options of ``speclearn explain``."""

    model: Path = argument(metavar="RUN", type=EXISTING)
    data: Path = argument(type=EXISTING)
    target: str | None = option(type=Labels(), help="Which label.  [default: first]")
    n_spec: int = option("-n", type=Count(), default=200, help="Test spectra to average.")
    plot: Path | None = option(type=PATH, help="Spectrum, lines and curves.")
    device: str | None = device_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "speclearn explain vit/ data.zarr --plot explain.png",
        "speclearn explain vit/ data.zarr --target m_h -n 500 --json",
    ),
)
@takes(ExplainOptions)
def explain(options: ExplainOptions) -> None:
    """Say which wavelengths the network in RUN reads, and where the information is.

    Attention of transformers, gradients of any network, and the Fisher information of the
    same stars: shares in the bands of known features, and curves with --plot.
    """
    from starsmith.data_contract.figure_kit import check_suffix, save_figure
    from starsmith.learners import load_checkpoint
    from starsmith.learners.evaluation import interpret
    from starsmith.learners.prediction.own_pixels import check_wave
    from starsmith.simulator.generation.recorded import open_recorded

    check_suffix(options.plot)
    predictor = load_checkpoint(options.model, options.device)
    rows = open_recorded(options.data).split("test")
    check_wave(predictor.wave, rows.wave, f"{options.data}")
    found = interpret.explain(
        predictor,
        rows.observe(slice(0, min(options.n_spec, len(rows)))),
        options.target,
        told_bank(options.data),
        rows.draws.take(slice(0, min(N_STAR, len(rows)))),
    )
    if options.plot:
        save_figure(interpret.interpretation_figure(found, rows.header.notice), options.plot)
    if options.as_json:
        curves = {name: getattr(found, name) for name in CURVES}
        content = {"model": found.model, "label": found.label, "shares": found.shares()}
        for name, curve in curves.items():
            content[name] = None if curve is None else curve.tolist()
        echo_json("speclearn.explain", content)
    else:
        click.echo(text_table(found.shares()))
