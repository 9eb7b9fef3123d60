"""``speclearn bench lora_specclip``: the LoRA note on SpecCLIP, where the ceiling is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import click

from starsmith.cli.learn.suite_options import SuiteOptions, grid_b_option
from starsmith.cli.shared.command import Command
from starsmith.cli.shared.option_table import takes
from starsmith.cli.shared.progress import say

__all__ = ["LoraOptions", "lora_specclip"]


@dataclass(frozen=True, kw_only=True)
class LoraOptions(SuiteOptions):
    """Options of ``speclearn bench lora_specclip``."""

    kind: ClassVar[str] = "lora_specclip"

    grid_b: Path | None = grid_b_option()


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
    options.tell(suite.name, rows, report, wide_rows(rows))
