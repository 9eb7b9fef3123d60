"""What ``speclearn evaluate`` does between its options and the learners."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from starsmith.cli.learn.learning import write_predictions
from starsmith.cli.shared.datasets import told_bank
from starsmith.cli.shared.progress import tell_ceiling
from starsmith.data_contract import Predictions, read_predictions
from starsmith.data_contract.dataset.reader import Dataset, Split
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.figure_kit import check_suffix, save_figure
from starsmith.data_contract.files.atomic import refuse_existing
from starsmith.data_contract.text_tables import text_table
from starsmith.fisher.ceilings.dataset_stars import ceiling_of
from starsmith.fisher.ceilings.options import CeilingOptions
from starsmith.learners import (
    Evaluation,
    evaluate_predictions,
    load_checkpoint,
    plot_predictions,
    predict,
)
from starsmith.learners.evaluation.calibration import LEVELS, Calibration, calibrate
from starsmith.learners.evaluation.evaluate import check_split
from starsmith.learners.evaluation.evaluation_figures import plot_calibration, plot_models
from starsmith.learners.evaluation.interpret import explain, interpretation_figure
from starsmith.learners.evaluation.leak import Verdict, hold_against, refuse_leaks
from starsmith.learners.evaluation.noise_marginal import marginalise_noise
from starsmith.learners.evaluation.pairs import Difference, against_best
from starsmith.learners.evaluation.weighting import Reweighted, parse_fractions, reweight
from starsmith.learners.predict import check_wave
from starsmith.simulator.generation.recorded import open_recorded

__all__ = ["Inquiry", "Report", "check_predictions", "explain_model", "unique_names"]

N_STAR = 24  # whose Fisher information is averaged


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that was asked about some models."""

    evaluations: list[Evaluation]
    differences: list[Difference] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)
    populations: list[Reweighted] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

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
        }

    def to_markdown(self) -> str:
        """Tables, one after the other."""
        parts = [e.to_markdown() for e in self.evaluations]
        if self.differences:
            rows = [difference_row(d) for d in self.differences]
            parts.append(f"Differences, star by star\n\n{text_table(rows)}\n")
        if self.calibrations:
            rows = [calibration_row(c) for c in self.calibrations]
            parts.append(f"Calibration of the uncertainties\n\n{text_table(rows)}\n")
        if self.populations:
            rows = [population_row(p) for p in self.populations]
            parts.append(f"In another population\n\n{text_table(rows)}\n")
        if self.verdicts:
            rows = [row for v in self.verdicts for row in verdict_rows(v)]
            parts.append(f"Beside the exact posterior mean\n\n{text_table(rows)}\n")
        return "\n".join(parts)

    def refuse_leaks(self) -> None:
        """Raise LeakError if a model is better than is possible."""
        refuse_leaks(self.verdicts)


def _plain(scores: dict) -> dict:
    return {name: vars(interval) for name, interval in scores.items()}


