"""``speclearn bench``: a whole comparison of models, from data to report."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.learn.training_progress import training_progress
from starsmith.cli.shared.command import Command, echo_json, echo_notice, json_option
from starsmith.cli.shared.option_table import EXISTING, flag, option, takes
from starsmith.cli.shared.options import BankSource
from starsmith.cli.shared.progress import progress_bar, say, told_bank
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.learners.benchmark.run_suite import SuiteFolder
    from starsmith.learners.benchmark.suite import DataSpec

__all__ = ["BenchOptions", "bench"]


BELOW = {"lab": "starsmith.cli.learn.bench_lab", "real": "starsmith.cli.learn.bench_real"}
"""Command below ``bench`` -> its module."""


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Options of ``speclearn bench``."""

    suite: str = option(help="tiny, specvit, ... or a TOML file; see --plan.")
    out: Path | None = option(
        type=click.Path(file_okay=False, path_type=Path), help="[default: bench/SUITE]"
    )
    plan: bool = option(is_flag=True, help="List every run with its cost, and do nothing.")
    only: tuple[str, ...] = option(
        multiple=True, metavar="TAG", help="Only runs of this comparison."
    )
    report_only: bool = option(is_flag=True, help="Write the report of what is there.")
    bank: Path | None = option(
        type=EXISTING,
        help="Bank of every data set.  [default: the suite's, or the demonstration grid's]",
    )
    workers: int = option(type=click.IntRange(1, 1024), default=2)
    device: str | None = device_option()
    as_json: bool = json_option()

    @property
    def folder(self) -> Path:
        """Where the benchmark is kept."""
        return self.out or Path("bench") / Path(self.suite).stem


class SuiteGroup(Command, click.Group):
    """A command of its own, with others below it that are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return sorted(BELOW)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of this name, imported now; None where there is none."""
        if name not in BELOW:
            return None
        return getattr(import_module(BELOW[name]), name)


@click.group(
    cls=SuiteGroup,
    invoke_without_command=True,
    examples=(
        "speclearn bench --suite tiny --out bench/",
        "speclearn bench --suite specvit --plan",
        "speclearn bench --suite my_suite.toml --out bench/ --only scaling --bank bank.zarr",
    ),
    resume="finished runs are kept; run the same command again to continue",
)
@takes(BenchOptions)
def bench(options: BenchOptions) -> None:
    """Generate data, train every model of a suite, evaluate them, write one report.

    OUT/report.html needs nothing but a browser; OUT/report.md has its figures beside it.
    Models that do better than is possible end the command with exit code 3, after the report.
    `speclearn bench real` tests transfer on real stars, `bench lab` where the ceiling is known.
    """
    if click.get_current_context().invoked_subcommand:
        return
    if not options.suite:
        raise click.UsageError(
            "give --suite (tiny, specvit, ... or a TOML file), or say real or lab"
        )
    from starsmith.learners.benchmark.run_suite import plan_rows
    from starsmith.learners.benchmark.suite import load_suite
    from starsmith.learners.evaluation.leak import refuse_leaks

    if options.plan:
        rows = plan_rows(load_suite(options.suite), options.only)
        if options.as_json:
            echo_json("speclearn.bench.plan", {"suite": options.suite, "runs": rows})
        else:
            click.echo(text_table(rows))
        return
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    summary, verdicts = _at_work(options).report(command)
    if options.as_json:
        echo_json("speclearn.bench", summary)
    else:
        click.echo(f"{text_table(summary['models'])}\n\n{summary['report']}")
    refuse_leaks(verdicts)


def _at_work(options: BenchOptions) -> "SuiteFolder":
    """The benchmark's folder, with every run in it unless only a report is asked for."""
    from starsmith.learners.benchmark.run_suite import Access, SuiteFolder, run_suite
    from starsmith.learners.benchmark.suite import load_suite
    from starsmith.simulator.generation.recorded import open_recorded

    suite = load_suite(options.suite)
    access = Access(bank_of=told_bank, open_dataset=open_recorded, tell=say, progress=_progress)
    if options.report_only:
        return SuiteFolder.open(suite, options.folder, access, options.only, options.device)
    make = partial(_generate, options)
    return run_suite(suite, make, options.folder, access, options.only, options.device)


@contextmanager
def _progress(run: str) -> Iterator[Callable[[dict], None]]:
    with progress_bar(run) as report:
        yield training_progress(report)


def _generate(options: BenchOptions, spec: "DataSpec", path: Path) -> None:
    """Write a data set as ``specsim generate`` does, or find it complete."""
    from starsmith.cli.sim.generate import describe, requested

    chosen = dict(spec.options)
    splits = ",".join(f"{name}={count}" for name, count in chosen.pop("splits").items())
    words = ["--splits", splits, "--out", str(path), "--workers", str(options.workers)]
    if (bank := _bank_path(options, spec)) is not None:
        words += ["--bank", str(bank)]
    for name, value in chosen.items():
        text = f"{value[0]:g}..{value[1]:g}" if isinstance(value, list) else str(value)
        words += [flag(name), text]
    with progress_bar("spectra") as progress:
        report = requested(words).write(progress)
    click.echo(describe(report), err=True)
    echo_notice(report["notice"])


def _bank_path(options: BenchOptions, spec: "DataSpec") -> Path | None:
    """Bank of a data set: the one given, or a copy of the default one kept in the folder.

    None where the suite names a grid or an instrument. With a copy, a benchmark can be
    continued after the default bank has changed.
    """
    if {"grid", "instrument", "bank"} & set(spec.options):
        return None
    if options.bank is not None:
        return options.bank
    kept = options.folder / "bank.zarr"
    if not kept.exists():
        say("bank: the demonstration grid at the default instrument")
        BankSource().open().save(kept)
    return kept
