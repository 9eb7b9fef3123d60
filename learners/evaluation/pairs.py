"""Which of two models is better: differences of scores over the very same spectra."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.learners.evaluation.evaluate import BIN_MINIMUM, check_same_draws, known_groups
from starsmith.learners.evaluation.strata import Group, groups_of
from starsmith.learners.scores.metrics import (
    Interval,
    one_sided_p,
    outlier_threshold,
    paired_difference,
    r2,
)

__all__ = ["PAIRED_SCORES", "Difference", "against_best", "best_model", "differences"]

PAIRED_SCORES = ("r2", "mae", "sigma_robust")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Scores of one model less those of another, in one group of spectra.

    Attributes
    ----------
    first, second : str
    label, by, group : str
        ``by`` is ``all`` for the pooled row.
    n_spec : int
        Spectra that both predicted.
    scores : dict of str to Interval
        Positive R², negative MAE and σ_robust mean that the first is better.
    p_value : float
        Share of resamples in which R² of the first is no higher; 0 for none of them.
    """

    first: str
    second: str
    label: str
    by: str
    group: str
    n_spec: int
    scores: dict[str, Interval]
    p_value: float

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``same``: whether the R² interval leaves out zero."""
        r2_gain = self.scores["r2"]
        return "better" if r2_gain.low > 0 else "worse" if r2_gain.high < 0 else "same"

    def to_dict(self) -> dict:
        """Plain numbers and texts."""
        return asdict(self) | {"verdict": self.verdict}


def differences(
    first: Predictions,
    second: Predictions,
    label: str | None = None,
    snr_edges: tuple[float, ...] = SNR_EDGES,
    n_resample: int = 1000,
    seed: int = 0,
    pooled_only: bool = False,
) -> tuple[Difference, ...]:
    """Compare two models over all spectra, then by S/N, stellar type and magnitude.

    Parameters
    ----------
    first, second : Predictions
        For the same draws.
    label : str, optional
    snr_edges : tuple of float
    n_resample, seed : int
        Of the paired bootstrap: both models are scored on the same resampled spectra.
    pooled_only : bool

    Raises
    ------
    DataError
        If the draws differ.
    """
    check_same_draws(first, second)
    label = label or first.labels[0]
    both = first.found(label) & second.found(label)
    whole = Group("all", "all", -np.inf, np.inf, float("nan"), np.arange(len(first)))
    groups = (whole,)
    if not pooled_only:
        groups += groups_of(first, "snr", snr_edges) + known_groups(first)
    found = []
    for group in groups:
        rows = group.rows[both[group.rows]]
        if rows.size < BIN_MINIMUM:
            continue
        truth = first.truth[rows, first.column(label)]
        mine, theirs = (one.value[rows, one.column(label)] for one in (first, second))
        threshold = outlier_threshold(label)
        scores = {
            name: paired_difference(name, truth, mine, theirs, threshold, n_resample, seed)
            for name in PAIRED_SCORES
        }
        found.append(
            Difference(
                first=first.model,
                second=second.model,
                label=label,
                by=group.by,
                group=group.name,
                n_spec=rows.size,
                scores=scores,
                p_value=one_sided_p(truth, mine, theirs, n_resample, seed),
            )
        )
    return tuple(found)


def best_model(tables: Sequence[Predictions], label: str) -> int:
    """Position of the table with the highest R² over the spectra it found."""

    def reached(table: Predictions) -> float:
        rows, column = table.found(label), table.column(label)
        return float(r2(table.truth[rows, column], table.value[rows, column]))

    return int(np.argmax([reached(table) for table in tables]))


def against_best(
    tables: Sequence[Predictions],
    label: str | None = None,
    snr_edges: tuple[float, ...] = SNR_EDGES,
    n_resample: int = 1000,
    seed: int = 0,
    pooled_only: bool = False,
) -> tuple[Difference, ...]:
    """Compare every model with the one of highest R²; the rest as in `differences`."""
    label = label or tables[0].labels[0]
    best = best_model(tables, label)
    return tuple(
        row
        for k, table in enumerate(tables)
        if k != best
        for row in differences(table, tables[best], label, snr_edges, n_resample, seed, pooled_only)
    )