def _signed(interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def difference_row(d: Difference) -> dict:
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


def calibration_row(c: Calibration) -> dict:
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


def population_row(p: Reweighted) -> dict:
    """One line on a reweighted score."""
    shown = ("r2", "mae", "sigma_robust", "rmse", "bias", "outlier_fraction")
    scores = {s: f"{p.scores[s].value:.3f} ± {p.scores[s].error:.3f}" for s in shown}
    return {"model": p.model, "n": p.n_spec, "n effective": round(p.n_effective), **scores}


def verdict_rows(v: Verdict) -> list[dict]:
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


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """Options of ``speclearn evaluate``, by the names they have there."""

    models: tuple[Path, ...]
    data: Path
    split: str | None
    target: str | None
    snr_bins: tuple[float, ...]
    mag_bins: tuple[float, ...] | None
    ceiling: bool
    n_template: int
    calibration: bool
    noise_draws: int | None
    population: str | None
    out: Path | None
    plot: Path | None
    calibration_plot: Path | None
    device: str | None
    overwrite: bool

    def answer(self) -> Report:
        """Predict, score and compare; write what was asked for."""
        fractions = self._check()
        dataset = open_recorded(self.data)
        rows = dataset.split(self.split or "test")
        tables = unique_names(
            [self._predictions(path, rows, dataset) for path in self.models], self.models
        )
        label = self.target or tables[0].labels[0]
        scored = [
            evaluate_predictions(t, label, self.snr_bins, mag_edges=self.mag_bins) for t in tables
        ]
        report = Report(
            evaluations=scored,
            differences=list(against_best(tables, label, snr_edges=self.snr_bins))
            if len(tables) > 1
            else [],
            calibrations=self._calibrate(tables, label),
            populations=[reweight(t, fractions, label) for t in tables] if fractions else [],
            verdicts=self._verdicts(tables, label, rows),
        )
        self._write(tables, label)
        return report

    def _check(self) -> dict[str, float] | None:
        """Refuse what cannot be done before any work."""
        for figure in (self.plot, self.calibration_plot):
            check_suffix(figure)
        refuse_existing(self.out, self.overwrite)
        if self.out and len(self.models) > 1:
            raise ConfigError("--out holds the predictions of one model; evaluate one at a time")
        if self.ceiling and self.split not in (None, "test"):
            raise ConfigError("--ceiling is that of the test stars; drop --split")
        return parse_fractions(self.population) if self.population else None

    def _predictions(self, path: Path, rows: Split, dataset: Dataset) -> Predictions:
        if path.is_file():
            return check_predictions(read_predictions(path), path, rows)
        predictor = load_checkpoint(path, self.device)
        check_split(predictor, rows, allow_train=self.split == "train")
        if self.noise_draws:
            return marginalise_noise(predictor, rows, self.noise_draws)
        return predict(predictor, rows)

    def _calibrate(self, tables: list[Predictions], label: str) -> list[Calibration]:
        if not (self.calibration or self.calibration_plot):
            return []
        return [calibrate(table, label) for table in tables]

    def _verdicts(self, tables: list[Predictions], label: str, rows: Split) -> list[Verdict]:
        if not self.ceiling:
            return []
        options = CeilingOptions(
            snr_edges=self.snr_bins,
            n_star=len(rows),
            n_template=self.n_template,
            statistics=("posterior_mean",),
        )
        found = ceiling_of(self.data, label, options, progress=tell_ceiling)
        return [hold_against(table, found.stars, label, self.snr_bins) for table in tables]

    def _write(self, tables: list[Predictions], label: str) -> None:
        if self.out:
            write_predictions(self.out, tables[0])
        if self.plot:
            if len(tables) == 1:
                plot_predictions(tables[0], self.plot, label)
            else:
                plot_models(tables, self.plot, label)
        if self.calibration_plot:
            plot_calibration(tables, self.calibration_plot, label)


def check_predictions(predictions: Predictions, path: Path, rows: Split) -> Predictions:
    """Refuse a table of predictions that is not for these very spectra.

    Raises
    ------
    DataError
        If it is for another data set or split, or its keys are not those of the split.
    """
    remedy = "predict that split with `speclearn predict --out`"
    wanted = f"split {rows.name} of {rows.digest[:12]}"
    if (predictions.dataset, predictions.split) != (rows.digest, rows.name):
        raise DataError(
            f"{path}: predictions for split {predictions.split} of data set "
            f"{predictions.dataset[:12]}, expected {wanted}; {remedy}"
        )
    if not np.array_equal(predictions.index, rows.draws.index):
        raise DataError(
            f"{path}: its {len(predictions)} draw keys are not the {len(rows)} of {wanted}; "
            f"{remedy}"
        )
    return predictions


def unique_names(tables: list[Predictions], paths: tuple[Path, ...]) -> list[Predictions]:
    """Tables under names that tell them apart: the model's, with its file's where it repeats."""
    names = [table.model for table in tables]
    return [
        replace(table, model=f"{table.model} ({path.stem})")
        if names.count(table.model) > 1
        else table
        for table, path in zip(tables, paths, strict=True)
    ]


def explain_model(
    path: Path, data: Path, target: str | None, n_spec: int, plot: Path | None, device: str | None
) -> dict:
    """Find out what a network looks at; write the figure where asked.

    Returns
    -------
    found : dict
        ``model``, ``label``, ``shares`` in bands of known features, and every curve.
    """
    check_suffix(plot)
    predictor = load_checkpoint(path, device)
    rows = open_recorded(data).split("test")
    check_wave(predictor, rows.wave, f"{data}")
    some = slice(0, min(n_spec, len(rows)))
    found = explain(
        predictor,
        rows.observe(some),
        target,
        told_bank(data),
        rows.draws.take(slice(0, min(N_STAR, len(rows)))),
    )
    if plot:
        save_figure(interpretation_figure(found, rows.header.notice), plot)
    curves = {
        name: None if getattr(found, name) is None else getattr(found, name).tolist()
        for name in ("wave", "spectrum", "attention", "saliency", "information")
    }
    return {"model": found.model, "label": found.label, "shares": found.shares(), **curves}
