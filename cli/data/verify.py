"""``specdata verify``: whether every byte and promise of a data set is intact."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.data.options import remake_option, remaker_of
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, argument, grouped, takes
from starsmith.cli.shared.options import BankSource, bank_options
from starsmith.cli.shared.progress import progress_bar

if TYPE_CHECKING:
    from starsmith.data_contract.checks.verify import Report

__all__ = ["VerifyOptions", "verify"]


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Options of ``specdata verify``."""

    path: Path = argument(type=EXISTING)
    remake: bool = remake_option()
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)


def report_on(path: Path) -> "Report":
    """Verify a file of any kind."""
    from starsmith.data_contract.checks.verify_folder import verify_file
    from starsmith.data_contract.errors import ContractError, StarsmithError

    if (path / "adapter.json").is_file():
        from starsmith.learners.adapter import verify_adapter

        return verify_adapter(path)
    if not (path / "card.json").is_file():
        return verify_file(path)
    from starsmith.learners import load_checkpoint
    from starsmith.learners.checkpoint import is_pretrained, verify_checkpoint

    report = verify_checkpoint(path)
    if report.ok:
        try:
            if is_pretrained(path):
                from starsmith.learners.pretrain.encoder import open_encoder

                open_encoder(path, device="cpu")
            else:
                load_checkpoint(path)
        except StarsmithError as problem:
            raise ContractError(str(problem)) from None
    return report


@click.command(
    cls=Command,
    examples=(
        "specdata verify data.zarr",
        "specdata verify data.zarr --json",
        "specdata verify bank.zarr",
        "specdata verify data.zarr --remake",
    ),
)
@takes(VerifyOptions)
def verify(options: VerifyOptions) -> None:
    """Check every byte and every promise of PATH; exit code 3 if one is broken.

    PATH is a data set, a bank, a grid, a checkpoint or an adapter with its base.

    --remake finds even what was changed before it was hashed; it takes as long as `specsim
    generate`, and the bank recorded in PATH unless another is named.
    """
    from starsmith.data_contract.errors import ContractError
    from starsmith.data_contract.files.digests import NO_DIGEST

    path = options.path
    report = report_on(path)
    remade = _other_than_keys(options) if options.remake and report.ok else []
    if options.as_json:
        content = {
            "path": str(path),
            "ok": report.ok and not remade,
            "problems": report.problems + remade,
            "n_files": report.n_files,
            "n_bytes": report.n_bytes,
            "has_digest": report.has_digest,
            "remade": options.remake and report.ok,
        }
        echo_json("specdata.verify", content)
    elif report.ok and not remade:
        again = ", every row what its key makes" if options.remake else ""
        size = f"{report.n_files} files, {report.n_bytes / 1e6:.1f} MB"
        state = "all intact" if report.has_digest else f"readable, but no digest: {NO_DIGEST}"
        click.echo(f"{path}: {size}, {state}{again}")
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
