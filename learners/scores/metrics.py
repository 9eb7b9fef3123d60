"""Scores of predictions against true labels, with bootstrap intervals.

Everything here takes labels in their own units; `starsmith.learners.evaluation.evaluate` makes sure
of that. Arrays may carry leading axes: a score is taken over the last one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.constants import MAD_TO_SIGMA

__all__ = [
    "SCORES",
    "Interval",
    "bias",
    "bootstrap",
    "mae",
    "one_sided_p",
    "outlier_fraction",
    "outlier_threshold",
    "paired_difference",
    "r2",
    "rmse",
    "score",
    "sigma_robust",
    "sigma_robust_uncentred",
]

CHUNK = 2**22  # resampled numbers held at once: 32 MiB
DEX_THRESHOLD, TEFF_THRESHOLD = 0.5, 250.0


def outlier_threshold(label: str) -> float:
    """Error beyond which a prediction counts as an outlier: 0.5 dex, 250 K for ``teff``."""
    return TEFF_THRESHOLD if label == "teff" else DEX_THRESHOLD


def r2(truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """1 - (mean squared error) / (variance of the very labels scored)."""
    spread = np.var(truth, axis=-1)
    squared = np.mean((value - truth) ** 2, axis=-1)
    return 1.0 - np.divide(squared, spread, out=np.full_like(squared, np.inf), where=spread > 0)


def mae(truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Mean absolute error."""
    return np.mean(np.abs(value - truth), axis=-1)


def rmse(truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Root mean squared error, bias included."""
    return np.sqrt(np.mean((value - truth) ** 2, axis=-1))


def bias(truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Mean error, predicted less true."""
    return np.mean(value - truth, axis=-1)


def sigma_robust(truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """1.4826 x median |error - median error|: the width of the core, bias excluded."""
    error = value - truth
    centre = np.median(error, axis=-1, keepdims=True)
    return MAD_TO_SIGMA * np.median(np.abs(error - centre), axis=-1)


def sigma_robust_uncentred(truth: np.ndarray, value: np.ndarray) -> np.ndarray:
    """1.4826 x median |error|: as in the paper's tables, bias included."""
    return MAD_TO_SIGMA * np.median(np.abs(value - truth), axis=-1)


def outlier_fraction(truth: np.ndarray, value: np.ndarray, threshold: float) -> np.ndarray:
    """Fraction of predictions further than ``threshold`` from the truth."""
    return np.mean(np.abs(value - truth) > threshold, axis=-1)


SCORES: dict[str, Callable] = {
    "r2": r2,
    "mae": mae,
    "rmse": rmse,
    "sigma_robust": sigma_robust,
    "sigma_robust_uncentred": sigma_robust_uncentred,
    "bias": bias,
    "outlier_fraction": outlier_fraction,
}
"""Score name -> function of (truth, value); ``outlier_fraction`` also takes a threshold."""


def score(name: str, truth: np.ndarray, value: np.ndarray, threshold: float) -> np.ndarray:
    """Return one named score; ``threshold`` is used by ``outlier_fraction`` alone."""
    extra = (threshold,) if name == "outlier_fraction" else ()
    return SCORES[name](truth, value, *extra)


@dataclass(frozen=True)
class Interval:
    """A score with its 95 % bootstrap interval and standard error.

    Attributes
    ----------
    value : float
        On the sample itself.
    low, high : float
        2.5th and 97.5th percentile of the resampled scores.
    error : float
        Their standard deviation.
    """

    value: float
    low: float
    high: float
    error: float

    @classmethod
    def of(cls, value: float, resampled: np.ndarray) -> "Interval":
        """Summarise resampled scores (n_resample,)."""
        low, high = np.percentile(resampled, [2.5, 97.5])
        return cls(float(value), float(low), float(high), float(np.std(resampled, ddof=1)))


def _resamples(n_spec: int, n_resample: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    n_row = max(1, CHUNK // max(1, n_spec))
    for start in range(0, n_resample, n_row):
        yield generator.integers(n_spec, size=(min(n_row, n_resample - start), n_spec))


def bootstrap(
    truth: np.ndarray,
    value: np.ndarray,
    threshold: float,
    n_resample: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every score with its interval, resampling spectra with replacement.

    Parameters
    ----------
    truth, value : float64 arrays, shape (n_spec,)
        In the label's unit.
    threshold : float
        Of ``outlier_fraction``.
    n_resample, seed : int
    """
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in SCORES}
    for rows in _resamples(truth.size, n_resample, seed):
        true, predicted = truth[rows], value[rows]
        for name, collected in drawn.items():
            collected.append(score(name, true, predicted, threshold))
    return {
        name: Interval.of(score(name, truth, value, threshold), np.concatenate(collected))
        for name, collected in drawn.items()
    }


def paired_difference(
    name: str,
    truth: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    threshold: float = DEX_THRESHOLD,
    n_resample: int = 1000,
    seed: int = 0,
) -> Interval:
    """Score of ``first`` less that of ``second``, resampling the same spectra for both.

    Two models scored on one test set share its luck: the paired interval is far narrower
    than the two separate ones, and is the one to compare models with.

    Parameters
    ----------
    name : str
        One of `SCORES`.
    truth, first, second : float64 arrays, shape (n_spec,)
    threshold : float
        Of ``outlier_fraction``.
    n_resample, seed : int
    """
    difference = score(name, truth, first, threshold) - score(name, truth, second, threshold)
    drawn = [
        score(name, truth[rows], first[rows], threshold)
        - score(name, truth[rows], second[rows], threshold)
        for rows in _resamples(truth.size, n_resample, seed)
    ]
    return Interval.of(difference, np.concatenate(drawn))


def one_sided_p(
    truth: np.ndarray, first: np.ndarray, second: np.ndarray, n_resample: int = 1000, seed: int = 0
) -> float:
    """Share of resamples of the same spectra in which R² of ``first`` is no higher, Eq. I.1.

    Zero means less than one in ``n_resample``. Arrays as in `paired_difference`.
    """
    no_higher = [
        r2(truth[rows], first[rows]) <= r2(truth[rows], second[rows])
        for rows in _resamples(truth.size, n_resample, seed)
    ]
    return float(np.concatenate(no_higher).mean())
