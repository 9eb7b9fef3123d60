"""``specfisher compare``: a model's predictions beside the best possible ones."""

from dataclasses import asdict
from pathlib import Path

import click

from starsmith.cli.fisher.options import effort_options
from starsmith.cli.shared.command import Command, finish, json_option
from starsmith.cli.shared.option_types import LABEL_NAMES, Edges
from starsmith.cli.shared.progress import tell_ceiling
from starsmith.data_contract.text_tables import text_table

__all__ = ["compare"]


@click.command(
    cls=Command,
    examples=("specfisher compare predictions.ecsv --data data.zarr",),
)
@click.argument("predictions", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="The data set the predictions are for.",
)
@click.option("--target", type=click.Choice(LABEL_NAMES), help="Which label.  [default: first]")
@click.option("--snr-bins", type=Edges(), default="default", help="Bin edges, like 0,5,10,inf.")
@effort_options
@click.option("--plot", type=click.Path(path_type=Path), help="R2 against S/N (png, pdf, svg).")
@json_option()
def compare(predictions, data, target, snr_bins, as_json, plot, **choices):
    """Set PREDICTIONS beside the best possible ones for the same stars.

    A model that does better than the posterior mean knows something it cannot know: exit code 3.
    `efficiency` is the posterior mean's squared error over the model's; `gap` the R2 it lacks.
    """
    from starsmith.cli.fisher.compare_work import comparison_rows, draw_comparison
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.fisher.ceilings.dataset_stars import compare_predictions
    from starsmith.fisher.ceilings.leak_test import check_leak
    from starsmith.fisher.ceilings.options import CeilingOptions
    from starsmith.simulator.generation.recorded import open_recorded

    check_suffix(plot)
    comparison, table, model = compare_predictions(
        predictions,
        open_recorded(data),
        target,
        CeilingOptions(snr_edges=snr_bins, **choices),
        tell_ceiling,
    )
    draw_comparison(comparison, table, model, plot)
    finish(
        "specfisher.compare",
        {"model": model, "rows": [asdict(row) for row in comparison.rows]},
        text_table(comparison_rows(comparison, table)),
        as_json,
        table.notice,
    )
    check_leak(comparison, model)
