"""``specsim spectrum``: one spectrum of a data set."""

from pathlib import Path

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    json_option,
)
from starsmith.cli.shared.option_types import SPLIT_NAMES, Count
from starsmith.cli.shared.options import bank_options, config_option, prior_options
from starsmith.cli.shared.survey_options import noise_options, population_options, preset_option
from starsmith.cli.sim.division import CREW_OPTIONS

__all__ = ["spectrum"]

UNUSED_BY_ONE_SPECTRUM = (
    *("n", "splits", "store", "format", "shard_rows", "workers", "overwrite", "out"),
    *CREW_OPTIONS,
)


seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)


@click.command(
    cls=Command,
    examples=(
        "specsim spectrum --index 1234 --seed 7 --out spec.ecsv",
        "specsim spectrum --config data.zarr.toml --split test --index 0 --plot spec.png",
    ),
)
@click.option("--index", type=Count(minimum=0), required=True, help="Which spectrum of the split.")
@click.option("--split", type=click.Choice(SPLIT_NAMES), default="train", show_default=True)
@seed_option
@click.option("--out", type=click.Path(path_type=Path), help="ECSV table to write.")
@click.option("--exposures", type=click.Path(path_type=Path), help="Table of single exposures.")
@click.option("--plot", type=click.Path(path_type=Path), help="Figure to write (png, pdf, svg).")
@click.option("--plot-noise", type=click.Path(path_type=Path), help="Figure of the noise by term.")
@click.option("--overwrite", is_flag=True, help="Replace a table that is there.")
@json_option()
@bank_options
@prior_options
@population_options
@preset_option
@noise_options
@config_option(*UNUSED_BY_ONE_SPECTRUM)
def spectrum(source, prior, noise, preset, index, split, seed, as_json, **files):
    """Simulate one spectrum of a data set, bit for bit the one `generate` writes.

    The table holds wave, flux, error and mask: what `speclearn predict` reads.
    """
    from starsmith.cli.sim.spectra import (
        single_spectrum,
        spectrum_summary,
        write_exposures,
        write_spectrum,
    )
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.tables.table_files import check_table
    from starsmith.simulator.figures.noise_figure import plot_noise
    from starsmith.simulator.figures.spectrum_figure import plot_spectrum
    from starsmith.simulator.presets import settle

    out, exposures = files["out"], files["exposures"]
    plot, plot_terms = files["plot"], files["plot_noise"]
    for figure in (plot, plot_terms):
        check_suffix(figure)
    for table in (out, exposures):
        check_table(table)
        refuse_existing(table, files["overwrite"])
    bank = source.moving(prior.moving).reddened(prior.reddened).open()
    prior = settle(preset or "", bank, prior)
    batch = single_spectrum(bank, prior, (seed, split, index), noise)
    if out:
        write_spectrum(out, batch, bank)
    if plot_terms:
        plot_noise(plot_terms, batch, bank, noise)
    if exposures:
        write_exposures(exposures, batch, bank, noise)
    if plot:
        plot_spectrum(plot, batch, bank.notice)
    summary = spectrum_summary(batch, bank)
    if as_json:
        echo_json("specsim.spectrum", summary)
    else:
        click.echo("  ".join(f"{name} {value:g}" for name, value in summary.items()))
