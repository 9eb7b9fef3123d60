"""How good whole posteriors are, beside the exact one that importance weights make of them.

Scores are proper: the log density of the true labels, and per label the continuous ranked
probability score (Gneiting & Raftery 2007). Weighted by the likelihood, the draws are those of
the exact posterior, whose scores nothing beats.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import kstest

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.observed import Observed
from starsmith.learners.prediction.posterior_draws import PosteriorDraws, draw_posterior, weighs
from starsmith.learners.prediction.predict import Predictor
from starsmith.learners.preprocess import iterate_blocks, select_labels

__all__ = ["LabelScore", "PosteriorScores", "crps", "score_posterior"]

N_DRAW = 500
BLOCK = 512
CENTRAL = (0.68, 0.95)
"""Probabilities whose central intervals are checked."""


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """Of one label; ``exact`` is the same of the weighted draws, NaN where there are none.

    Attributes
    ----------
    label : str
    pit_p, exact_pit_p : float
        Chance of a probability integral transform so far from flat (Kolmogorov-Smirnov).
    coverage, exact_coverage : tuple of float
        Share of stars within the central intervals of `CENTRAL`.
    crps, exact_crps : float
        In label units.
    """

    label: str
    pit_p: float
    exact_pit_p: float
    coverage: tuple[float, ...]
    exact_coverage: tuple[float, ...]
    crps: float
    exact_crps: float


@dataclass(frozen=True, kw_only=True)
class PosteriorScores:
    """Of the posterior of all targets together.

    Attributes
    ----------
    model : str
    n_spec : int
    log_score, exact_log_score : float
        Mean log density of the true labels [nat, per product of label units].
    gap, gap_error : float
        How far the former lies below the latter, star by star [nat].
    efficiency : tuple of float
        5th percentile and median of the effective share of the draws; NaN without weights.
    labels : tuple of LabelScore
    """

    model: str
    n_spec: int
    log_score: float
    exact_log_score: float
    gap: float
    gap_error: float
    efficiency: tuple[float, float]
    labels: tuple[LabelScore, ...]

    def to_dict(self) -> dict:
        """Plain numbers, texts and lists."""
        return asdict(self)

    @property
    def weighted(self) -> bool:
        """Whether there is an exact posterior beside it: every label has to be a target."""
        return bool(np.isfinite(self.exact_log_score))

    def rows(self) -> list[dict]:
        """One line a label."""
        shared = {"model": self.model, "n": self.n_spec, "log score": f"{self.log_score:.3f}"}
        if self.weighted:
            shared |= {
                "exact": f"{self.exact_log_score:.3f}",
                "gap": f"{self.gap:.3f} ± {self.gap_error:.3f}",
                "effective": "{:.0%} (5th percentile {:.0%})".format(*self.efficiency[::-1]),
            }
        return [shared | self._of_label(one) for one in self.labels]

    def _of_label(self, one: LabelScore) -> dict:
        own = {"label": one.label, "PIT p": one.pit_p, **_covered("", one.coverage)}
        own["CRPS"] = one.crps
        if self.weighted:
            own |= _covered("exact ", one.exact_coverage) | {"exact CRPS": one.exact_crps}
        return own


def _covered(prefix: str, shares: tuple[float, ...]) -> dict[str, str]:
    return {
        f"{prefix}in {level:.0%}": f"{share:.3f}"
        for level, share in zip(CENTRAL, shares, strict=True)
    }


def crps(value: np.ndarray, weight: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of weighted draws: E|X - y| - E|X - X'| / 2.

    Parameters
    ----------
    value, weight : float64 arrays, shape (n_spec, n_draw)
        Weights add up to 1.
    truth : float64 array, shape (n_spec,)

    Returns
    -------
    crps : float64 array, shape (n_spec,)
    """
    order = np.argsort(value, axis=1)
    value, weight = (np.take_along_axis(x, order, axis=1) for x in (value, weight))
    apart = np.sum(weight * np.abs(value - truth[:, None]), axis=1)
    below = np.cumsum(weight, axis=1)
    # E|X - X'| = 2 ∫ F (1 - F) dx, F constant between neighbouring draws
    inner = np.sum((below * (1.0 - below))[:, :-1] * np.diff(value, axis=1), axis=1)
    return apart - inner


