"""Everything that was asked about some models, as tables for people and as plain types."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.text_tables import text_table
from starsmith.learners.evaluation.calibration import LEVELS, Calibration
from starsmith.learners.evaluation.evaluate import Evaluation
from starsmith.learners.evaluation.leak import Verdict, refuse_leaks
from starsmith.learners.evaluation.pairs import Difference
from starsmith.learners.evaluation.posterior_scores import PosteriorScores
from starsmith.learners.evaluation.velocity_scores import VelocityScores
from starsmith.learners.evaluation.weighting import Reweighted
from starsmith.learners.scores.metrics import Interval

__all__ = ["ModelReport", "unique_names"]


POSTERIORS = {
    "Posteriors of all targets, beside the exact ones": True,
    "Posteriors of the targets (not every label is one: no exact posterior beside them)": False,
}


@dataclass(frozen=True, kw_only=True)
class ModelReport:
    """Everything that was asked about some models."""

    evaluations: list[Evaluation]
    differences: list[Difference] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)
    populations: list[Reweighted] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    posteriors: list[PosteriorScores] = field(default_factory=list)
    velocities: list[VelocityScores] = field(default_factory=list)

    def to_dict(self) -> dict:
        """Plain types; the scores of a single model stand at the top level."""
        single = len(self.evaluations) == 1
        first = self.evaluations[0].to_dict() if single else {}
        return first | {
            "models": [e.to_dict() for e in self.evaluations],
            "differences": [d.to_dict() for d in self.differences],
            "calibration": [c.to_dict() for c in self.calibrations],
            "population": [p.__dict__ | {"scores": _plain(p.scores)} for p in self.populations],
            "ceiling": [v.to_dict() for v in self.verdicts],
            "posterior": [p.to_dict() for p in self.posteriors],
            "velocity": [v.to_dict() for v in self.velocities],
        }

    def to_markdown(self) -> str:
        """Tables, one after the other."""
        parts = [e.to_markdown() for e in self.evaluations]
        if self.differences:
            rows = [_difference_row(d) for d in self.differences]
            parts.append(f"Differences, star by star\n\n{text_table(rows)}\n")
        if self.calibrations:
            rows = [_calibration_row(c) for c in self.calibrations]
            parts.append(f"Calibration of the uncertainties\n\n{text_table(rows)}\n")
        for words, weighted in POSTERIORS.items():
            rows = [row for p in self.posteriors if p.weighted == weighted for row in p.rows()]
            parts += [f"{words}\n\n{text_table(rows)}\n"] if rows else []
        if self.velocities:
            rows = [row for v in self.velocities for row in v.table()]
            parts.append(f"Radial velocities\n\n{text_table(rows)}\n")
        if self.populations:
            rows = [_population_row(p) for p in self.populations]
            parts.append(f"In another population\n\n{text_table(rows)}\n")
        if self.verdicts:
            rows = [row for v in self.verdicts for row in _verdict_rows(v)]
            parts.append(f"Beside the exact posterior mean\n\n{text_table(rows)}\n")
        return "\n".join(parts)

    def refuse_leaks(self) -> None:
        """Raise LeakError if a model is better than is possible."""
        refuse_leaks(self.verdicts)


def _plain(scores: dict[str, Interval]) -> dict:
    return {name: vars(interval) for name, interval in scores.items()}


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _difference_row(d: Difference) -> dict:
    """One line on a paired difference."""
    return {
        "model": d.first,
        "less": d.second,
        "spectra": d.group if d.by in ("all", "type") else f"{d.by} {d.group}",
        "n": d.n_spec,
        "R2": _signed(d.scores["r2"]),
        "MAE": _signed(d.scores["mae"]),
        "sigma_robust": _signed(d.scores["sigma_robust"]),
        "verdict": d.verdict,
    }


def _calibration_row(c: Calibration) -> dict:
    """One line on a calibration: z-scores, coverage of central intervals, flatness of the PIT."""
    covered = zip(LEVELS, c.coverage, c.coverage_error, strict=True)
    return {
        "model": c.model,
        "spectra": c.group,
        "n": c.n_spec,
        "z mean": f"{c.z_mean:+.3f} ± {c.z_mean_error:.3f}",
        "z std": f"{c.z_std:.3f} ± {c.z_std_error:.3f}",
        **{f"in {level:.0%}": f"{seen:.3f} ± {error:.3f}" for level, seen, error in covered},
        "PIT p": c.pit_p,
    }


def _population_row(p: Reweighted) -> dict:
    """One line on a reweighted score."""
    shown = ("r2", "mae", "sigma_robust", "rmse", "bias", "outlier_fraction")
    scores = {s: f"{p.scores[s].value:.3f} ± {p.scores[s].error:.3f}" for s in shown}
    return {"model": p.model, "n": p.n_spec, "n effective": round(p.n_effective), **scores}


def _verdict_rows(v: Verdict) -> list[dict]:
    """Lines on a model beside the posterior mean: pooled, by S/N, by magnitude."""
    return [
        {
            "model": v.model,
            "S/N or mag": row.name,
            "n": row.n,
            "R2": row.r2_model,
            "R2 best": row.r2_best,
            "efficiency": row.efficiency,
            "error² - best": f"{row.difference:+.4f} ± {row.standard_error:.4f}",
            "verdict": row.verdict,
        }
        for row in v.comparison.rows
    ]


def unique_names(tables: list[Predictions], paths: tuple[Path, ...]) -> list[Predictions]:
    """Tables under names that tell them apart: the model's, with its file's where it repeats."""
    names = [table.model for table in tables]
    return [
        replace(table, model=f"{table.model} ({path.stem})")
        if names.count(table.model) > 1
        else table
        for table, path in zip(tables, paths, strict=True)
    ]
