"""``specsim spectrum``: one spectrum of a data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import PATH, grouped, option, takes
from starsmith.cli.shared.option_types import SPLIT_NAMES, Count
from starsmith.cli.shared.options import BankSource, bank_options, config_option, seed_option
from starsmith.cli.shared.survey_options import (
    noise_options,
    preset_option,
    survey_prior_options,
)
from starsmith.cli.sim.generate import DIVISION
from starsmith.cli.sim.options import plot_option

if TYPE_CHECKING:
    from starsmith.data_contract.bank.bank_file import Bank
    from starsmith.data_contract.draws import SpectrumBatch
    from starsmith.data_contract.noise.view import NoiseModel
    from starsmith.simulator.prior import Prior

__all__ = ["SpectrumOptions", "spectrum"]

UNUSED_BY_ONE_SPECTRUM = (
    *("n", "splits", "store", "format", "shard_rows", "workers", "overwrite", "out"),
    *DIVISION,
)


@dataclass(frozen=True, kw_only=True)
class SpectrumOptions:
    """Options of ``specsim spectrum``."""

    index: int = option(type=Count(minimum=0), required=True, help="Which spectrum of the split.")
    split: str = option(type=click.Choice(SPLIT_NAMES), default="train")
    seed: int = seed_option()
    out: Path | None = option(type=PATH, help="ECSV table to write.")
    exposures: Path | None = option(type=PATH, help="Table of single exposures.")
    plot: Path | None = plot_option()
    plot_noise: Path | None = option(type=PATH, help="Figure of the noise by term.")
    overwrite: bool = overwrite_option("Replace a table that is there.")
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)
    prior: "Prior" = grouped(survey_prior_options)
    preset: str | None = preset_option()
    noise: "NoiseModel" = grouped(noise_options)

    def check_outputs(self) -> None:
        """Refuse impossible outputs before the work is done."""
        from starsmith.data_contract.figure_kit import check_suffix
        from starsmith.data_contract.files.atomic import refuse_existing
        from starsmith.data_contract.tables.table_files import check_table

        for figure in (self.plot, self.plot_noise):
            check_suffix(figure)
        for table in (self.out, self.exposures):
            check_table(table)
            refuse_existing(table, self.overwrite)

    def write(self, batch: "SpectrumBatch", bank: "Bank") -> None:
        """Write the tables and figures that were asked for."""
        from starsmith.data_contract.tables.spectrum_table import write_exposures, write_spectrum
        from starsmith.simulator.figures.noise_figure import plot_noise
        from starsmith.simulator.figures.spectrum_figure import plot_spectrum

        if self.out:
            write_spectrum(self.out, batch, bank)
        if self.plot_noise:
            plot_noise(self.plot_noise, batch, bank, self.noise)
        if self.exposures:
            write_exposures(self.exposures, batch, bank, self.noise)
        if self.plot:
            plot_spectrum(self.plot, batch, bank.notice)


@click.command(
    cls=Command,
    examples=(
        "specsim spectrum --index 1234 --seed 7 --out spec.ecsv",
        "specsim spectrum --config data.zarr.toml --split test --index 0 --plot spec.png",
    ),
)
@takes(SpectrumOptions)
@config_option(*UNUSED_BY_ONE_SPECTRUM)
def spectrum(options: SpectrumOptions) -> None:
    """Simulate one spectrum of a data set, bit for bit the one `generate` writes.

    The table holds wave, flux, error and mask: what `speclearn predict` reads.
    """
    import numpy as np

    from starsmith.data_contract.tables.spectrum_table import spectrum_summary
    from starsmith.simulator.observe import draw_stars, observe
    from starsmith.simulator.presets import settle

    options.check_outputs()
    prior = options.prior
    bank = options.source.moving(prior.moving).reddened(prior.reddened).open()
    prior = settle(options.preset or "", bank, prior)
    draws = draw_stars(bank, prior, options.seed, options.split, np.array([options.index]))
    batch = observe(bank, draws, noise=options.noise)
    options.write(batch, bank)
    summary = spectrum_summary(batch, bank)
    if options.as_json:
        echo_json("specsim.spectrum", summary)
    else:
        click.echo("  ".join(f"{name} {value:g}" for name, value in summary.items()))
