"""A model beside the posterior mean on the same stars: how far from it, and is it too good."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from starsmith.data_contract.errors import DataError, LeakError
from starsmith.data_contract.names import SNR_EDGES
from starsmith.fisher.ceiling import bin_name

__all__ = ["Comparison", "ComparisonRow", "check_leak", "compare", "holm", "match_keys"]

ALARM_SIGMA = 3.0  # standard errors by which a model may not beat the posterior mean
MIN_STARS = 20


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """A model against the posterior mean in one bin.

    Attributes
    ----------
    name : str
    n : int
    r2_model, r2_best : float
        R² of the model and of the posterior mean on these stars.
    difference : float
        Mean of (model error² - posterior mean's error²); negative where the model wins
        [label²].
    standard_error : float
        Of ``difference``, paired star by star [label²].
    efficiency : float
        Posterior mean's squared error over the model's; 1 is perfect.
    p_value : float
        Chance of so large a win if the posterior mean is no worse, Holm-corrected over rows.
    too_good : bool
        True where that chance is below that of three standard errors.
    """

    name: str
    n: int
    r2_model: float
    r2_best: float
    difference: float
    standard_error: float
    efficiency: float
    p_value: float
    too_good: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All rows, the pooled one first."""

    rows: tuple[ComparisonRow, ...]

    @property
    def leak(self) -> bool:
        """True where the model does better than anyone can who sees only the spectrum."""
        return any(row.too_good for row in self.rows)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of several tests, float64 of the same shape."""
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values)
    factor = p_values.size - np.arange(p_values.size)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factor), 1.0)
    return corrected


def match_keys(keys: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Rows of ``other`` that hold ``keys``, int64 (n_spec,).

    Raises
    ------
    DataError
        If a key is missing or appears twice.
    """
    order = np.argsort(other, kind="stable")
    ordered = np.asarray(other)[order]
    if np.any(ordered[1:] == ordered[:-1]):
        raise DataError("draw keys repeat; score each star once")
    place = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    if len(ordered) == 0 or np.any(ordered[place] != keys):
        raise DataError(
            f"{int(np.sum(~np.isin(keys, other)))} of {len(keys)} stars have no posterior; "
            "compute the ceiling on the stars that were predicted"
        )
    return order[place]


def compare(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    best: np.ndarray,
    snr: np.ndarray,
    best_var: np.ndarray | None = None,
    ess: np.ndarray | None = None,
    snr_edges: tuple[float, ...] = SNR_EDGES,
) -> Comparison:
    """Compare predictions with the posterior mean, pooled and per signal-to-noise bin.

    The posterior mean has the least mean squared error, pooled and in any bin of what the
    estimator sees. It need not win in bins of the true label, nor for other scores.

    Parameters
    ----------
    y_true, y_pred : float arrays, shape (n_spec,)
        True labels and the model's predictions.
    best : float array, shape (n_spec,)
        Posterior means of the same stars.
    snr : float array, shape (n_spec,)
        What the bins are made from.
    best_var, ess : float arrays, shape (n_spec,), optional
        Posterior variance and effective number of templates: the Monte Carlo error they
        imply, var / ess, is taken off the posterior mean's squared error.
    snr_edges : tuple of float

    Returns
    -------
    comparison : Comparison
    """
    y_true, y_pred, best = (np.asarray(a, dtype=np.float64) for a in (y_true, y_pred, best))
    if not np.all(np.isfinite(y_pred)):
        raise DataError(f"{int(np.sum(~np.isfinite(y_pred)))} predictions are not finite")
    noise = np.zeros_like(best)
    if best_var is not None and ess is not None:
        noise = np.asarray(best_var) / np.maximum(ess, 1.0)
    model_error, best_error = (y_pred - y_true) ** 2, (best - y_true) ** 2 - noise
    spans = [("all", -np.inf, np.inf)]
    spans += [(bin_name(a, b), a, b) for a, b in pairwise(snr_edges)]
    members = [(name, (snr >= low) & (snr < high)) for name, low, high in spans]
    members = [(name, rows) for name, rows in members if rows.sum() >= MIN_STARS]
    gain = [model_error[rows] - best_error[rows] for _, rows in members]
    mean = np.array([g.mean() for g in gain])
    scatter = np.array([g.std(ddof=1) / np.sqrt(len(g)) for g in gain])
    p_values = ndtr(np.divide(mean, scatter, out=np.zeros_like(mean), where=scatter > 0.0))
    corrected = holm(p_values)
    rows = [
        ComparisonRow(
            name=name,
            n=int(chosen.sum()),
            r2_model=float(1.0 - model_error[chosen].mean() / y_true[chosen].var()),
            r2_best=float(1.0 - best_error[chosen].mean() / y_true[chosen].var()),
            difference=float(mean[k]),
            standard_error=float(scatter[k]),
            efficiency=float(best_error[chosen].mean() / model_error[chosen].mean())
            if model_error[chosen].any()
            else float("inf"),
            p_value=float(corrected[k]),
            too_good=bool(corrected[k] < ndtr(-ALARM_SIGMA)),
        )
        for k, (name, chosen) in enumerate(members)
    ]
    return Comparison(rows=tuple(rows))


def check_leak(comparison: Comparison, model: str) -> None:
    """Raise LeakError if a model does better than the posterior mean can.

    Parameters
    ----------
    comparison : Comparison
    model : str
        Name for the message.
    """
    bad = [row for row in comparison.rows if row.too_good]
    if bad:
        worst = min(bad, key=lambda row: row.p_value)
        raise LeakError(
            f"{model}: at S/N {worst.name} its R² {worst.r2_model:.3f} exceeds the posterior "
            f"mean's {worst.r2_best:.3f} on the same {worst.n} stars (chance "
            f"{worst.p_value:.1e}); look for noiseless flux, the true sigma or training stars "
            "among its inputs"
        )
