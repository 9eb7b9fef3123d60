"""``specsim spectrum``: one spectrum of a data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import PATH, grouped, option, takes
from starsmith.cli.shared.option_types import SPLIT_NAMES, Count, Named
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

    index: int | None = option(
        type=Count(minimum=0),
        help="Which spectrum of a data set's split.  [default: none: the star whose values are "
        "given, and the middle of every range that is not]",
    )
    split: str = option(type=Named(SPLIT_NAMES), default="train")
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

    def drawn_from(self, bank: "Bank") -> "Prior":
        """Ranges that the spectrum is drawn from; each a single value where no index is given."""
        from starsmith.simulator.presets import settle

        prior = settle(self.preset or "", bank, self.prior)
        if self.index is not None:
            return prior
        if prior.population is not None:
            raise click.UsageError("--population has many stars; choose one with --index")
        return prior.middle(bank.label_names)

    @property
    def unnamed(self) -> list[str]:
        """Quantities of a star without index that are the middle of a range with some width."""
        if self.index is not None:
            return []
        return [name for name, (low, high) in self.prior.ranges.items() if low != high]

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
        from starsmith.data_contract.spectrum_figure import plot_spectrum
        from starsmith.data_contract.tables.spectrum_table import write_exposures, write_spectrum
        from starsmith.simulator.figures.noise_figure import plot_noise

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
        "specsim spectrum --teff 4750 --logg 2.5 --m-h -1 --mag 21 --plot star.png",
        "specsim spectrum --teff 4750K --m-h -1.5 --mag 20.5 --seeing 0.7 --exp-time 15min",
        "specsim spectrum --index 1234 --seed 7 --out spec.ecsv",
        "specsim spectrum --config data.zarr.toml --split test --index 0 --plot spec.png",
    ),
)
@takes(SpectrumOptions)
@config_option(*UNUSED_BY_ONE_SPECTRUM)
def spectrum(options: SpectrumOptions) -> None:
    """Simulate your star, or one spectrum of a data set.

    Without --index it is the star whose values you give, with --seed for its noise; whatever has
    no value is the middle of its range, and is printed. With --index it is bit for bit the
    spectrum that `generate` writes. The table holds wave, flux, error and mask: what
    `speclearn predict` reads.
    """
    import numpy as np

    from starsmith.data_contract.tables.spectrum_table import spectrum_summary
    from starsmith.simulator.observe import draw_stars, observe

    options.check_outputs()
    prior = options.prior
    bank = options.source.moving(prior.moving).reddened(prior.reddened).open()
    prior = options.drawn_from(bank)
    index = np.array([options.index or 0])
    draws = draw_stars(bank, prior, options.seed, options.split, index)
    batch = observe(bank, draws, noise=options.noise)
    options.write(batch, bank)
    summary = spectrum_summary(batch, bank)
    unnamed = [name for name in options.unnamed if name in summary]
    if options.as_json:
        echo_json("specsim.spectrum", {**summary, "middle_of_range": unnamed})
        return
    click.echo("  ".join(f"{name} {value:g}" for name, value in summary.items()))
    if unnamed:
        click.echo(f"not named, so the middle of its range: {', '.join(unnamed)}")
