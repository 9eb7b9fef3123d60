"""Is a model better than is possible? Its errors beside those of the exact posterior mean."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.fisher.ceilings.ceiling_table import StarCeiling
from starsmith.fisher.ceilings.leak_test import Comparison, check_leak, compare, match_keys

__all__ = ["Verdict", "hold_against", "refuse_leaks"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A model against the exact posterior mean of the same stars.

    Attributes
    ----------
    model, label : str
    comparison : Comparison
        Squared errors, pooled (first row), by S/N and by magnitude: what every estimator sees.
        Never in bins of the true label: there an estimator that shrinks may win honestly.
    """

    model: str
    label: str
    comparison: Comparison

    @property
    def leak(self) -> bool:
        """Whether the model does better, anywhere, than anyone can who sees only the spectrum."""
        return self.comparison.leak

    @property
    def share(self) -> float:
        """R² of the model over that of the posterior mean, pooled."""
        return self.comparison.rows[0].r2_model / self.comparison.rows[0].r2_best

    @property
    def distance(self) -> float:
        """Squared error above the posterior mean's, pooled [standard errors]."""
        row = self.comparison.rows[0]
        return row.difference / row.standard_error if row.standard_error > 0 else 0.0

    def to_dict(self) -> dict:
        """Plain numbers, texts and lists."""
        return asdict(self) | {"leak": self.leak, "share": self.share}


def hold_against(
    predictions: Predictions,
    stars: StarCeiling,
    label: str | None = None,
    snr_edges: Sequence[float] = SNR_EDGES,
) -> Verdict:
    """Compare a model with the exact posterior mean, star by star.

    Parameters
    ----------
    predictions : Predictions
    stars : StarCeiling
        Of `starsmith.fisher.ceilings.ceiling` for the same label and the same draws.
    label : str, optional
    snr_edges : sequence of float

    Raises
    ------
    DataError
        If the draws are not the same.
    """
    label = label or predictions.labels[0]
    if (predictions.seed, predictions.split) != (stars.seed, stars.split):
        raise DataError(
            f"{predictions.model}: predictions for split {predictions.split} of seed "
            f"{predictions.seed}, ceilings for {stars.split} of seed {stars.seed}; compute the "
            f"ceiling of the data set that was predicted"
        )
    found = predictions.take(np.flatnonzero(predictions.found(label)))
    column = found.column(label)
    if absent := int((~np.isin(found.index, stars.index)).sum()):
        raise DataError(
            f"{predictions.model}: {absent} of {len(found)} stars have no posterior; compute the "
            f"ceiling of the data set that was predicted"
        )
    rows = match_keys(found.index, stars.index)
    truth = stars.label[rows]
    if not np.allclose(truth, found.truth[:, column], rtol=1e-6):
        raise DataError(
            f"{predictions.model}: true {label} of the predictions is not that of the ceiling's "
            f"stars; both must come from one data set"
        )
    return Verdict(
        model=predictions.model,
        label=label,
        comparison=compare(
            truth,
            found.value[:, column],
            stars.mean[rows],
            stars.snr[rows],
            stars.var[rows],
            stars.ess[rows],
            tuple(snr_edges),
            stars.mag[rows] if np.ptp(stars.mag) > 0.0 else None,
        ),
    )


def refuse_leaks(verdicts: Sequence[Verdict]) -> None:
    """Raise LeakError naming the first model that does better than is possible."""
    for verdict in verdicts:
        check_leak(verdict.comparison, verdict.model)
