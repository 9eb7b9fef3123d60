"""``specfisher selftest``: ceilings held against closed forms."""

from dataclasses import asdict, dataclass

import click

from starsmith.cli.shared.command import Command, finish, json_option
from starsmith.cli.shared.option_table import takes
from starsmith.data_contract.errors import StarsmithError
from starsmith.data_contract.text_tables import text_table

__all__ = ["SelftestOptions", "selftest"]


@dataclass(frozen=True, kw_only=True)
class SelftestOptions:
    """Options of ``specfisher selftest``."""

    as_json: bool = json_option()


@click.command(cls=Command, examples=("specfisher selftest", "specfisher selftest --json"))
@takes(SelftestOptions)
def selftest(options: SelftestOptions) -> None:
    """Check the ceilings against closed forms (seconds); exit code 1 if one fails."""
    from starsmith.fisher import run_selftest

    checks = [asdict(check) for check in run_selftest()]
    finish("specfisher.selftest", {"checks": checks}, text_table(checks), options.as_json)
    if failed := [check["name"] for check in checks if not check["ok"]]:
        raise StarsmithError(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")
