"""``specsim example``: sample files to start from."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    echo_notice,
    json_option,
    overwrite_option,
)
from starsmith.cli.shared.option_table import PATH, argument, option, takes
from starsmith.cli.shared.option_types import Named
from starsmith.cli.shared.options import BankSource

__all__ = ["ExampleOptions", "example"]

KINDS = {"population": "mock.ecsv", "spectrum": "star.ecsv", "targets": "targets.ecsv"}


@dataclass(frozen=True, kw_only=True)
class ExampleOptions:
    """Options of ``specsim example``."""

    kind: str = argument(type=Named(list(KINDS)))
    out: Path | None = option(
        type=PATH,
        help="Table to write (.ecsv, .csv, .fits).  [default: mock, star or targets.ecsv]",
    )
    overwrite: bool = overwrite_option("Replace a table that is there.")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specsim example population --out mock.ecsv",
        "specsim example spectrum",
        "specsim example targets --out targets.csv",
    ),
)
@takes(ExampleOptions)
def example(options: ExampleOptions) -> None:
    """Write a sample of a file that you would bring.

    population: 500 stars for `specsim generate --population`. spectrum: one observed star for
    `speclearn predict`. targets: six stars for `specfisher plan --stars`.
    """
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.tables.table_files import check_table, write_table
    from starsmith.simulator.samples import sample_population, sample_targets

    kind, out = options.kind, options.out or Path(KINDS[options.kind])
    check_table(out)
    refuse_existing(out, options.overwrite)
    if kind == "spectrum":
        _write_sample_spectrum(out)
    else:
        write_table(out, sample_population() if kind == "population" else sample_targets())
    if options.as_json:
        echo_json("specsim.example", {"kind": kind, "out": str(out)})
    else:
        click.echo(out)


def _write_sample_spectrum(out: Path) -> None:
    """Write the first test star of seed 0 on the demonstration grid, with its notice."""
    import numpy as np

    from starsmith.data_contract.tables.spectrum_table import write_spectrum
    from starsmith.simulator.observe import draw_stars, observe
    from starsmith.simulator.prior import Prior

    bank = BankSource().open()
    draws = draw_stars(bank, Prior.default(), 0, "test", np.array([0]))
    write_spectrum(out, observe(bank, draws), bank)
    echo_notice(bank.notice)