def score_posterior(
    predictor: Predictor, split: Split, n_draw: int = N_DRAW, seed: int = 0
) -> PosteriorScores:
    """Score the posterior of every spectrum of a split.

    Raises
    ------
    ConfigError
        If the model has no posterior.
    """
    weighted = weighs(predictor)
    truth = select_labels(split, predictor.labels)
    parts = [
        _block(predictor, split.observe(rows), truth[rows], n_draw, seed, weighted)
        for rows in iterate_blocks(len(split), BLOCK)
    ]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    gap = found["exact_log"] - found["log"]
    least, middle = map(float, np.percentile(found["efficiency"], [5, 50]))
    return PosteriorScores(
        model=predictor.card["model"],
        n_spec=len(split),
        log_score=float(found["log"].mean()),
        exact_log_score=float(found["exact_log"].mean()),
        gap=float(gap.mean()),
        gap_error=float(gap.std() / np.sqrt(len(gap))),
        efficiency=(least, middle) if weighted else (float("nan"), float("nan")),
        labels=tuple(
            LabelScore(
                label=label,
                pit_p=_flatness(found["pit"][:, k]),
                exact_pit_p=_flatness(found["exact_pit"][:, k]),
                coverage=_coverage(found["pit"][:, k]),
                exact_coverage=_coverage(found["exact_pit"][:, k]),
                crps=float(found["crps"][:, k].mean()),
                exact_crps=float(found["exact_crps"][:, k].mean()),
            )
            for k, label in enumerate(predictor.labels)
        ),
    )


def _block(
    predictor: Predictor,
    seen: Observed,
    truth: np.ndarray,
    n_draw: int,
    seed: int,
    weighted: bool,
) -> dict[str, np.ndarray]:
    """Scores star by star."""
    drawn = draw_posterior(predictor, seen, n_draw, seed, weighted)
    mask = (~seen.usable).astype(np.uint32)
    estimator: Any = predictor.estimator
    answer = estimator.posterior(seen.flux, seen.error, mask)
    exact_log = np.full(len(truth), np.nan)
    if weighted:
        log = estimator.log_likelihood(seen.flux, seen.error, mask, truth[:, None])
        exact_log = log[:, 0] - drawn.log_evidence
    even = np.full(drawn.log_weight.shape, 1.0 / n_draw)
    weight = np.exp(drawn.log_weight)
    return {
        "log": answer.log_density(truth[:, None])[:, 0],
        "exact_log": exact_log,
        "efficiency": drawn.efficiency,
        "pit": answer.cumulative(truth),
        "exact_pit": drawn.cumulative(truth) if weighted else np.full(truth.shape, np.nan),
        "crps": _each(drawn, even, truth),
        "exact_crps": _each(drawn, weight if weighted else even * np.nan, truth),
    }


def _each(drawn: PosteriorDraws, weight: np.ndarray, truth: np.ndarray) -> np.ndarray:
    columns = [crps(drawn.value[:, :, k], weight, truth[:, k]) for k in range(truth.shape[1])]
    return np.stack(columns, axis=1)


def _flatness(pit: np.ndarray) -> float:
    return float(kstest(pit, "uniform").pvalue) if np.isfinite(pit).all() else float("nan")


def _coverage(pit: np.ndarray) -> tuple[float, ...]:
    """Shares within the central intervals; NaN where there is no transform."""
    if not np.isfinite(pit).all():
        return (float("nan"),) * len(CENTRAL)
    return tuple(float(np.mean(np.abs(pit - 0.5) < 0.5 * level)) for level in CENTRAL)
