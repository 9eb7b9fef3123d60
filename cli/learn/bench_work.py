"""What ``speclearn bench`` does: every step is kept on disk and skipped when it is there."""

import contextlib
import json
import shlex
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from starsmith.cli.learn.evaluate_work import check_predictions
from starsmith.cli.learn.learning import write_predictions
from starsmith.cli.learn.training import Stars, training_progress, with_forward
from starsmith.cli.shared.datasets import told_bank
from starsmith.cli.shared.options import BankSource, flag
from starsmith.cli.shared.progress import progress_bar, say, tell_ceiling
from starsmith.data_contract import read_predictions
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.atomic import write_json
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.fisher.ceilings.ceiling_table import CeilingTable
from starsmith.fisher.ceilings.dataset_stars import ceiling_of
from starsmith.fisher.ceilings.options import CeilingOptions
from starsmith.learners import fit, load_checkpoint, predict
from starsmith.learners.benchmark.ceiling_file import read_ceiling_file, write_ceiling_file
from starsmith.learners.benchmark.cost import cost_of
from starsmith.learners.benchmark.document import write_document
from starsmith.learners.benchmark.learning_curve import first_spectra
from starsmith.learners.benchmark.report import build_report
from starsmith.learners.benchmark.results import Outcome, Results
from starsmith.learners.benchmark.suite import DataSpec, Run, Suite, load_suite, vars_of
from starsmith.learners.evaluation.leak import refuse_leaks
from starsmith.simulator.generation.recorded import open_recorded

__all__ = ["Bench", "plan_rows"]

STATISTICS = ("paper_median", "bayes_gauss", "posterior_mean")
N_EXAMPLE, N_STAR = 200, 24
PEAK_TERAFLOPS, SHARE_OF_PEAK = 790.0, 0.35
RUNS, DATA, RESULTS, PREDICTIONS, CEILINGS = "runs", "data", "results", "predictions", "ceilings"


def chosen_runs(suite: Suite, only: tuple[str, ...]) -> list[Run]:
    """Runs of the comparisons asked for, and those they start from."""
    tags = {run.tag for run in suite.runs}
    if unknown := sorted(set(only) - tags):
        raise ConfigError(f"--only {', '.join(unknown)}: suite {suite.name} has {sorted(tags)}")
    wanted = {run.id for run in suite.runs if not only or run.tag in only}
    wanted |= {run.start for run in suite.runs if run.id in wanted and run.start}
    return [run for run in suite.runs if run.id in wanted]


