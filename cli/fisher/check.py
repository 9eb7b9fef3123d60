"""``specfisher check``: whether a grid or bank is fit for ceilings."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.fisher.options import UNUSED_BY_CEILINGS, refuse_moving, target_option
from starsmith.cli.shared.command import Command, finish, json_option
from starsmith.cli.shared.options import BankSource, config_option, prior_options
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.fisher import Finding

__all__ = ["check", "source_of"]


@click.command(
    cls=Command,
    examples=("specfisher check demo", "specfisher check bank.zarr --target m_h --json"),
)
@click.argument("grid_or_bank", metavar="GRID|BANK")
@click.option("--instrument", default="pfs_mr", show_default=True, help="To render a grid for.")
@target_option
@click.option(
    "--snr",
    type=click.FloatRange(min=0.1),
    default=7.1,
    show_default=True,
    help="Median S/N per pixel at which nodes are compared.",
)
@json_option()
@prior_options
@config_option(*UNUSED_BY_CEILINGS)
def check(grid_or_bank, instrument, prior, target, snr, as_json):
    """See whether a grid or bank is fit for ceilings, and hold it beside the published run.

    Nodes inside the ranges count, under the middle of the conditions.
    """
    from starsmith.fisher import check_bank

    refuse_moving(prior)
    bank = source_of(grid_or_bank, instrument).open()
    findings = check_bank(bank, prior, target, snr)
    rows = [asdict(finding) for finding in findings]
    finish("specfisher.check", {"checks": rows}, _describe(findings), as_json, bank.notice)


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
