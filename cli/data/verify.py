"""``specdata verify``: whether every byte and promise of a data set is intact."""

import click

from starsmith.cli.data.options import named_bank, path_argument, remake_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.options import bank_options
from starsmith.cli.shared.progress import progress_bar

__all__ = ["verify"]


@click.command(
    cls=Command,
    examples=(
        "specdata verify data.zarr",
        "specdata verify data.zarr --json",
        "specdata verify data.zarr --remake",
    ),
)
@path_argument
@remake_option
@json_option()
@bank_options
def verify(path, remake, as_json, source):
    """Check every byte and every promise of the data set at PATH; exit code 3 if one is broken.

    --remake finds even what was changed before it was hashed; it takes as long as `specsim
    generate`, and the bank recorded in PATH unless another is named.
    """
    from starsmith.cli.shared import datasets
    from starsmith.data_contract.checks.verify import verify_dataset
    from starsmith.data_contract.errors import ContractError

    report = verify_dataset(path)
    remade = []
    if remake and report.ok:
        with progress_bar("remake", "shards") as progress:
            remade = datasets.compare_with_keys(path, named_bank(source), progress)
    if as_json:
        content = {
            "path": str(path),
            "ok": report.ok and not remade,
            "problems": report.problems + remade,
            "n_files": report.n_files,
            "n_bytes": report.n_bytes,
            "remade": remake and report.ok,
        }
        echo_json("specdata.verify", content)
    elif report.ok and not remade:
        again = ", every row what its key makes" if remake else ""
        size = f"{report.n_files} files, {report.n_bytes / 1e6:.1f} MB"
        click.echo(f"{path}: {size}, all intact{again}")
    report.require()
    if remade:
        raise ContractError(
            f"{path}: {'; '.join(remade[:5])}; {len(remade)} shard(s) in all: `specdata repair "
            f"{path} --remake` puts them back"
        )
