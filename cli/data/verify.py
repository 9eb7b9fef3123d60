"""``specdata verify``: whether every byte and promise of a data set is intact."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.data.options import remake_option, remaker_of
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, argument, grouped, takes
from starsmith.cli.shared.options import BankSource, bank_options
from starsmith.cli.shared.progress import progress_bar

__all__ = ["VerifyOptions", "verify"]


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Options of ``specdata verify``."""

    path: Path = argument(type=EXISTING)
    remake: bool = remake_option()
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)


@click.command(
    cls=Command,
    examples=(
        "specdata verify data.zarr",
        "specdata verify data.zarr --json",
        "specdata verify data.zarr --remake",
    ),
)
@takes(VerifyOptions)
def verify(options: VerifyOptions) -> None:
    """Check every byte and every promise of the data set at PATH; exit code 3 if one is broken.

    --remake finds even what was changed before it was hashed; it takes as long as `specsim
    generate`, and the bank recorded in PATH unless another is named.
    """
    from starsmith.data_contract.checks.verify import verify_dataset
    from starsmith.data_contract.errors import ContractError

    path = options.path
    report = verify_dataset(path)
    remade = _other_than_keys(options) if options.remake and report.ok else []
    if options.as_json:
        content = {
            "path": str(path),
            "ok": report.ok and not remade,
            "problems": report.problems + remade,
            "n_files": report.n_files,
            "n_bytes": report.n_bytes,
            "remade": options.remake and report.ok,
        }
        echo_json("specdata.verify", content)
    elif report.ok and not remade:
        again = ", every row what its key makes" if options.remake else ""
        size = f"{report.n_files} files, {report.n_bytes / 1e6:.1f} MB"
        click.echo(f"{path}: {size}, all intact{again}")
    report.require()
    if remade:
        raise ContractError(
            f"{path}: {'; '.join(remade[:5])}; {len(remade)} shard(s) in all: `specdata repair "
            f"{path} --remake` puts them back"
        )


def _other_than_keys(options: VerifyOptions) -> list[str]:
    """What of a data set is not what its keys make, by shard and column."""
    from starsmith.data_contract.checks.remade import compare_with_keys
    from starsmith.data_contract.dataset.shards import open_run

    path = options.path
    with progress_bar("remake", "shards") as progress:
        remaker = remaker_of(path, options.source)(open_run(path).run())
        return [str(finding) for finding in compare_with_keys(path, remaker, progress)]
