"""``specdata compile-labels``: labels of several tables as one table."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, out_option
from starsmith.cli.shared.option_table import EXISTING, argument, option, takes

__all__ = ["CompileLabelsOptions", "compile_labels"]


@dataclass(frozen=True, kw_only=True)
class CompileLabelsOptions:
    """Options of ``specdata compile-labels``."""

    tables: tuple[Path, ...] = argument(nargs=-1, required=True, type=EXISTING)
    out: Path = out_option("Table of labels (.ecsv, .csv, .fits).")
    offsets: bool = option(
        is_flag=True, help="Bring each table to those before it by the median of common stars."
    )
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=("specdata compile-labels apogee.csv pastel.csv --out labels.ecsv",),
)
@takes(CompileLabelsOptions)
def compile_labels(options: CompileLabelsOptions) -> None:
    """Join the labels of TABLES, the most trusted first: value, error and source of each."""
    from starsmith.data_contract.surveys.catalogues.catalogue import read_catalogue
    from starsmith.data_contract.surveys.catalogues.label_table import compile_labels as compiled
    from starsmith.data_contract.tables.table_files import check_table, write_table

    check_table(options.out)
    table = compiled([read_catalogue(path) for path in options.tables], options.offsets)
    shifts = table.meta["offsets"]
    write_table(options.out, table)
    if options.as_json:
        result = {"path": str(options.out), "stars": len(table), "offsets": shifts}
        echo_json("specdata.compile-labels", result)
        return
    click.echo(f"{options.out}: {len(table)} stars")
    for source, found in shifts.items():
        for label, shift, n in found:
            click.echo(f"{source}: {label} less {shift:.4g}, the median of {n} common stars")
