"""``specfisher check``: whether a grid or bank is fit for ceilings."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.fisher.options import UNUSED_BY_CEILINGS, refuse_moving, target_option
from starsmith.cli.shared.command import Command, finish, json_option
from starsmith.cli.shared.option_table import argument, grouped, option, takes
from starsmith.cli.shared.options import BankSource, config_option, prior_options
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.fisher import Finding
    from starsmith.simulator.prior import Prior

__all__ = ["CheckOptions", "check", "source_of"]


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Options of ``specfisher check``."""

    grid_or_bank: str = argument(metavar="GRID|BANK")
    instrument: str = option(default="pfs_mr", help="To render a grid for.")
    target: str = target_option()
    snr: float = option(
        type=click.FloatRange(min=0.1),
        default=7.1,
        help="Median S/N per pixel at which nodes are compared.",
    )
    as_json: bool = json_option()
    prior: "Prior" = grouped(prior_options)


@click.command(
    cls=Command,
    examples=("specfisher check demo", "specfisher check bank.zarr --target m_h --json"),
)
@takes(CheckOptions)
@config_option(*UNUSED_BY_CEILINGS)
def check(options: CheckOptions) -> None:
    """See whether a grid or bank is fit for ceilings, and hold it beside the published run.

    Nodes inside the ranges count, under the middle of the conditions.
    """
    from starsmith.fisher import check_bank

    refuse_moving(options.prior)
    bank = source_of(options.grid_or_bank, options.instrument).open()
    findings = check_bank(bank, options.prior, options.target, options.snr)
    rows = [asdict(finding) for finding in findings]
    text = _describe(findings)
    finish("specfisher.check", {"checks": rows}, text, options.as_json, bank.notice)


def source_of(name: str, instrument: str) -> BankSource:
    """Return the bank file of that name, or the bank to render from the grid of that name."""
    from starsmith.data_contract.bank.bank_file import BANK_SCHEMA
    from starsmith.data_contract.files.zarr_groups import schema_of

    if schema_of(name) == BANK_SCHEMA:
        return BankSource(bank=Path(name))
    return BankSource(grid=name, instrument=instrument)


def _describe(findings: Sequence["Finding"]) -> str:
    """Lay the findings out as a table; what deserves a look says so."""
    rows = [
        {
            "check": finding.name,
            "value": finding.value,
            "expected": finding.expected,
            "": "ok" if finding.ok else "LOOK",
            "remark": finding.remark,
        }
        for finding in findings
    ]
    return text_table(rows)
