"""``speclearn bench``: a whole comparison of models, from data to report."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.learn.training_progress import training_progress
from starsmith.cli.shared.command import Command, echo_json, echo_notice, json_option
from starsmith.cli.shared.option_table import EXISTING, flag, option, takes
from starsmith.cli.shared.option_types import Count, Named, ShardSpan
from starsmith.cli.shared.options import BankSource
from starsmith.cli.shared.progress import progress_bar, say, told_bank
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.data_contract.errors import StarsmithError
    from starsmith.learners.benchmark.run_suite import Failures, SuiteFolder
    from starsmith.learners.benchmark.suite import DataSpec, Suite

__all__ = ["BenchOptions", "bench"]


BELOW = {
    name: f"starsmith.cli.learn.bench_{name}"
    for name in ("embeddings", "lab", "lora_specclip", "real")
}
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
    data_only: bool = option(is_flag=True, help="Make data sets and ceilings, train nothing.")
    size: str = option(
        type=Named(["full", "tiny"]),
        default="full",
        help="tiny: every step on some hundred spectra and tiny networks, to try a suite.",
    )
    runs: range | None = option(
        type=ShardSpan("runs"), help="Only these runs of --plan, such as 0:4; no report."
    )
    pool: int = option(type=click.IntRange(1, 256), default=1, help="Runs trained at once.")
    scheduler: str | None = option(
        help="Let dask (tcp://host:8786) or mpi workers, who see OUT, train the runs."
    )
    emit_tasks: str | None = option(
        type=Named(["slurm", "disbatch"]), help="Write a job file for a cluster."
    )
    task_runs: int | None = option(type=Count(), help="Runs to a task.  [default: 1]")
    merge: tuple[Path, ...] = option(
        multiple=True,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Bring in the finished runs of another folder of the suite; may be repeated.",
    )
    bank: Path | None = option(
        type=EXISTING,
        help="Bank of every data set.  [default: the suite's, or the demonstration grid's]",
    )
    workers: int = option(
        type=click.IntRange(1, 1024), default=2, help="Processes that make spectra."
    )
    device: str | None = device_option()
    as_json: bool = json_option()

    def __post_init__(self):
        ways = {
            "--runs": self.runs,
            "--report-only": self.report_only,
            "--data-only": self.data_only,
            "--emit-tasks": self.emit_tasks,
            "--merge": self.merge,
        }
        chosen = [name for name, value in ways.items() if value]
        if len(chosen) > 1:
            raise click.UsageError(f"{' and '.join(chosen)} do not go together; drop all but one")
        if self.pool > 1 and self.scheduler:
            raise click.UsageError("--pool and --scheduler do not go together; drop one")
        if self.task_runs and not self.emit_tasks:
            raise click.UsageError("--task-runs belongs to --emit-tasks slurm or disbatch")

    @property
    def folder(self) -> Path:
        """Where the benchmark is kept."""
        small = f"_{self.size}" if self.size != "full" else ""
        return self.out or Path("bench") / f"{Path(self.suite).stem}{small}"

    def read_suite(self) -> "Suite":
        """The suite at its size."""
        from starsmith.learners.benchmark.sizes import sized
        from starsmith.learners.benchmark.suite import load_suite

        return sized(load_suite(self.suite), self.size)

    def open_folder(self) -> "SuiteFolder":
        """The benchmark's folder; DataError if it holds something else."""
        from starsmith.learners.benchmark.run_suite import Access, SuiteFolder
        from starsmith.simulator.generation.recorded import open_recorded

        access = Access(bank_of=told_bank, open_dataset=open_recorded, tell=say, progress=_progress)
        return SuiteFolder.open(self.read_suite(), self.folder, access, self.only, self.device)

    def command(self) -> str:
        """The command line of the same benchmark from anywhere, in the words of a shell."""
        suite = str(Path(self.suite).absolute()) if self.suite.endswith(".toml") else self.suite
        words = ["speclearn", "bench", "--suite", suite, "--out", str(self.folder.absolute())]
        words += ["--size", self.size] if self.size != "full" else []
        words += [word for tag in self.only for word in ("--only", tag)]
        words += ["--bank", str(self.bank.absolute())] if self.bank else []
        words += ["--device", self.device] if self.device else []
        return shlex.join(words)


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
        "speclearn bench --suite specvit --size tiny --pool 2",
        "speclearn bench --suite specvit --out bench/ --emit-tasks slurm",
    ),
    resume="finished runs are kept; run the same command again to continue",
)
@takes(BenchOptions)
def bench(options: BenchOptions) -> None:
    """Generate data, train every model of a suite, evaluate them, write one report.

    OUT/report.html needs nothing but a browser; OUT/report.md has its figures beside it.
    Models that do better than is possible end the command with exit code 3, after the report.
    `speclearn bench real` tests transfer on real stars, `bench lab` where the ceiling is known,
    `bench embeddings` vectors of spectra, `bench lora_specclip` how they are brought elsewhere.
    """
    if click.get_current_context().invoked_subcommand:
        return
    if not options.suite:
        raise click.UsageError(
            "give --suite (tiny, specvit, ... or a TOML file), or say " + ", ".join(sorted(BELOW))
        )
    if options.plan:
        return _plan(options)
    if options.emit_tasks:
        return _emit(options)
    from starsmith.learners.benchmark.run_suite import refuse_failures
    from starsmith.learners.evaluation.leak import refuse_leaks

    folder, failures = options.open_folder(), {}
    if options.merge:
        from starsmith.learners.benchmark.merge import merge_folder

        for other in options.merge:
            say(f"{other}: {len(merge_folder(folder, other))} runs brought in")
    elif not options.report_only:
        folder.part(options.runs)  # refused before anything is made
        folder.prepare(partial(_generate, options))
        if options.data_only:
            return None
        failures = train_runs(options, folder)
    if options.runs:
        return refuse_failures(failures)
    if len(failures) == len(folder.runs):
        refuse_failures(failures)
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    summary, verdicts = folder.report(command)
    if options.as_json:
        echo_json("speclearn.bench", summary)
    else:
        click.echo(f"{text_table(summary['models'])}\n\n{summary['report']}")
    refuse_failures(failures)
    return refuse_leaks(verdicts)


