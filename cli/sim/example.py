"""``specsim example``: sample files to start from."""

from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option

__all__ = ["example"]

KINDS = {"population": "mock.ecsv", "spectrum": "star.ecsv", "targets": "targets.ecsv"}


@click.command(
    cls=Command,
    examples=(
        "specsim example population --out mock.ecsv",
        "specsim example spectrum",
        "specsim example targets --out targets.csv",
    ),
)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Table to write (.ecsv, .csv, .fits).  [default: mock, star or targets.ecsv]",
)
@click.option("--overwrite", is_flag=True, help="Replace a table that is there.")
@json_option()
def example(kind: str, out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Write a sample of a file that you would bring.

    population: 500 stars for `specsim generate --population`. spectrum: one observed star for
    `speclearn predict`. targets: six stars for `specfisher plan --stars`.
    """
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.tables.table_files import check_table, write_table
    from starsmith.simulator.samples import sample_population, sample_targets

    out = out or Path(KINDS[kind])
    check_table(out)
    refuse_existing(out, overwrite)
    if kind == "spectrum":
        write_sample_spectrum(out)
    else:
        write_table(out, sample_population() if kind == "population" else sample_targets())
    if as_json:
        echo_json("specsim.example", {"kind": kind, "out": str(out)})
    else:
        click.echo(out)


def write_sample_spectrum(out: Path) -> None:
    """Write the first test star of seed 0 on the demonstration grid, with its notice."""
    from starsmith.cli.shared.command import echo_notice
    from starsmith.cli.shared.options import BankSource
    from starsmith.cli.sim.spectra import single_spectrum, write_spectrum
    from starsmith.simulator.prior import Prior

    bank = BankSource().open()
    write_spectrum(out, single_spectrum(bank, Prior.default(), (0, "test", 0)), bank)
    echo_notice(bank.notice)
