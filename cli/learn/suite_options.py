"""What the comparisons below ``speclearn bench`` share whose stars the laboratory makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, PATH, option
from starsmith.data_contract.text_tables import text_table

__all__ = ["SuiteOptions", "grid_b_option"]


@dataclass(frozen=True, kw_only=True)
class SuiteOptions:
    """Options of ``speclearn bench KIND``."""

    kind: ClassVar[str]

    suite: str = option(
        default="default", help="ci, default (of lab dial and full, too), or a TOML file."
    )
    out: Path | None = option(
        type=PATH, help="Folder of networks and cells.  [default: bench/COMMAND-SUITE]"
    )
    grid: Path | None = option(type=EXISTING, help="Grid A.  [default: the laboratory's own]")
    report_only: bool = option(is_flag=True, help="Write the report of what is there.")
    device: str | None = device_option()
    as_json: bool = json_option()

    @property
    def name(self) -> str:
        """What the folder is named after."""
        return Path(self.suite).stem

    @property
    def folder(self) -> Path:
        """Where cells are kept."""
        return self.out or Path("bench") / f"{self.kind}-{self.name}"

    def tell(
        self, suite: str, rows: Sequence[Mapping], place: Path, table: Sequence[Mapping]
    ) -> None:
        """Print rows as JSON, or a table for people, and where the report is."""
        if self.as_json:
            content = {"suite": suite, "rows": rows, "out": str(place)}
            echo_json(f"speclearn.bench.{self.kind}", content)
        else:
            click.echo(f"{text_table(table)}\n\n{place}")


def grid_b_option() -> Any:
    """``--grid-b``: the other physics."""
    return option(
        type=EXISTING, help="Grid B, on nodes and wavelengths of A.  [default: a second physics]"
    )
