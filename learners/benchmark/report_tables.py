"""Tables of the benchmark report, as lists of rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from starsmith.data_contract.predictions import Predictions
from starsmith.fisher.ceilings.ceiling_table import CeilingTable, StarCeiling
from starsmith.learners.benchmark.document import Table
from starsmith.learners.benchmark.envelopes import invariance
from starsmith.learners.benchmark.published_values import published, reading, with_error
from starsmith.learners.benchmark.results import N_RESAMPLE, Outcome, Results
from starsmith.learners.evaluation.calibration import LEVELS, Calibration
from starsmith.learners.evaluation.evaluate import BIN_MINIMUM, evaluate_predictions
from starsmith.learners.evaluation.pairs import against_best, differences
from starsmith.learners.evaluation.weighting import reweight
from starsmith.learners.scores.metrics import Interval, r2

__all__ = [
    "by_snr",
    "calibration_row",
    "checks",
    "labels",
    "leak_parts",
    "models",
    "paired",
    "populations",
    "published_snr",
    "scaling",
    "speed",
    "summary",
    "supplementary",
    "types",
]


TIMING_SCATTER = 0.1  # of a time of seconds, run to run; a smaller difference of two is not told
NEAR_MAG = 0.25  # stars so far from a magnitude of Table 13 stand beside it
PAIRED_MOST = 2.0  # standard errors between the posterior mean and the ceiling on the same stars
"""Paired standard errors within which two Monte Carlo posteriors of the same stars agree: either
has an error of its own, var / (effective templates), and only the ceiling's is taken off."""


def summary(results: Results, outcomes: Sequence[Outcome]) -> list[dict]:
    """Return the few columns that fit a terminal."""
    rows = []
    for outcome in outcomes:
        verdict = results.verdicts.get(outcome.run.id)
        rows.append(
            {
                "model": outcome.name,
                "R2": with_error(outcome.score("r2")),
                "MAE": with_error(outcome.score("mae")),
                "R2 / ceiling": results.share_of(outcome),
                "verdict": "-" if not verdict else "ABOVE CEILING" if verdict.leak else "ok",
                "samples": outcome.record["samples"] or None,
            }
        )
    return rows


def models(results: Results) -> list[dict]:
    """Every model of the main comparison, published values beside ours."""
    rows = []
    for outcome in results.main:
        theirs = published()["table_3"].get(outcome.published, {})
        verdict = results.verdicts.get(outcome.run.id)
        r2 = outcome.score("r2")
        difference = None if "r2" not in theirs else f"{r2.value - theirs['r2']:+.3f}"
        rows.append(
            {
                "model": outcome.name,
                "parameters": outcome.record["n_parameters"] or None,
                "spectra": outcome.record["n_train"],
                "samples seen": outcome.record["samples"] or None,
                "minutes": outcome.record["train_seconds"] / 60.0,
                "R²": with_error(r2),
                "MAE": with_error(outcome.score("mae")),
                "σ about zero": with_error(outcome.score("sigma_robust_uncentred")),
                "f(>0.5)": with_error(outcome.score("outlier_fraction")),
                "R² / best": results.share_of(outcome),
                "distance": verdict.distance if verdict else None,
                "published R²": theirs.get("r2"),
                "MAE, published": theirs.get("mae"),
                "σ, published": theirs.get("sigma"),
                "ours - published": difference,
                "because": reading(results, outcome, r2, theirs.get("r2")),
            }
        )
    return rows


def checks(results: Results) -> list:
    """What must hold of any comparison, and whether it does."""
    rows = []
    if results.verdicts:
        above = [v.model for v in results.verdicts.values() if v.leak]
        rows.append(
            _check("no model above the exact ceiling", ", ".join(above) or "none", not above)
        )
    change = max(invariance(o.predictions, results.target) for o in results.main)
    scale = f"R² changes by {change:.0e} at most"
    rows.append(_check("R² the same on any linear scale of labels (App. D)", scale, change < 1e-9))
    by_model = {o.run.model: o for o in results.main[::-1]}  # of several, the best
    exact = by_model.get("gridposterior")
    if exact and exact.run.id in results.verdicts:
        verdict, score = results.verdicts[exact.run.id], exact.score("r2")
        best, error = results.best_of(exact)
        found = f"R² {score.value:.3f} ± {score.error:.3f}, ceiling {best:.3f} ± {error:.3f}"
        found += f"; squared error, paired: {verdict.distance:+.1f} standard errors"
        held = abs(verdict.distance) <= PAIRED_MOST
        rows.append(_check("gridposterior on the ceiling within two standard errors", found, held))
    networks = [o for o in results.main if o.training_rows()]
    for name in ("ridge", "lightgbm"):
        other = by_model.get(name)
        if networks and other and other.run.data == networks[0].run.data:
            row = differences(
                networks[0].predictions,
                other.predictions,
                results.target,
                n_resample=N_RESAMPLE,
                pooled_only=True,
            )[0]
            found = f"{networks[0].name}: R² {_signed(row.scores['r2'])}"
            found += f", {networks[0].record['samples']:,} samples seen"
            rows.append(_check(f"a network better than {name}", found, row.verdict == "better"))
    if networks:
        poor = [o.name for o in networks if o.score("r2").low <= 0.0]
        found = ", ".join(poor) or "all"
        rows.append(_check("every network better than a constant", found, not poor))
    return [Table(rows)] if rows else []


