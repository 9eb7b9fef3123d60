"""Job files: the shards of a data set as tasks for a cluster."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from starsmith.data_contract.files.atomic import staged_file

__all__ = ["Tasks"]

TASK_SHARDS = 50  # a quarter of a minute of computing on one core, 100,000 spectra
MOST_TASKS = 1000  # job arrays are often limited to about this many

SLURM = """#!/bin/bash
#SBATCH --job-name=specsim
#SBATCH --array=0-{last_task}
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=3G
#SBATCH --time=02:00:00
# {n_shards} shards, {per_task} to a task. Submit, then finish when all tasks have ended well:
#   job=$(sbatch --parsable {file})
#   sbatch --dependency=afterok:$job --wrap "{finish}"
# A task that is submitted again goes on where it stopped.
set -euo pipefail
first=$((SLURM_ARRAY_TASK_ID * {per_task}))
last=$((first + {per_task} < {n_shards} ? first + {per_task} : {n_shards}))
{generate} --shards "$first:$last" --workers "${{SLURM_CPUS_PER_TASK:-1}}"
"""

DISBATCH = """# {n_shards} shards, {per_task} to a task; run with: disBatch {file}
{lines}
#DISBATCH BARRIER
{finish}
"""


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """The shards of a data set divided into tasks.

    Attributes
    ----------
    out : Path
        The data set.
    config : Path
        TOML file of its resolved configuration.
    n_shards : int
    per_task : int or None
        Shards to a task; by default 50, or more where that would be over 1000 tasks.
    """

    out: Path
    config: Path
    n_shards: int
    per_task: int | None = None

    @property
    def shards_per_task(self) -> int:
        """Shards to a task."""
        return self.per_task or max(TASK_SHARDS, -(-self.n_shards // MOST_TASKS))

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First and last + 1 shard of every task."""
        step = self.shards_per_task
        return [(k, min(k + step, self.n_shards)) for k in range(0, self.n_shards, step)]

    def write(self, layout: str) -> Path:
        """Write the job file, ``OUT.slurm`` or ``OUT.disbatch``, and return its path."""
        file = self.out.absolute().with_name(f"{self.out.name}.{layout}")
        out, config = (shlex.quote(str(path.absolute())) for path in (self.out, self.config))
        generate = f"specsim generate --config {config} --out {out}"
        names = {
            "file": shlex.quote(str(file)),
            "n_shards": self.n_shards,
            "per_task": self.shards_per_task,
            "last_task": len(self.spans) - 1,
            "generate": generate,
            "finish": f"specdata finish {out}",
            "lines": "\n".join(
                f"{generate} --workers 1 --shards {start}:{stop}" for start, stop in self.spans
            ),
        }
        with staged_file(file) as partial:
            partial.write_text((SLURM if layout == "slurm" else DISBATCH).format(**names))
        return file
