"""Options that divide the making of a data set between machines."""

import functools
from dataclasses import dataclass

import click

from starsmith.cli.shared.option_types import Count, ShardSpan
from starsmith.cli.sim.tasks import TASK_FORMATS, TASK_SHARDS

__all__ = ["ALONE", "CREW_OPTIONS", "Division", "crew_options"]

CREW_OPTIONS = ("shards", "scheduler", "emit_tasks", "task_shards")


@dataclass(frozen=True, kw_only=True)
class Division:
    """Which shards to make, who makes them, or the job file that says so.

    Attributes
    ----------
    shards : range or None
        Numbers of the shards to make; all by default.
    scheduler : str or None
        Address of a dask scheduler, or ``mpi``.
    emit_tasks : str or None
        ``slurm`` or ``disbatch``: write the job file instead of the shards.
    task_shards : int or None
        Shards to a task of the job file.
    """

    shards: range | None = None
    scheduler: str | None = None
    emit_tasks: str | None = None
    task_shards: int | None = None

    def __post_init__(self):
        if self.emit_tasks and (self.shards or self.scheduler):
            raise click.UsageError("--emit-tasks makes no shards: drop --shards and --scheduler")
        if self.task_shards and not self.emit_tasks:
            raise click.UsageError("--task-shards belongs to --emit-tasks slurm or disbatch")


ALONE = Division()
"""All shards, made by this process and its own workers."""


def crew_options(function):
    """Add ``--shards --scheduler --emit-tasks --task-shards``; the command gets a ``division``."""

    @click.option(
        "--shards", type=ShardSpan(), help="Make only these, such as 0:50; see --emit-tasks."
    )
    @click.option("--scheduler", help="Let dask (tcp://host:8786) or mpi workers make the shards.")
    @click.option(
        "--emit-tasks", type=click.Choice(TASK_FORMATS), help="Write a job file for a cluster."
    )
    @click.option(
        "--task-shards", type=Count(), help=f"Shards to a task.  [default: {TASK_SHARDS}]"
    )
    @functools.wraps(function)
    def with_division(*args, **kwargs):
        given = {name: kwargs.pop(name) for name in CREW_OPTIONS}
        return function(*args, division=Division(**given), **kwargs)

    return with_division
