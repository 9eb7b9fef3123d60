"""What is to be run: the runs of a suite that are asked for, and what they cost."""

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.benchmark.cost import cost_of
from starsmith.learners.benchmark.suite import Run, Suite

__all__ = ["chosen_runs", "plan_rows"]

PEAK_TERAFLOPS, SHARE_OF_PEAK = 790.0, 0.35


def chosen_runs(suite: Suite, only: tuple[str, ...]) -> list[Run]:
    """Runs of the comparisons asked for, and those they start from."""
    tags = {run.tag for run in suite.runs}
    if unknown := sorted(set(only) - tags):
        raise ConfigError(f"--only {', '.join(unknown)}: suite {suite.name} has {sorted(tags)}")
    wanted = {run.id for run in suite.runs if not only or run.tag in only}
    wanted |= {run.start for run in suite.runs if run.id in wanted and run.start}
    return [run for run in suite.runs if run.id in wanted]


def plan_rows(suite: Suite, only: tuple[str, ...] = ()) -> list[dict]:
    """One row per run: size, steps, arithmetic, and time at a third of an H200's peak."""
    rows = []
    for number, run in enumerate(chosen_runs(suite, only)):
        cost = cost_of(run, suite.data[run.data].n_train)
        rows.append(
            {
                "number": number,
                "run": run.id,
                "data": f"{run.data}{' (online)' if run.online else ''}",
                "n_train": run.n_seen(suite.data[run.data].n_train),
                "parameters": cost.n_parameters,
                "steps": cost.steps,
                "samples": cost.samples,
                "PFLOP": cost.flop / 1e15,
                "H200 minutes": cost.flop / (PEAK_TERAFLOPS * 1e12 * SHARE_OF_PEAK) / 60.0,
            }
        )
    total = {"number": None, "run": "all", "data": "", "n_train": None, "parameters": None}
    sums = {key: sum(row[key] for row in rows) for key in ("steps", "samples", "PFLOP")}
    return [*rows, total | sums | {"H200 minutes": sum(row["H200 minutes"] for row in rows)}]