def _check(what: str, found: str, held: bool) -> dict:
    return {"check": what, "found": found, "verdict": "holds" if held else "DOES NOT HOLD"}


def paired(results: Results) -> list[dict]:
    """Differences of every model from the best, on the same stars."""
    outcomes = results.main
    same = [o for o in outcomes if o.run.data == outcomes[0].run.data]
    tables = [o.predictions for o in same]
    rows = against_best(tables, results.target, n_resample=N_RESAMPLE, pooled_only=True)
    return [
        {
            "model": row.first,
            "less": row.second,
            **{name: _signed(row.scores[name]) for name in row.scores},
            "verdict": row.verdict,
        }
        for row in rows
    ]


def _signed(score: Interval) -> str:
    return f"{score.value:+.4f} [{score.low:+.4f}, {score.high:+.4f}]"


def leak_parts(results: Results) -> list:
    """Every run beside the exact posterior mean of its test stars."""
    if not results.verdicts:
        return []
    rows = []
    for outcome in results.outcomes:
        verdict = results.verdicts.get(outcome.run.id)
        if verdict is None:
            continue
        pooled = verdict.comparison.rows[0]
        best = min(verdict.comparison.rows, key=lambda row: row.p_value)
        rows.append(
            {
                "run": outcome.run.id,
                "R²": pooled.r2_model,
                "exact posterior mean": results.best_of(outcome)[0],
                "error² above it": f"{pooled.difference:+.4f} ± {pooled.standard_error:.4f}",
                "nearest to a leak": f"{best.name}, p {best.p_value:.2g}",
                "verdict": "ABOVE CEILING" if verdict.leak else "ok",
            }
        )
    leaks = sum(v.leak for v in results.verdicts.values())
    text = (
        f"{leaks} of {len(rows)} models do better than is possible."
        if leaks
        else "No model does better than the exact posterior mean of the same stars under the same "
        "noise, pooled or in any bin of S/N or magnitude (three standard errors, Holm-corrected)."
    )
    return [text, Table(rows)]


def by_snr(results: Results, ceiling: CeilingTable, outcomes: Sequence[Outcome]) -> list[dict]:
    """R² of every model and of the ceilings in bins of S/N."""
    rows = []
    for row in ceiling.rows:
        line = {"S/N": row.name, "n": row.n, "median S/N": f"{row.snr:.1f}"}
        for outcome in outcomes:
            line[outcome.name] = with_error(_bin_score(outcome, row.low, row.high))
        for name in row.r2:
            line[name] = row.score(name)
        rows.append(line)
    return rows


def _bin_score(outcome: Outcome, low: float, high: float) -> Interval | None:
    if low == float("-inf"):
        return outcome.score("r2")
    for one in outcome.evaluation.bins:
        if (one.snr_min, one.snr_max) == (low, high) and one.scores:
            return one.scores["r2"]
    return None


def published_snr(
    stars: StarCeiling, label: str, predictions: Mapping[str, Predictions]
) -> list[dict]:
    """The paper's Table 13, and R² of ours among stars within a quarter of its magnitudes."""
    table, rows = published()["table_13"], []
    for mag, snr, *scores in zip(*table.values(), strict=True):
        near = np.abs(stars.mag - mag) <= NEAR_MAG
        enough = near.sum() >= BIN_MINIMUM
        line = {"magnitude": mag, "published S/N": snr}
        line |= {f"published {n}": r for n, r in zip(list(table)[2:], scores, strict=True)}
        line |= {
            "our stars": int(near.sum()),
            "median S/N": f"{np.median(stars.snr[near]):.1f}" if enough else "-",
        }
        line |= {name: _r2_near(one, label, mag) for name, one in predictions.items()}
        exact = 1.0 - stars.var[near].mean() / stars.label[near].var() if enough else None
        line["posterior_mean"] = "-" if exact is None else f"{exact:.3f}"
        rows.append(line)
    return rows


def _r2_near(predictions: Predictions, label: str, mag: float) -> str:
    """R² of the stars about a magnitude; a dash for too few."""
    if predictions.mag is None:
        return "-"
    column = predictions.column(label)
    rows = predictions.found(label) & (np.abs(predictions.mag - mag) <= NEAR_MAG)
    if rows.sum() < BIN_MINIMUM:
        return "-"
    return f"{r2(predictions.truth[rows, column], predictions.value[rows, column]):.3f}"


