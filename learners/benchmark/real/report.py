"""The real test in numbers: scores by star bootstrap, bias, paired differences, coverage."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table

from starsmith.data_contract.files.atomic import json_safe, write_text
from starsmith.data_contract.text_tables import text_table
from starsmith.learners.benchmark.flags import share_text
from starsmith.learners.benchmark.real.trial import N_FOLD, NAMED, Trial
from starsmith.learners.scores.metrics import Interval, bootstrap, paired_difference

__all__ = ["REFERENCE", "coverage_rows", "score_rows", "summary", "write_report"]

LEVELS = (0.68, 0.95)
Z_OF = {0.68: 0.994458, 0.95: 1.959964}  # half-widths of those intervals of a Gaussian [σ]
BIAS_LIMIT = 0.05  # dex

REFERENCE = {
    "miles": {"teff": 0.76, "logg": 0.66, "m_h": 0.58},
    "demo": {"teff": 0.88, "logg": 0.82, "m_h": 0.905},
}
"""R² of a residual head in a trial before this test was written, by experiment and label."""


def score_rows(trial: Trial) -> list[dict]:
    """A line for every strategy and label: R² and bias with errors, gain over zero-shot."""
    rows = []
    for strategy, value in trial.value.items():
        for k, label in enumerate(trial.labels):
            truth, found = trial.truth[:, k], value[:, k]
            scores = bootstrap(truth, found, 0.5)
            row = {"strategy": strategy, "label": label, "R2": _pm(scores["r2"])}
            row |= {"RMSE": scores["rmse"].value, "bias": _pm(scores["bias"])}
            row["R2 - zero-shot"] = _gain(trial, strategy, k)
            rows.append(row)
    return rows


def _pm(found: Interval) -> str:
    return f"{found.value:.3f} ± {found.error:.3f}"


def _paired(trial: Trial, strategy: str, k: int) -> Interval | None:
    if "zero_shot" not in trial.value or strategy == "zero_shot":
        return None
    first, second = trial.value[strategy][:, k], trial.value["zero_shot"][:, k]
    return paired_difference("r2", trial.truth[:, k], first, second)


def _gain(trial: Trial, strategy: str, k: int) -> str | None:
    found = _paired(trial, strategy, k)
    return None if found is None else f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def verdict_rows(trial: Trial) -> list[dict]:
    """What was asked of the strategy that was named beforehand, and whether it holds."""
    if NAMED not in trial.value:
        return []
    rows = []
    for k, label in enumerate(trial.labels):
        scores = bootstrap(trial.truth[:, k], trial.value[NAMED][:, k], 0.5)
        found = _paired(trial, NAMED, k)
        expected = REFERENCE.get(trial.name, {}).get(label)
        off, limit = scores["bias"], BIAS_LIMIT if label != "teff" else 0.0
        rows.append(
            {
                "label": label,
                "better than zero-shot at 95 %": None if found is None else _yes(found.low > 0),
                "R2 of the trial": expected,
                "at most 2 errors below it": None
                if expected is None
                else _yes(scores["r2"].value > expected - 2 * scores["r2"].error),
                "unbiased": _yes(abs(off.value) < max(limit, 2 * off.error)),
            }
        )
    return rows


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def coverage_rows(trial: Trial) -> list[dict]:
    """Share of stars inside 68 and 95 % intervals, stated and recalibrated by the other folds."""
    rows = []
    for strategy, value in trial.value.items():
        for k, label in enumerate(trial.labels):
            pull = np.abs(value[:, k] - trial.truth[:, k]) / trial.sigma[strategy][:, k]
            if not np.isfinite(pull).all():
                continue
            row = {"strategy": strategy, "label": label}
            for level in LEVELS:
                stated = pull <= Z_OF[level]
                again = pull <= recalibrated(pull, trial.fold, level)
                row[f"{level:.0%} stated"] = share_text(int(stated.sum()), stated.size)
                row[f"{level:.0%} recalibrated"] = share_text(int(again.sum()), again.size)
            rows.append(row)
    return rows


def recalibrated(pull: np.ndarray, fold: np.ndarray, level: float) -> np.ndarray:
    """Half-width [σ] of each star's interval: what the stars of the other folds need.

    The quantile is that of conformal prediction, ceil((n + 1) level) of n pulls.
    """
    half = np.empty(pull.size)
    for k in np.unique(fold):
        others = np.sort(pull[fold != k])
        place = min(int(np.ceil((others.size + 1) * level)), others.size) - 1
        half[fold == k] = others[place]
    return half


def residual_table(trial: Trial) -> Table:
    """Name, truth, prediction, error and residual of every star by every strategy."""
    columns: dict[str, object] = {"star": list(trial.stars), "fold": trial.fold}
    if trial.flagged is not None:
        columns["unlike_training"] = trial.flagged
        columns["unlike_after_tuning"] = trial.flagged_after
    for k, label in enumerate(trial.labels):
        columns[label] = trial.truth[:, k]
        for strategy, value in trial.value.items():
            columns[f"{label}_{strategy}"] = value[:, k]
            columns[f"{label}_{strategy}_error"] = trial.sigma[strategy][:, k]
            columns[f"{label}_{strategy}_residual"] = value[:, k] - trial.truth[:, k]
    return Table(columns)


def summary(trials: Sequence[Trial]) -> dict:
    """Everything of the report in plain values."""
    return {
        trial.name: {
            "what": trial.what,
            "n_star": len(trial.stars),
            "source": trial.source,
            "scores": score_rows(trial),
            "verdicts": verdict_rows(trial),
            "coverage": coverage_rows(trial),
            "n_flagged": None if trial.flagged is None else int(trial.flagged.sum()),
            "n_flagged_after": None
            if trial.flagged_after is None
            else int(trial.flagged_after.sum()),
        }
        for trial in trials
    }


def largest_rows(trial: Trial, n: int = 10) -> list[dict]:
    """Stars whose [M/H] by the named strategy is furthest off."""
    strategy = NAMED if NAMED in trial.value else next(iter(trial.value))
    k = trial.labels.index("m_h")
    residual = trial.value[strategy] - trial.truth
    rows = []
    for row in np.argsort(-np.abs(residual[:, k]))[:n]:
        entry = {"star": trial.stars[row]}
        for j, label in enumerate(trial.labels):
            entry[label] = round(float(trial.truth[row, j]), 2)
            entry[f"d {label}"] = round(float(residual[row, j]), 2)
        rows.append(entry)
    return rows


def flag_text(trial: Trial) -> str:
    """How many stars' flux is called unlike the training set, before and after fine-tuning."""
    if trial.flagged is None or trial.flagged_after is None:
        return ""
    before, after = (
        share_text(int(found.sum()), found.size) for found in (trial.flagged, trial.flagged_after)
    )
    return (
        f"Share of stars whose flux is called unlike the training set: {before} by the base, "
        f"{after} by a fine-tuned model that has not seen them. The base tells the gap between "
        "the surveys; after fine-tuning the flag tells odd stars."
    )


