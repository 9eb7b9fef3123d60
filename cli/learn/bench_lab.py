"""``speclearn bench lab``: strategies of transfer where the target's ceiling is known."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from starsmith.cli.learn.suite_options import SuiteOptions, grid_b_option
from starsmith.cli.shared.command import Command, echo_json
from starsmith.cli.shared.option_table import EXISTING, flag, option, takes
from starsmith.cli.shared.options import typed_on_command_line
from starsmith.cli.shared.progress import say
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.cli.learn.lab_world import SimulatedWorld, World
    from starsmith.learners.benchmark.lab import LabSuite

__all__ = ["LabOptions", "lab"]

FLAGS = "flags.json"
OF_SIMULATION = ("grid", "grid_b", "flags")


@dataclass(frozen=True, kw_only=True)
class LabOptions(SuiteOptions):
    """Options of ``speclearn bench lab``."""

    kind: ClassVar[str] = "lab"

    grid_b: Path | None = grid_b_option()
    data: Path | None = option(
        type=EXISTING, help="Your own stars in place of a simulated target; needs --base."
    )
    base: Path | None = option(
        type=EXISTING, help="With --data: the trained network that is brought to them."
    )
    flags: bool = option(
        is_flag=True,
        help="How often flux is called unlike the training set: at each g, and of contaminants.",
    )
    exhibits: bool = option(
        is_flag=True,
        help="Also write tables and figures of the papers, published values beside ours.",
    )

    @property
    def name(self) -> str:
        """What the folder is named after."""
        return super().name if self.data is None else self.data.stem

    def world(self, suite: "LabSuite") -> "tuple[LabSuite, World]":
        """What the suite is run on, and the suite as far as there are stars for it."""
        from starsmith.cli.learn.lab_world import DataWorld

        if self.data is None:
            return suite, self.simulated(suite)
        world = DataWorld(self.data, self.base)
        there = len(world.dataset.splits["train"])
        names = {"source": str(self.base), "target": str(self.data)}
        some = tuple(n for n in suite.n if n <= there)
        return replace(suite, **names, n=some, g=(0.0,)), world

    def simulated(self, suite: "LabSuite") -> "SimulatedWorld":
        """Simulated surveys."""
        from starsmith.cli.learn.lab_world import SimulatedWorld

        return SimulatedWorld(suite, self.folder, self.grid, self.grid_b, self.device)


@click.command(
    cls=Command,
    examples=(
        "speclearn bench lab --suite ci",
        "speclearn bench lab --suite default --out lab/ --exhibits",
        "speclearn bench lab --suite default --flags",
        "speclearn bench lab --data desi.zarr --base mlp/ --exhibits",
        "speclearn bench lab --suite my_lab.toml --grid a.zarr --grid-b b.zarr",
    ),
    resume="finished cells are kept; run the same command again to continue",
)
@takes(LabOptions)
def lab(options: LabOptions) -> None:
    """Bring networks from one simulated survey to another that differs by known amounts.

    The dial g goes from the physics of the source to another one; each result is R² over that of
    the exact posterior mean in the target, by groups of stars, with errors by stars resampled.
    With --data the target are stars of your own, and there is no ceiling.
    """
    from starsmith.learners.benchmark.lab import cell_rows, load_lab, run_lab

    if (options.data is None) != (options.base is None):
        raise click.UsageError("give --data and --base together: stars, and a network")
    if options.data is not None and (typed := typed_on_command_line(*OF_SIMULATION)):
        raise click.UsageError(f"--data is no simulation; drop {', '.join(map(flag, typed))}")
    suite = load_lab(options.suite)
    if options.flags:
        _tell_flags(options, suite)
        return
    suite, world = options.world(suite)
    if options.report_only:
        rows = cell_rows(suite, options.folder)
    else:
        rows = run_lab(
            suite, options.folder, world.base, world.target, options.device, say
        )  # fmt: skip
    place = options.folder
    if options.exhibits:
        from starsmith.learners.benchmark.exhibits.write import write_exhibits

        place = write_exhibits(suite, options.folder)
    table = [_line(row) for row in rows if row["group"] == "all"]
    options.tell(suite.name, rows, place, table)


def _tell_flags(options: LabOptions, suite: "LabSuite") -> None:
    """Print, and keep in the folder, how often spectra seen by the source are flagged."""
    from starsmith.data_contract.files.atomic import write_text
    from starsmith.learners.benchmark.flags import flag_rows
    from starsmith.learners.transfer.samples import training_view

    world = options.simulated(suite)
    train, val = world.source()
    rows = flag_rows(training_view(train, val), world.flag_sets(say))
    options.folder.mkdir(parents=True, exist_ok=True)
    write_text(options.folder / FLAGS, json.dumps({"survey": suite.source, "rows": rows}) + "\n")
    if options.as_json:
        echo_json("speclearn.bench.lab.flags", {"suite": suite.name, "rows": rows})
    else:
        click.echo(text_table(rows))


def _line(row: dict) -> dict:
    kept = {name: row[name] for name in ("g", "n", "strategy", "seed", "label")}
    told = {"R2": row["r2"], "ceiling": row["r2_ceiling"], "continuum free": row["r2_free"]}
    told["R2 / ceiling"] = _with_error(row["ratio"], row["error"])
    told["change from the g before"] = _with_error(row["change"], row["change_error"], "+")
    return kept | told | {"by pipeline labels": row["ratio_pipeline"]}


def _with_error(value: float, error: float, sign: str = "") -> str | None:
    """Value ± error; None of what is not known."""
    return None if value != value else f"{value:{sign}.3f} ± {error:.3f}"
