"""Scores as another population would give them: every star counts by its weight."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.constants import MAD_TO_SIGMA
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.outside import toml_of
from starsmith.data_contract.predictions import Predictions
from starsmith.learners.evaluation.strata import STELLAR_TYPES, groups_of
from starsmith.learners.scores.metrics import Interval, outlier_threshold

__all__ = [
    "Reweighted",
    "effective_number",
    "reweight",
    "type_weights",
    "weighted_median",
    "weighted_scores",
]


@dataclass(frozen=True, kw_only=True)
class Reweighted:
    """Scores of one model in another population.

    Attributes
    ----------
    model, label : str
    fractions : dict of str to float
        Share of each stellar type.
    n_spec : int
    n_effective : float
        Equally weighted stars that would give scores as certain.
    scores : dict of str to Interval
    """

    model: str
    label: str
    fractions: dict[str, float]
    n_spec: int
    n_effective: float
    scores: dict[str, Interval]


def effective_number(weight: np.ndarray) -> float:
    """Kish's number: (Σ w)² / Σ w²."""
    return float(weight.sum() ** 2 / np.sum(weight**2))  # Kish (1965)


def weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    """Smallest value at which half of the weight is reached; the mean of two where it is met."""
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    half = 0.5 * total[-1]
    first = int(np.searchsorted(total, half * (1.0 - 1e-12)))  # rounding must not skip the half
    # exactly half: the mean of both, as np.median
    met = abs(total[first] - half) <= 1e-12 * total[-1] and first + 1 < values.size
    return float(0.5 * (values[order[first]] + values[order[first + met]]))


def weighted_scores(
    truth: np.ndarray, value: np.ndarray, weight: np.ndarray, threshold: float
) -> dict[str, float]:
    """Every score of `metrics.SCORES`, each star counting by its weight.

    With whole numbers as weights the scores are those of a set that repeats every star so
    often.
    """
    share = weight / weight.sum()
    error = value - truth
    centre = share @ truth
    squared = share @ error**2
    middle = weighted_median(error, weight)
    return {
        "r2": float(1.0 - squared / (share @ (truth - centre) ** 2)),
        "mae": float(share @ np.abs(error)),
        "rmse": float(np.sqrt(squared)),
        "sigma_robust": MAD_TO_SIGMA * weighted_median(np.abs(error - middle), weight),
        "sigma_robust_uncentred": MAD_TO_SIGMA * weighted_median(np.abs(error), weight),
        "bias": float(share @ error),
        "outlier_fraction": float(share @ (np.abs(error) > threshold)),
    }


def parse_fractions(text: str) -> dict[str, float]:
    """Read ``giants=0.14,subgiants=0.24,dwarfs=0.62``; they are scaled to add up to 1.

    Raises
    ------
    ConfigError
        If a type is unknown or missing, or a share is not a positive number.
    """
    try:
        found = toml_of(text.replace(",", "\n"))
        shares = {name: float(found[name]) for name, _, _ in STELLAR_TYPES}
    except (KeyError, TypeError, ValueError):
        shares = {}
    if not shares or set(found) != set(shares) or not min(shares.values()) > 0:
        raise ConfigError(
            f"--population {text!r}: give the share of each stellar type, like "
            f"giants=0.14,subgiants=0.24,dwarfs=0.62"
        )
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def type_weights(predictions: Predictions, fractions: Mapping[str, float]) -> np.ndarray:
    """Weight of every star so that the stellar types have these shares, float64 (n_spec,).

    Raises
    ------
    DataError
        If a type is asked for that no star belongs to.
    """
    weight = np.zeros(len(predictions))
    for group in groups_of(predictions, "type"):
        if not len(group):
            raise DataError(
                f"population: {fractions[group.name]:.0%} {group.name} asked for, but split "
                f"{predictions.split!r} has none; evaluate a data set that has them"
            )
        # every type gets its share, however many it has
        weight[group.rows] = fractions[group.name] / len(group)
    return weight * len(predictions)  # mean weight 1


def reweight(
    predictions: Predictions,
    fractions: Mapping[str, float],
    label: str | None = None,
    n_resample: int = 1000,
    seed: int = 0,
) -> Reweighted:
    """Score predictions as a population with other shares of stellar types would.

    Parameters
    ----------
    predictions : Predictions
    fractions : mapping of str to float
        Share of giants, subgiants and dwarfs.
    label : str, optional
        By default the first.
    n_resample, seed : int
        Of the bootstrap over stars.
    """
    label = label or predictions.labels[0]
    column = predictions.column(label)
    weight = type_weights(predictions, fractions)
    found = np.isfinite(predictions.value[:, column])
    truth, value = predictions.truth[found, column], predictions.value[found, column]
    weight, threshold = weight[found], outlier_threshold(label)
    scores = weighted_scores(truth, value, weight, threshold)
    drawn: dict[str, list[float]] = {name: [] for name in scores}
    generator = np.random.default_rng(seed)
    for _ in range(n_resample):
        rows = generator.integers(truth.size, size=truth.size)
        for name, score in weighted_scores(
            truth[rows], value[rows], weight[rows], threshold
        ).items():
            drawn[name].append(score)
    return Reweighted(
        model=predictions.model,
        label=label,
        fractions=dict(fractions),
        n_spec=truth.size,
        n_effective=effective_number(weight),
        scores={name: Interval.of(scores[name], np.array(drawn[name])) for name in scores},
    )