def _plan(options: BenchOptions) -> None:
    """Print every run with its number and cost."""
    from starsmith.learners.benchmark.plan import plan_rows

    rows = plan_rows(options.read_suite(), options.only)
    if options.as_json:
        echo_json("speclearn.bench.plan", {"suite": options.suite, "runs": rows})
    else:
        click.echo(text_table(rows))


def _emit(options: BenchOptions) -> None:
    """Write the job file of a cluster."""
    from starsmith.learners.benchmark.plan import chosen_runs
    from starsmith.simulator.generation.task_file import Tasks

    options.folder.parent.mkdir(parents=True, exist_ok=True)
    command, n_run = options.command(), len(chosen_runs(options.read_suite(), options.only))
    tasks = Tasks(
        out=options.folder,
        what="runs",
        command=command,
        finish=f"{command} --report-only",
        n=n_run,
        per_task=options.task_runs or 1,
        before=f"{command} --data-only",
        resources=("--gpus-per-task=1",) if options.size == "full" else (),
        cpus=2,
        hours=24,
    )
    file = tasks.write(options.emit_tasks)
    if options.as_json:
        content = {"suite": options.suite, "task_file": str(file), "n_tasks": len(tasks.spans)}
        echo_json("speclearn.bench.tasks", content | {"n_runs": n_run})
    else:
        click.echo(f"{len(tasks.spans)} tasks for {n_run} runs in {file}")


def train_runs(options: BenchOptions, folder: "SuiteFolder") -> "Failures":
    """Train the runs of a folder here, in a pool, or on the workers of a scheduler."""
    if options.pool == 1 and options.scheduler is None:
        return folder.work(options.runs)
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from starsmith.simulator.generation.schedulers import executor_of

    mine = [run for run in folder.part(options.runs) if folder.outcome(run) is None]
    waves = [[run for run in mine if bool(run.start) == later] for later in (False, True)]
    away = replace(options, out=folder.out.absolute(), runs=None, pool=1, scheduler=None)
    pool = ProcessPoolExecutor(options.pool, get_context("spawn")) if options.pool > 1 else None
    failures: dict = {}
    with executor_of(options.scheduler) if pool is None else pool as executor:
        for wave in waves:
            sent = {executor.submit(train_away, away, run.id): run.id for run in wave}
            for done in as_completed(sent):
                if (problem := done.result()) is not None:
                    failures[sent[done]] = problem
                say(f"{sent[done]}: {'FAILED: ' + str(problem) if problem else 'done'}")
    return failures


def train_away(options: BenchOptions, run_id: str) -> "StarsmithError | None":
    """Train one run in another process, which sees the folder; what failed, or None."""
    from starsmith.learners.benchmark.run_suite import Access, SuiteFolder
    from starsmith.simulator.generation.recorded import open_recorded, recorded_bank

    access = Access(bank_of=recorded_bank, open_dataset=open_recorded)
    suite = options.read_suite()
    folder = SuiteFolder.open(suite, options.folder, access, options.only, options.device)
    (run,) = (one for one in folder.runs if one.id == run_id)
    return folder.try_run(run)


@contextmanager
def _progress(run: str) -> Iterator[Callable[[dict], None]]:
    with progress_bar(run) as report:
        yield training_progress(report)


def _generate(options: BenchOptions, spec: "DataSpec", path: Path) -> None:
    """Write a data set as ``specsim generate`` does, or find it complete."""
    from starsmith.cli.sim.generate import requested
    from starsmith.cli.sim.published_files import describe

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
