"""Finished runs of a suite, and what they add up to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.files.outside import read_json_lines
from starsmith.data_contract.predictions import Predictions
from starsmith.fisher.ceilings.ceiling_table import CeilingTable
from starsmith.learners.benchmark.suite import Run, Suite
from starsmith.learners.evaluation.evaluate import Evaluation, evaluate_predictions
from starsmith.learners.evaluation.leak import Verdict, hold_against
from starsmith.learners.run_folder import METRICS
from starsmith.learners.scores.metrics import Interval

__all__ = ["N_RESAMPLE", "Outcome", "Results"]

N_RESAMPLE = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """A finished run.

    Attributes
    ----------
    run : Run
    record : dict
        What training and prediction took.
    predictions : Predictions
        Of the test split.
    folder : Path
        Its checkpoint.
    """

    run: Run
    record: Mapping
    predictions: Predictions
    folder: Path

    @property
    def name(self) -> str:
        """Model and variant."""
        return self.run.name

    @property
    def published(self) -> str:
        """Name of the paper's model it corresponds to."""
        return self.run.model.removesuffix("_tiny")

    @cached_property
    def evaluation(self) -> Evaluation:
        """Scores of the suite's first target."""
        return evaluate_predictions(self.predictions, self.run.targets[0], n_resample=N_RESAMPLE)

    def score(self, name: str) -> Interval:
        """One pooled score."""
        return self.evaluation.scores[name]

    def training_rows(self) -> list[dict]:
        """Lines of its training log that stand for epochs."""
        path = self.folder / METRICS
        rows = read_json_lines(path)
        return [row for row in rows if "epoch" in row]


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """Everything a report is made from.

    Attributes
    ----------
    suite : Suite
    outcomes : list of Outcome
    ceilings : dict of str to CeilingTable
        By data set, where its prior is the ceiling's.
    notice : str
        Label of a demonstration grid, else empty.
    bank : Bank
        Behind the first data set.
    example : SpectrumView
        Some of its test spectra.
    stars : Draws
        A few of its test stars.
    """

    suite: Suite
    outcomes: list[Outcome]
    ceilings: Mapping[str, CeilingTable]
    notice: str
    bank: Bank
    example: SpectrumView
    stars: Draws

    @property
    def target(self) -> str:
        """Label the report is on."""
        return self.suite.targets[0]

    def of(self, *tags: str) -> list[Outcome]:
        """Runs of some comparisons, in the suite's order."""
        return [o for o in self.outcomes if o.run.tag in tags]

    @property
    def main(self) -> list[Outcome]:
        """Runs of the main comparison, best R² first."""
        chosen = self.of("main")
        return sorted(chosen, key=lambda o: -o.score("r2").value)

    def ceiling_of(self, outcome: Outcome) -> CeilingTable | None:
        """Exact ceiling of the stars a run was tested on."""
        return self.ceilings.get(outcome.run.data)

    def best_of(self, outcome: Outcome) -> tuple[float, float]:
        """R² of the exact posterior mean of a run's stars, and its error: the exact ceiling."""
        return self.ceilings[outcome.run.data].rows[0].r2["posterior_mean"]

    def share_of(self, outcome: Outcome) -> float | None:
        """R² of a run over the exact ceiling; None without one."""
        if outcome.run.id not in self.verdicts:
            return None
        return outcome.score("r2").value / self.best_of(outcome)[0]

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Every run beside the exact posterior mean, by run."""
        found = {}
        for outcome in self.outcomes:
            table = self.ceiling_of(outcome)
            if table is not None and self.target in outcome.run.targets:
                verdict = hold_against(outcome.predictions, table.stars, self.target)
                found[outcome.run.id] = verdict
        return found