def report_text(trials: Sequence[Trial], how: str) -> str:
    """The report as Markdown."""
    parts = [
        "# Real stars: MILES and STELIB",
        f"{how}\n\nEvery star is judged once, by a model that has not seen it, in {N_FOLD} folds; "
        "a fifth of the other stars chooses learning rate and epoch, the same for all strategies. "
        f"Errors are of a bootstrap over stars. Named beforehand: {NAMED}.",
    ]
    for trial in trials:
        source = trial.source
        val = ", ".join(f"{name} {score:.3f}" for name, score in source["val_r2"].items())
        parts += [
            f"## {trial.what}",
            f"{len(trial.stars)} stars; about {trial.n_learn} to learn from and choose by. Base: "
            f"{source['n_star']} spectra, R² on its own validation stars {val}. "
            + (f"{source['notice']}. " if source.get("notice") else "")
            + flag_text(trial),
            text_table(score_rows(trial)),
            text_table(verdict_rows(trial)),
            "Share of stars inside stated intervals, before and after a recalibration by the "
            "stars of the other folds, with 95 % binomial intervals:",
            text_table(coverage_rows(trial)),
            f"Furthest off in [M/H], by {NAMED} (all stars are in `{trial.name}.ecsv`):",
            text_table(largest_rows(trial)),
        ]
    return "\n\n".join(part for part in parts if part != "(none)") + "\n"


def write_report(trials: Sequence[Trial], out: Path, how: str) -> Path:
    """Write ``report.md``, ``report.json`` and a table of residuals of each experiment."""
    out.mkdir(parents=True, exist_ok=True)
    for trial in trials:
        table = residual_table(trial)
        table.write(out / f"{trial.name}.ecsv", format="ascii.ecsv", overwrite=True)
    content = json.dumps(json_safe(summary(trials)), indent=2)
    write_text(out / "report.json", content + "\n")
    write_text(out / "report.md", report_text(trials, how))
    return out / "report.md"
