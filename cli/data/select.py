"""``specdata select``: the rows of a table that pass a recipe's cuts."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes

__all__ = ["SelectOptions", "select"]


@dataclass(frozen=True, kw_only=True)
class SelectOptions:
    """Options of ``specdata select``."""

    catalogue: Path = argument(type=EXISTING)
    recipe: str = option(
        required=True,
        help="A .toml file of cuts, or apogee_dr17, desi_dr1, desi_clean, specvit_desi.",
    )
    out: Path | None = option(type=PATH, help="Table of the rows that are left.")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specdata select allStar.fits --recipe apogee_dr17 --out stars.fits",
        "specdata select mws.fits --recipe my_cuts.toml",
    ),
)
@takes(SelectOptions)
def select(options: SelectOptions) -> None:
    """Apply cuts to CATALOGUE one after the other, and say how many rows are left after each."""
    from astropy.table import Table

    from starsmith.data_contract.errors import DataError
    from starsmith.data_contract.surveys.catalogues.recipe import apply_recipe, read_recipe
    from starsmith.data_contract.tables.table_files import check_table, write_table
    from starsmith.data_contract.tables.user_table import read_table

    check_table(options.out)
    recipe = read_recipe(options.recipe)
    table = read_table(options.catalogue, error=DataError, what="catalogue")
    rows, counts = apply_recipe(table, recipe)
    if options.out:
        columns = {name: values[rows] for name, values in table.columns.items()}
        meta = {"recipe": recipe.name, "source": recipe.source}
        write_table(options.out, Table(columns, meta=meta))
    if options.as_json:
        result = {"recipe": recipe.name, "source": recipe.source}
        result["counts"] = [{"cut": cut, "rows": n} for cut, n in counts]
        echo_json("specdata.select", result)
        return
    width = max(len(cut) for cut, _ in counts)
    for cut, n in counts:
        click.echo(f"{cut:<{width}}  {n:>10,}")
    if options.out:
        click.echo(f"{options.out}: {int(rows.sum())} rows")
