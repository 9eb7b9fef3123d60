"""A suite at work in a folder: every step is kept on disk and skipped when it is there."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.reader import Dataset, open_dataset
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import BusyError, ConfigError, DataError, StarsmithError
from starsmith.data_contract.files.atomic import write_json
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.predictions import read_predictions, write_predictions
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.fisher.ceilings.ceiling_table import CeilingTable
from starsmith.fisher.ceilings.dataset_stars import ceiling_of
from starsmith.fisher.ceilings.options import CeilingOptions
from starsmith.learners.benchmark.ceiling_file import read_ceiling_file, write_ceiling_file
from starsmith.learners.benchmark.cost import cost_of
from starsmith.learners.benchmark.document import write_document
from starsmith.learners.benchmark.plan import chosen_runs
from starsmith.learners.benchmark.report import build_report
from starsmith.learners.benchmark.results import Outcome, Results
from starsmith.learners.benchmark.suite import DataSpec, Run, Suite, vars_of
from starsmith.learners.estimators.registry import ForwardView, with_forward
from starsmith.learners.evaluation.evaluate import check_predictions
from starsmith.learners.evaluation.leak import Verdict
from starsmith.learners.first_spectra import first_spectra
from starsmith.learners.online.online_view import OnlineView, online_ranges, open_online
from starsmith.learners.prediction.predict import load_checkpoint, predict
from starsmith.learners.train import fit

__all__ = ["Access", "Failures", "SuiteFolder", "refuse_failures", "run_suite"]

log = logging.getLogger(__name__)

STATISTICS = ("paper_median", "bayes_gauss", "posterior_mean")
N_EXAMPLE, N_STAR = 200, 24
RUNS, DATA, RESULTS, PREDICTIONS, CEILINGS = "runs", "data", "results", "predictions", "ceilings"

MARK = "suite.json"
POLL_S = 5.0  # between looks at a run that another process trains

Progress = Callable[[dict], None]
Failures = dict[str, StarsmithError]


@contextmanager
def untold(run: str) -> Iterator[Progress | None]:
    """Progress of a run that nobody watches."""
    yield None


@dataclass(frozen=True, kw_only=True)
class Access:
    """How a suite gets at its data sets and their banks, and whom it tells what it does.

    Attributes
    ----------
    bank_of : callable
        Opens the bank that the data set at a path was made with, as `recorded_bank`.
    open_dataset : callable
        Opens the data set at a path.
    tell : callable
        Called with a line of text before each step.
    progress : callable
        Context in which a run of this name is fitted; yields what `fit` tells its progress.
    """

    bank_of: Callable[[Path], Bank]
    open_dataset: Callable[[Path], Dataset] = open_dataset
    tell: Callable[[str], None] = log.info
    progress: Callable[[str], AbstractContextManager[Progress | None]] = untold


@dataclass(frozen=True, kw_only=True)
class SuiteFolder:
    """A suite at work in a folder."""

    suite: Suite
    runs: list[Run]
    out: Path
    access: Access
    device: str | None = None

    @classmethod
    def open(
        cls,
        suite: Suite,
        out: Path,
        access: Access,
        only: tuple[str, ...] = (),
        device: str | None = None,
    ) -> "SuiteFolder":
        """Take a new folder, or one of the same suite; DataError if it holds something else."""
        mark = out / MARK
        wanted = identity(suite)
        if mark.exists():
            if read_json(mark, advice="choose another --out") != wanted:
                raise DataError(f"{out}: holds another suite or other data; choose another --out")
        elif out.exists() and any(out.iterdir()):
            raise DataError(f"{out}: exists and is not a benchmark; choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        write_json(mark, wanted)
        runs = chosen_runs(suite, only)
        return cls(suite=suite, runs=runs, out=out, access=access, device=device)

    def data_path(self, name: str) -> Path:
        """Folder of a data set."""
        return self.out / DATA / f"{name}.zarr"

    def dataset(self, name: str) -> Dataset:
        """A data set that was made."""
        return self.access.open_dataset(self.data_path(name))

    def folder(self, run_id: str) -> Path:
        """Checkpoint folder of a run."""
        return self.out / RUNS / run_id

    def prepare(self, make_dataset: Callable[[DataSpec, Path], object]) -> None:
        """Make the data sets and ceilings that are missing."""
        for name in dict.fromkeys(run.data for run in self.runs):
            self.access.tell(f"data {name}")
            make_dataset(self.suite.data[name], self.data_path(name))
            self.ceiling(name)

    def work(self, part: range | None = None) -> Failures:
        """Train and score the runs that are missing; those that fail do not stop the others.

        Parameters
        ----------
        part : range, optional
            Numbers of the runs, in the order of the plan; all by default. Runs that these start
            from come first.
        """
        tell, start, failures = self.access.tell, time.monotonic(), {}
        mine = self.part(part)
        for k, run in enumerate(mine, start=1):
            if self.outcome(run) is not None:
                continue
            tell(f"[{k}/{len(mine)}] {run.id}")
            if (problem := self.try_run(run)) is not None:
                failures[run.id] = problem
                tell(f"{run.id} FAILED: {problem}")
        done = f"{len(mine) - len(failures)} of {len(mine)} runs are there"
        tell(f"{done} after {time.monotonic() - start:.0f} s")
        return failures

    def try_run(self, run: Run) -> StarsmithError | None:
        """Finish a run; what went wrong, or None."""
        try:
            self.finish(run)
        except StarsmithError as problem:
            return problem
        return None

    def part(self, part: range | None) -> list[Run]:
        """Runs of these numbers; ConfigError if there are not so many."""
        if part is None:
            return self.runs
        if part.stop > len(self.runs):
            raise ConfigError(
                f"--runs {part.start}:{part.stop} is not within 0:{len(self.runs)}; see --plan"
            )
        return self.runs[part.start : part.stop]

    def finish(self, run: Run) -> None:
        """Train and score a run if it is missing, and the one it starts from before.

        Raises
        ------
        BusyError
            If another process is at it; for a run that this one starts from it is waited for.
        StarsmithError
            If training fails.
        """
        if self.outcome(run) is not None:
            return
        if run.start:
            base = next(one for one in self.suite.runs if one.id == run.start)
            while self.outcome(base) is None:
                try:
                    self.finish(base)
                except BusyError:
                    time.sleep(POLL_S)
        with writer_lock(self.out / RESULTS / run.id):
            self.train(run)

    def ceiling(self, name: str) -> CeilingTable | None:
        """Exact ceiling of a data set's test stars, kept in a file; None where there is none."""
        if not self.suite.data[name].bounded:
            return None
        data, tell = self.dataset(name), self.access.tell
        target = self.suite.targets[0]
        path = self.out / CEILINGS / f"{name}-{target}"
        wanted = {"dataset": data.digest, "n_template": self.suite.n_template}
        if (found := read_ceiling_file(path, wanted)) is not None:
            return found
        tell(f"ceiling of {len(data.split('test'))} test stars of {name}")
        options = CeilingOptions(
            snr_edges=SNR_EDGES,
            n_star=len(data.split("test")),
            n_template=self.suite.n_template,
            statistics=STATISTICS,
        )
        bank = self.access.bank_of(data.path)
        table = ceiling_of(
            data, target, options, bank=bank, progress=lambda step: tell(f"ceiling: {step}")
        )
        write_ceiling_file(path, wanted, table)
        return table

    def outcome(self, run: Run) -> Outcome | None:
        """Read the result of a finished run; None if it is missing or of other data."""
        record = self.out / RESULTS / f"{run.id}.json"
        table = self.out / PREDICTIONS / f"{run.id}.ecsv"
        if not (record.exists() and table.exists() and self.data_path(run.data).exists()):
            return None
        content = read_json(record, advice="remove it")
        rows = self.dataset(run.data).split("test")
        if content["dataset"] != rows.digest or content["run"] != described(run):
            return None
        predictions = check_predictions(read_predictions(table), table, rows)
        predictions = replace(predictions, model=run.name)
        return Outcome(run=run, record=content, predictions=predictions, folder=self.folder(run.id))

    def train(self, run: Run) -> None:
        """Train, predict the test split, and write down what it took."""
        n_train = self.suite.data[run.data].n_train
        folder = self.folder(run.id)
        recipe = run.resolve(n_train)
        if run.start:
            recipe = replace(recipe, initial=str(self.folder(run.start)))
        view = self._view(run, getattr(recipe, "seed", 0))
        with self.access.progress(run.id) as progress:
            result = fit(run.model, view, run.targets, recipe, folder, progress, True, self.device)
        predictor = load_checkpoint(folder, self.device)
        rows = self.dataset(run.data).split("test").load()
        start = time.perf_counter()
        predictions = predict(predictor, rows)
        seconds = time.perf_counter() - start
        write_predictions(self.out / PREDICTIONS / f"{run.id}.ecsv", predictions)
        record = {
            "id": run.id,
            "dataset": rows.digest,
            "run": described(run),
            "n_parameters": predictor.card.get("n_parameters", 0),
            "n_train": run.n_seen(n_train),
            "metrics": result.metrics,
            "stop_reason": result.stop_reason,
            "train_seconds": result.seconds,
            "predict_seconds": seconds,
            "observe_seconds": observe_seconds(rows),
            "n_test": len(rows),
            "samples": cost_of(run, n_train, rows.wave.size).samples,
        }
        write_json(self.out / RESULTS / f"{run.id}.json", record)

    def _view(self, run: Run, seed: int) -> TrainingView | ForwardView | OnlineView:
        """What a run learns from: all of a data set, its first spectra, or stars of its bank."""
        dataset, bank_of = self.dataset(run.data), self.access.bank_of
        view = dataset.training()
        if run.online:
            bank, ranges = bank_of(dataset.path), online_ranges(dataset)
            return open_online(bank, ranges, seed, view.val, dataset.digest)
        if run.n_train:
            view = first_spectra(view, run.n_train)
        return with_forward(run.model, view, dataset, bank_of)

    def results(self) -> Results:
        """Everything that is finished."""
        outcomes = [found for run in self.runs if (found := self.outcome(run)) is not None]
        if not outcomes:
            raise DataError(f"{self.out}: no run is finished; leave --report-only out")
        names = dict.fromkeys(outcome.run.data for outcome in outcomes)
        ceilings = {name: table for name in names if (table := self.ceiling(name)) is not None}
        first = self.dataset(next(iter(names)))
        return Results(
            suite=self.suite,
            outcomes=outcomes,
            ceilings=ceilings,
            notice=first.notice,
            bank=self.access.bank_of(first.path),
            example=first.split("test").observe(slice(0, N_EXAMPLE)),
            stars=first.split("test").draws.take(slice(0, N_STAR)),
        )

    def report(self, command: str = "") -> tuple[dict, list[Verdict]]:
        """Write the report, which names the command; its summary, and models beside the ceiling.

        Raises
        ------
        DataError
            If no run is finished.
        """
        document, verdicts, rows = build_report(self.results(), command)
        write_document(document, self.out)
        summary = {
            "suite": self.suite.name,
            "report": str(self.out / "report.html"),
            "models": rows,
            "leaks": [verdict.model for verdict in verdicts if verdict.leak],
        }
        return summary, verdicts


