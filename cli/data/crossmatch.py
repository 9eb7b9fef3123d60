"""``specdata crossmatch``: stars that two tables have in common."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, out_option
from starsmith.cli.shared.option_table import EXISTING, argument, option, takes

__all__ = ["CrossmatchOptions", "crossmatch"]


@dataclass(frozen=True, kw_only=True)
class CrossmatchOptions:
    """Options of ``specdata crossmatch``."""

    first: Path = argument(type=EXISTING)
    second: Path = argument(type=EXISTING)
    out: Path = out_option("Table of the pairs (.ecsv, .csv, .fits).")
    by: str = option(default="id", help="id (the first that both have), the name of one, or sky.")
    radius: float = option(
        type=click.FloatRange(min=0.0, min_open=True), default=1.0, help="On the sky [arcsec]."
    )
    epoch: float = option(
        type=click.FloatRange(1900.0, 2100.0),
        default=2016.0,
        help="Julian year that positions with proper motions are brought to.",
    )
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specdata crossmatch desi.csv apogee.csv --out common.ecsv",
        "specdata crossmatch desi.csv apogee.csv --by sky --radius 1 --epoch 2016 --out c.ecsv",
    ),
)
@takes(CrossmatchOptions)
def crossmatch(options: CrossmatchOptions) -> None:
    """Pair the rows of tables FIRST and SECOND: by an id, or on the sky at one epoch."""
    from starsmith.data_contract.errors import DataError
    from starsmith.data_contract.surveys.catalogues.crossmatch import match_by_id, match_on_sky
    from starsmith.data_contract.tables.table_files import check_table, write_table
    from starsmith.data_contract.tables.user_table import read_table

    check_table(options.out)
    tables = [read_table(path, error=DataError) for path in (options.first, options.second)]
    if options.by == "sky":
        match = match_on_sky(tables[0], tables[1], options.radius, options.epoch)
    else:
        match = match_by_id(tables[0], tables[1], "" if options.by == "id" else options.by)
    write_table(options.out, match.table())
    twice = match.duplicates
    result = {"path": str(options.out), "pairs": len(match.first), "by": match.by}
    result["duplicates"] = {"first": twice[0], "second": twice[1]}
    if options.as_json:
        echo_json("specdata.crossmatch", result)
    else:
        click.echo(
            f"{options.out}: {len(match.first)} pairs by {match.by}; in several pairs: {twice[0]} "
            f"rows of {options.first}, {twice[1]} of {options.second}"
        )
