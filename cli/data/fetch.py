"""``specdata fetch``: spectra of named stars from an archive's REST interface."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, out_option
from starsmith.cli.shared.option_table import argument, option, takes
from starsmith.cli.shared.option_types import Count, Named
from starsmith.cli.shared.progress import progress_bar

__all__ = ["FetchOptions", "fetch"]


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """Options of ``specdata fetch``."""

    survey: str = argument(type=Named(["desi"]))
    ids: str = option(
        required=True, help="Targets: 39633300968442591,... or a table with a column targetid."
    )
    out: Path = out_option("Folder of the answers, to be ingested.")
    release: str = option(default="DESI-DR1", help="Data release.")
    batch: int = option(type=Count(maximum=1000), default=100, help="Spectra per request.")
    base_url: str | None = option(help="The service.  [default: SPARCL at NOIRLab]")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=("specdata fetch desi --ids stars.csv --out desi/",),
    resume="batches already there are kept; run the same command again",
)
@takes(FetchOptions)
def fetch(options: FetchOptions) -> None:
    """Fetch the spectra of --ids from SPARCL, in batches, into a folder."""
    from starsmith.data_contract.surveys.catalogues.fetch_desi import (
        SPARCL_URL,
        FetchOrder,
        fetch_desi,
    )

    order = FetchOrder(
        ids=_ids(options.ids),
        release=options.release,
        batch=options.batch,
        base_url=options.base_url or SPARCL_URL,
    )
    with progress_bar("fetch", "targets") as progress:
        report = fetch_desi(order, options.out, progress)
    if options.as_json:
        echo_json("specdata.fetch", report)
        return
    lacking = f", {len(report['missing'])} targets have none" if report["missing"] else ""
    click.echo(f"{options.out}: {report['spectra']} spectra{lacking}")
    click.echo(f"specdata ingest desi {options.out} --catalogue LABELS.csv --out desi.zarr")


def _ids(text: str) -> tuple[int, ...]:
    """Targets, none twice, of a list or of a table's column."""
    from starsmith.data_contract.errors import ConfigError
    from starsmith.data_contract.tables.identifiers import identities_of
    from starsmith.data_contract.tables.user_table import is_readable, read_table

    words = text.split(",")
    if is_readable(text):
        found = identities_of(Path(text), read_table(text).columns)
        words = found["targetid"].tolist() if "targetid" in found else []
    ids = [int(word) for word in words if word.strip().lstrip("-").isdigit()]
    if not ids or len(ids) < len(words):
        raise ConfigError(f"--ids {text}: expected whole numbers, or a table with targetid")
    return tuple(dict.fromkeys(ids))
