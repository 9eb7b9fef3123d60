"""Job files: numbered work, such as the shards of a data set, as tasks for a cluster."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from starsmith.data_contract.files.atomic import staged_file

__all__ = ["MOST_TASKS", "Tasks"]

MOST_TASKS = 1000  # job arrays are often limited to about this many

SLURM = """#!/bin/bash
#SBATCH --job-name={tool}
#SBATCH --array=0-{last_task}
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem-per-cpu=3G
#SBATCH --time={hours:02d}:00:00
{resources}# {n} {what}, {per_task} to a task. Submit, then finish when all tasks have ended well:
{submit}
#   sbatch --dependency=afterok:$job --wrap "{finish}"
# A task that is submitted again goes on where it stopped.
set -euo pipefail
first=$((SLURM_ARRAY_TASK_ID * {per_task}))
last=$((first + {per_task} < {n} ? first + {per_task} : {n}))
{command} --{what} "$first:$last" --workers "${{SLURM_CPUS_PER_TASK:-1}}"
"""

DISBATCH = """# {n} {what}, {per_task} to a task; run with: disBatch {file}
{before}{lines}
#DISBATCH BARRIER
{finish}
"""


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """Numbered work divided into tasks.

    Attributes
    ----------
    out : Path
        What comes of it; the job file lies beside it.
    what : str
        What is numbered; ``--WHAT FIRST:STOP`` is the option that chooses some.
    command, finish : str
        Of a task, without that option, and of the end.
    n, per_task : int
        Numbers in all, and to a task.
    before : str
        Command that must have ended before the first task; empty for none.
    resources : tuple of str
        Further lines for SLURM, as ``--gpus-per-task=1``.
    cpus, hours : int
        Of a task.
    """

    out: Path
    what: str
    command: str
    finish: str
    n: int
    per_task: int
    before: str = ""
    resources: tuple[str, ...] = ()
    cpus: int = 1
    hours: int = 2

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First and last + 1 number of every task."""
        return [(k, min(k + self.per_task, self.n)) for k in range(0, self.n, self.per_task)]

    def write(self, layout: str) -> Path:
        """Write the job file, ``OUT.slurm`` or ``OUT.disbatch``, and return its path."""
        file = self.out.absolute().with_name(f"{self.out.name}.{layout}")
        with staged_file(file) as partial:
            partial.write_text(self._slurm(file) if layout == "slurm" else self._disbatch(file))
        return file

    def _slurm(self, file: Path) -> str:
        quoted, after = shlex.quote(str(file)), ""
        submit = f"#   job=$(sbatch --parsable {quoted})"
        if self.before:
            after = "--dependency=afterok:$data "
            first = f'#   data=$(sbatch --parsable --wrap "{self.before}")\n'
            submit = f"{first}#   job=$(sbatch --parsable {after}{quoted})"
        return SLURM.format(
            tool=self.command.split()[0],
            last_task=len(self.spans) - 1,
            cpus=self.cpus,
            hours=self.hours,
            resources="".join(f"#SBATCH {line}\n" for line in self.resources),
            n=self.n,
            what=self.what,
            per_task=self.per_task,
            submit=submit,
            finish=self.finish,
            command=self.command,
        )

    def _disbatch(self, file: Path) -> str:
        return DISBATCH.format(
            n=self.n,
            what=self.what,
            per_task=self.per_task,
            file=shlex.quote(str(file)),
            before=f"{self.before}\n#DISBATCH BARRIER\n" if self.before else "",
            lines="\n".join(
                f"{self.command} --workers {self.cpus} --{self.what} {start}:{stop}"
                for start, stop in self.spans
            ),
            finish=self.finish,
        )