def plan_rows(suite_name: str, only: tuple[str, ...] = ()) -> list[dict]:
    """One row per run: size, steps, arithmetic, and time at a third of an H200's peak."""
    suite = load_suite(suite_name)
    rows = []
    for run in chosen_runs(suite, only):
        cost = cost_of(run, suite.data[run.data].n_train)
        rows.append(
            {
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
    total = {"run": "all", "data": "", "n_train": None, "parameters": None}
    sums = {key: sum(row[key] for row in rows) for key in ("steps", "samples", "PFLOP")}
    return [*rows, total | sums | {"H200 minutes": sum(row["H200 minutes"] for row in rows)}]


def generate_data(spec: DataSpec, path: Path, bank: Path | None, workers: int) -> None:
    """Write a data set with ``specsim generate``, or find it complete."""
    from starsmith.cli.specsim import main as specsim

    options = dict(spec.options)
    splits = ",".join(f"{name}={count}" for name, count in options.pop("splits").items())
    words = ["generate", "--splits", splits, "--out", str(path), "--workers", str(workers)]
    if bank is not None:
        words += ["--bank", str(bank)]
    for name, value in options.items():
        text = f"{value[0]:g}..{value[1]:g}" if isinstance(value, list) else str(value)
        words += [flag(name), text]
    with contextlib.redirect_stdout(sys.stderr):
        specsim.main(words, standalone_mode=False)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A suite at work in a folder."""

    suite: Suite
    runs: list[Run]
    out: Path
    bank: Path | None
    workers: int
    device: str | None
    verdicts: list = field(default_factory=list)

    @classmethod
    def open(
        cls,
        suite_name: str,
        out: Path,
        bank: Path | None,
        workers: int,
        device: str | None,
        only: tuple[str, ...],
    ) -> "Bench":
        """Read the suite; DataError if the folder holds something else."""
        suite = load_suite(suite_name)
        mark = out / "suite.json"
        wanted = {"suite": suite.name, "data": {k: dict(v.options) for k, v in suite.data.items()}}
        if mark.exists():
            if read_json(mark, advice="choose another --out") != wanted:
                raise DataError(f"{out}: holds another suite or other data; choose another --out")
        elif out.exists() and any(out.iterdir()):
            raise DataError(f"{out}: exists and is not a benchmark; choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        write_json(mark, wanted)
        return cls(
            suite=suite,
            runs=chosen_runs(suite, only),
            out=out,
            bank=bank,
            workers=workers,
            device=device,
        )

    def bank_path(self, spec: DataSpec) -> Path | None:
        """Bank of a data set: the one given, or a copy of the default one kept in the folder.

        None where the suite names a grid or an instrument. With a copy, a benchmark can be
        continued after the default bank has changed.
        """
        if {"grid", "instrument", "bank"} & set(spec.options):
            return None
        if self.bank is not None:
            return self.bank
        kept = self.out / "bank.zarr"
        if not kept.exists():
            say("bank: the demonstration grid at the default instrument")
            BankSource().open().save(kept)
        return kept

    def data_path(self, name: str) -> Path:
        """Folder of a data set."""
        return self.out / DATA / f"{name}.zarr"

    def run(self) -> None:
        """Make whatever is missing: data sets, ceilings, models, predictions."""
        start = time.monotonic()
        for name in dict.fromkeys(run.data for run in self.runs):
            say(f"data {name}")
            spec = self.suite.data[name]
            generate_data(spec, self.data_path(name), self.bank_path(spec), self.workers)
            self.ceiling(name)
        for k, run in enumerate(self.runs, start=1):
            if self.outcome(run) is None:
                say(f"[{k}/{len(self.runs)}] {run.id}")
                self.train(run)
        say(f"all runs are there after {time.monotonic() - start:.0f} s")

    def ceiling(self, name: str) -> CeilingTable | None:
        """Exact ceiling of a data set's test stars, kept in a file; None if its prior is none."""
        if not self.suite.data[name].known_prior:
            return None
        data = open_recorded(self.data_path(name))
        target = self.suite.targets[0]
        path = self.out / CEILINGS / f"{name}-{target}"
        wanted = {"dataset": data.digest, "n_template": self.suite.n_template}
        if (found := read_ceiling_file(path, wanted)) is not None:
            return found
        say(f"ceiling of {len(data.split('test'))} test stars of {name}")
        options = CeilingOptions(
            snr_edges=SNR_EDGES,
            n_star=len(data.split("test")),
            n_template=self.suite.n_template,
            statistics=STATISTICS,
        )
        table = ceiling_of(data, target, options, progress=tell_ceiling)
        write_ceiling_file(path, wanted, table)
        return table

    def outcome(self, run: Run) -> Outcome | None:
        """Read the result of a finished run; None if it is missing or of other data."""
        record = self.out / RESULTS / f"{run.id}.json"
        table = self.out / PREDICTIONS / f"{run.id}.ecsv"
        if not (record.exists() and table.exists() and self.data_path(run.data).exists()):
            return None
        content = read_json(record, advice="remove it")
        rows = open_recorded(self.data_path(run.data)).split("test")
        if content["dataset"] != rows.digest or content["run"] != described(run):
            return None
        predictions = check_predictions(read_predictions(table), table, rows)
        predictions = replace(predictions, model=run.name)
        return Outcome(run=run, record=content, predictions=predictions, folder=self.folder(run))

    def folder(self, run: Run) -> Path:
        """Checkpoint folder of a run."""
        return self.out / RUNS / run.id

    def train(self, run: Run) -> None:
        """Train, predict the test split, and write down what it took."""
        path, folder = self.data_path(run.data), self.folder(run)
        recipe = run.resolve(self.suite.data[run.data].n_train)
        if run.start:
            recipe = started_from(recipe, self.folder_of(run.start))
        view = self._view(run, getattr(recipe, "seed", 0))
        with progress_bar(run.id) as report:
            progress = training_progress(report)
            result = fit(
                run.model,
                with_forward(run.model, view, path),
                run.targets,
                recipe,
                folder,
                progress,
                device=self.device,
            )
        predictor = load_checkpoint(folder, self.device)
        rows = open_recorded(path).split("test").load()
        start = time.perf_counter()
        predictions = predict(predictor, rows)
        seconds = time.perf_counter() - start
        write_predictions(self.out / PREDICTIONS / f"{run.id}.ecsv", predictions)
        record = {
            "id": run.id,
            "dataset": rows.digest,
            "run": described(run),
            "n_parameters": predictor.card["n_parameters"],
            "n_train": run.n_seen(self.suite.data[run.data].n_train),
            "metrics": result.metrics,
            "stop_reason": result.stop_reason,
            "train_seconds": result.seconds,
            "predict_seconds": seconds,
            "observe_seconds": observe_seconds(rows),
            "n_test": len(rows),
            "samples": cost_of(run, self.suite.data[run.data].n_train, rows.wave.size).samples,
        }
        write_json(self.out / RESULTS / f"{run.id}.json", record)

    def folder_of(self, run_id: str) -> Path:
        """Checkpoint of a run that another starts from."""
        return self.out / RUNS / run_id

    def _view(self, run: Run, seed: int):
        path = self.data_path(run.data)
        if run.online:
            return Stars(path, None, {}).open(seed)
        view = open_recorded(path).training()
        return first_spectra(view, run.n_train) if run.n_train else view

    def results(self) -> Results:
        """Everything that is finished."""
        outcomes = [found for run in self.runs if (found := self.outcome(run)) is not None]
        if not outcomes:
            raise DataError(f"{self.out}: no run is finished; leave --report-only out")
        names = dict.fromkeys(outcome.run.data for outcome in outcomes)
        ceilings = {name: table for name in names if (table := self.ceiling(name)) is not None}
        first = open_recorded(self.data_path(next(iter(names))))
        return Results(
            suite=self.suite,
            outcomes=outcomes,
            ceilings=ceilings,
            notice=first.notice,
            bank=told_bank(first.path),
            example=first.split("test").observe(slice(0, N_EXAMPLE)),
            stars=first.split("test").draws.take(slice(0, N_STAR)),
        )

    def report(self) -> dict:
        """Write the report; returns its summary."""
        results = self.results()
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        document, verdicts, rows = build_report(results, command)
        self.verdicts.extend(verdicts)
        write_document(document, self.out)
        return {
            "suite": self.suite.name,
            "report": str(self.out / "report.html"),
            "models": rows,
            "leaks": [verdict.model for verdict in verdicts if verdict.leak],
        }

    def refuse_leaks(self) -> None:
        """Raise LeakError if a model is better than is possible."""
        refuse_leaks(self.verdicts)


def described(run: Run) -> dict:
    """What the suite says of a run, as JSON would give it back."""
    return json.loads(json.dumps(vars_of(run)))


def observe_seconds(rows) -> float:
    """Time to draw the noise of a split: part of predicting it, but not of the model."""
    start = time.perf_counter()
    rows.observe()
    return time.perf_counter() - start


def started_from(recipe, folder: Path):
    """Return the recipe with the weights it starts from."""
    return replace(recipe, initial=str(folder))