def supplementary(results: Results) -> list:
    """Scores of SpecViT with intervals: the paper's Table 9."""
    found = [o for o in results.main if o.published == "specvit"]
    if not found:
        return []
    outcome, theirs = found[0], published()["table_9"]
    rows = [
        {
            "score": name,
            "ours": with_error(outcome.score(name)),
            "95 %": f"[{outcome.score(name).low:.3f}, {outcome.score(name).high:.3f}]",
            "published": theirs.get(name),
        }
        for name in ("r2", "mae", "sigma_robust_uncentred", "sigma_robust", "rmse", "bias")
    ]
    best = outcome.record["metrics"].get("best_epoch")
    rows.append(
        {"score": "best epoch", "ours": str(best), "95 %": "", "published": theirs["best_epoch"]}
    )
    return [Table(rows, f"{outcome.name} (Table 9; published with 1e6 spectra)")]


def types(results: Results) -> list[dict]:
    """MAE by stellar type: the paper's Table 5."""
    rows = []
    for outcome in results.main:
        theirs = published()["table_5"].get(outcome.published, {})
        line: dict = {"model": outcome.name}
        for group in outcome.evaluation.groups:
            if group.by == "type":
                value = with_error(group.scores["mae"]) if group.scores else "-"
                known = theirs.get(group.name)
                line[f"{group.name} ({group.n_spec})"] = value + (f" [{known}]" if known else "")
        rows.append(line | {"all": with_error(outcome.score("mae"))})
    return rows


def populations(results: Results, shares: Mapping[str, float]) -> list[dict]:
    """Scores as they are and as another population would give them."""
    rows = []
    for outcome in results.main:
        other = reweight(outcome.predictions, shares, results.target, n_resample=N_RESAMPLE // 2)
        rows.append(
            {
                "model": outcome.name,
                "MAE": with_error(outcome.score("mae")),
                "MAE reweighted": with_error(other.scores["mae"]),
                "σ_robust": with_error(outcome.score("sigma_robust")),
                "σ_robust reweighted": with_error(other.scores["sigma_robust"]),
                "R² reweighted": with_error(other.scores["r2"]),
                "effective stars": round(other.n_effective),
            }
        )
    return rows


def speed(results: Results) -> list[dict]:
    """Time to train and to predict: the paper's Table 6."""
    rows = []
    for outcome in results.main:
        record = outcome.record
        own = record["predict_seconds"] - record["observe_seconds"]
        told = own > TIMING_SCATTER * record["predict_seconds"]
        samples, seconds = record["samples"], record["train_seconds"]
        rows.append(
            {
                "model": outcome.name,
                "training, spectra/s": round(samples / seconds) if samples else None,
                "training, minutes": seconds / 60.0,
                "prediction, spectra/s": round(record["n_test"] / own) if told else None,
                "with drawing noise": round(record["n_test"] / record["predict_seconds"]),
                "published, spectra/s": published()["table_6"].get(outcome.published),
            }
        )
    return rows


def calibration_row(found: Calibration) -> dict:
    """One line on a calibration."""
    covered = zip(LEVELS, found.coverage, found.coverage_error, strict=True)
    return {
        "model": found.model,
        "n": found.n_spec,
        "mean z": f"{found.z_mean:+.3f} ± {found.z_mean_error:.3f}",
        "std z": f"{found.z_std:.3f} ± {found.z_std_error:.3f}",
        **{f"inside {level:.0%}": f"{seen:.3f} ± {error:.3f}" for level, seen, error in covered},
        "PIT p": f"{found.pit_p:.2g}",
        "miscalibration": found.miscalibration,
    }


def labels(results: Results, outcomes: Sequence[Outcome]) -> list[dict]:
    """Scores of every label of models that know the forward model: the paper's Appendix H."""
    rows = []
    theirs = published()["appendix_h"]
    for outcome in outcomes:
        for label in outcome.predictions.labels:
            scored = evaluate_predictions(outcome.predictions, label, n_resample=N_RESAMPLE // 2)
            known = theirs.get(label, {}) if outcome.run.model == theirs["model"] else {}
            digits = 1 if label == "teff" else 3
            rows.append(
                {
                    "model": outcome.name,
                    "label": label,
                    "R²": with_error(scored.scores["r2"]),
                    "MAE": with_error(scored.scores["mae"], digits),
                    "failed fits": scored.n_failed,
                    "published R²": known.get("r2"),
                    "published MAE": None if not known else f"{known['mae']:g}",
                }
            )
    note = f"{theirs['failed']} of {theirs['attempted']}"
    for row in rows:
        row["published failures"] = note if row["model"].startswith(theirs["model"]) else None
    return rows


def scaling(results: Results, outcomes: Sequence[Outcome]) -> list[dict]:
    """R² against training spectra: the paper's Table 10."""
    rows = []
    for outcome in outcomes:
        theirs = published()["table_10"].get(outcome.published, {})
        n_train = outcome.record["n_train"]
        rows.append(
            {
                "model": outcome.run.model,
                "comparison": outcome.run.tag,
                "spectra": n_train,
                "samples seen": outcome.record["samples"] or None,
                "R²": with_error(outcome.score("r2")),
                "MAE": with_error(outcome.score("mae")),
                "published R²": theirs.get(str(n_train)),
            }
        )
    return rows
