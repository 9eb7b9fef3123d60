"""``speclearn bench lora_specclip``: the LoRA note on SpecCLIP, where the ceiling is known."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, PATH, option, takes
from starsmith.cli.shared.progress import say
from starsmith.data_contract.text_tables import text_table

__all__ = ["LoraOptions", "lora_specclip"]


@dataclass(frozen=True, kw_only=True)
class LoraOptions:
    """Options of ``speclearn bench lora_specclip``."""

    suite: str = option(default="default", help="ci, default, or a TOML file.")
    out: Path | None = option(
        type=PATH, help="Folder of networks and cells.  [default: bench/lora_specclip-SUITE]"
    )
    grid: Path | None = option(type=EXISTING, help="Grid A.  [default: the laboratory's own]")
    grid_b: Path | None = option(
        type=EXISTING, help="Grid B, on nodes and wavelengths of A.  [default: a second physics]"
    )
    report_only: bool = option(is_flag=True, help="Write the report of what is there.")
    device: str | None = device_option()
    as_json: bool = json_option()

    @property
    def folder(self) -> Path:
        """Where cells are kept."""
        return self.out or Path("bench") / f"lora_specclip-{Path(self.suite).stem}"


@click.command(
    cls=Command,
    examples=(
        "speclearn bench lora_specclip --suite ci",
        "speclearn bench lora_specclip --suite default --out lora/",
        "speclearn bench lora_specclip --suite default --out lora/ --report-only",
    ),
    resume="finished cells are kept; run the same command again to continue",
)
@takes(LoraOptions)
def lora_specclip(options: LoraOptions) -> None:
    """Bring pretrained networks to another survey by LoRA 1 to 4, as the note on SpecCLIP does.

    LoRA1 and LoRA3 learn from 164 stars without labels, LoRA2 and LoRA4 from 89 with. Beside
    them: zero-shot, full fine-tuning, training from scratch, plain networks on pixels, the exact
    posterior, and the note's numbers, of different stars. OUT/lora_specclip.md is the report.
    """
    from starsmith.cli.learn.lab_world import SimulatedWorld
    from starsmith.learners.benchmark.lora_specclip.report import (
        arm_rows,
        wide_rows,
        write_report,
    )
    from starsmith.learners.benchmark.lora_specclip.run import finished, learned, run_lora
    from starsmith.learners.benchmark.lora_specclip.suite import load_lora

    suite, out = load_lora(options.suite), options.folder
    if options.report_only:
        cells = finished(suite, out)
    else:
        world = SimulatedWorld(suite.lab, out, options.grid, options.grid_b, options.device)
        cells = run_lora(suite, out, world, options.device, say)
    changes = learned(out)
    report = write_report(suite, out, cells, changes)
    rows = arm_rows(cells, changes)
    if options.as_json:
        content = {"suite": suite.name, "rows": rows, "out": str(report)}
        echo_json("speclearn.bench.lora_specclip", content)
    else:
        click.echo(f"{text_table(wide_rows(rows))}\n\n{report}")