def run_suite(
    suite: Suite,
    make_dataset: Callable[[DataSpec, Path], object],
    out: Path,
    access: Access,
    only: tuple[str, ...] = (),
    device: str | None = None,
) -> SuiteFolder:
    """Make the data sets of a suite, train and score its models; what is there is kept.

    Parameters
    ----------
    suite : Suite
    make_dataset : callable
        Writes the data set of a `DataSpec` at a path, or finds it complete there.
    out : Path
        Folder of the benchmark.
    access : Access
        How data sets and banks are opened.
    only : tuple of str
        Tags of the comparisons to run; all by default.
    device : str, optional

    Returns
    -------
    folder : SuiteFolder
        Its `report` writes what came of it.

    Raises
    ------
    DataError
        If the folder holds something else.
    StarsmithError
        If a run failed, after all others were made.
    """
    folder = SuiteFolder.open(suite, out, access, only, device)
    folder.prepare(make_dataset)
    refuse_failures(folder.work())
    return folder


def refuse_failures(failures: Failures) -> None:
    """Raise the first error of the runs that failed, and name the others."""
    for run_id, problem in failures.items():
        raise type(problem)(
            f"{len(failures)} of the runs failed ({', '.join(failures)}); the others are kept: run "
            f"the same command again to try anew. {run_id}: {problem}"
        )


def identity(suite: Suite) -> dict:
    """What a folder of a suite is known by."""
    return {"suite": suite.name, "data": {k: dict(v.options) for k, v in suite.data.items()}}


def described(run: Run) -> dict:
    """What the suite says of a run, as JSON would give it back."""
    return json.loads(json.dumps(vars_of(run)))


def observe_seconds(rows: Split) -> float:
    """Time to draw the noise of a split: part of predicting it, but not of the model."""
    start = time.perf_counter()
    rows.observe()
    return time.perf_counter() - start
