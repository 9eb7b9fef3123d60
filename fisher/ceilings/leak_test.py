"""A model beside the posterior mean on the same stars: how far from it, and is it too good."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtr, stdtr

from starsmith.data_contract.errors import DataError, LeakError
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.fisher.ceilings.ceiling import bin_name
from starsmith.fisher.ceilings.ceiling_table import CeilingTable
from starsmith.fisher.ceilings.closeness import Closeness, closeness, holm

__all__ = [
    "ABOVE_CEILING",
    "ALARM_SIGMA",
    "MIN_STARS",
    "Comparison",
    "ComparisonRow",
    "check_leak",
    "compare",
    "holm",
    "leak_verdict",
    "match_keys",
]

ABOVE_CEILING = "ABOVE CEILING"
ALARM_SIGMA = 3.0  # standard errors by which a model may not beat the posterior mean
MIN_STARS = 20
N_RESAMPLE = 400
WORDS = 4_000_000  # of a block of resampled counts
INTERVAL = (2.5, 97.5)  # per cent


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """A model against the posterior mean in one bin.

    Attributes
    ----------
    name : str
        ``all``, the edges of a bin of S/N, or ``mag 21-22``.
    n : int
    snr : float
        Median of the stars.
    variance : float
        Of the true label [label²].
    r2_model, r2_best : float
        R² of the model and of the posterior mean on these stars.
    r2_interval : (float, float)
        95 per cent bootstrap interval of the model's R².
    gap : float
        R² that the model still lacks: ``r2_best`` less ``r2_model``.
    gap_interval : (float, float)
        95 per cent interval of the gap; resampled stars carry both errors with them.
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
    snr: float
    variance: float
    r2_model: float
    r2_best: float
    r2_interval: tuple[float, float]
    gap: float
    gap_interval: tuple[float, float]
    difference: float
    standard_error: float
    efficiency: float
    p_value: float
    too_good: bool

    @property
    def verdict(self) -> str:
        """``ABOVE CEILING`` or ``ok``."""
        return ABOVE_CEILING if self.too_good else "ok"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All rows, the pooled one first, then bins of S/N, then of magnitude.

    Bins of fewer than 20 stars have none. ``close`` counts predictions implausibly near the truth,
    pooled, by window; empty where the posterior's variance is not known.
    """

    rows: tuple[ComparisonRow, ...]
    close: tuple[Closeness, ...] = ()

    @property
    def leak(self) -> bool:
        """True where the model does better than anyone can who sees only the spectrum."""
        return any(row.too_good for row in self.rows) or any(row.too_many for row in self.close)

    def row(self, name: str) -> ComparisonRow | None:
        """Return the row of a bin; None where it has too few stars."""
        return next((row for row in self.rows if row.name == name), None)

    def verdict(self, name: str) -> str:
        """``ABOVE CEILING``, ``ok`` or ``few stars``."""
        row = self.row(name)
        return row.verdict if row else "few stars"


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
        raise DataError("draw keys repeat; predict each star once")
    place = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    if len(ordered) == 0 or np.any(ordered[place] != keys):
        raise DataError(
            f"{int(np.sum(~np.isin(keys, other)))} of {len(keys)} stars were not predicted; "
            "predict every star that the ceiling is for"
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
    mag: np.ndarray | None = None,
) -> Comparison:
    """Compare predictions with the posterior mean, pooled and in bins of S/N and magnitude.

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
    mag : float array, shape (n_spec,), optional
        Magnitudes; bins one wide.

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    DataError
        If a prediction is not finite.
    """
    y_true, y_pred, best = (np.asarray(a, dtype=np.float64) for a in (y_true, y_pred, best))
    if not np.all(np.isfinite(y_pred)):
        raise DataError(
            f"{int(np.sum(~np.isfinite(y_pred)))} of {y_pred.size} predictions are not finite; "
            "give every star a value (the mean of the training labels, where a fit failed)"
        )
    noise = np.zeros_like(best)
    if best_var is not None and ess is not None:
        noise = np.asarray(best_var) / np.maximum(ess, 1.0)
    model_error, best_error = (y_pred - y_true) ** 2, (best - y_true) ** 2 - noise
    members = _members(np.asarray(snr), snr_edges, mag)
    gain = [model_error[rows] - best_error[rows] for _, rows in members]
    mean = np.array([g.mean() for g in gain])
    scatter = np.array([g.std(ddof=1) / np.sqrt(len(g)) for g in gain])
    worse = np.divide(mean, scatter, out=np.zeros_like(mean), where=scatter > 0.0)
    corrected = holm(stdtr(np.array([len(g) - 1.0 for g in gain]), worse))
    rows = []
    for k, (name, chosen) in enumerate(members):
        scores = _scores(y_true[chosen], model_error[chosen], best_error[chosen])
        rows.append(
            ComparisonRow(
                name=name,
                n=int(chosen.sum()),
                snr=float(np.median(snr[chosen])),
                difference=float(mean[k]),
                standard_error=float(scatter[k]),
                p_value=float(corrected[k]),
                too_good=bool(corrected[k] < ndtr(-ALARM_SIGMA)),
                **scores,
            )
        )
    near = () if best_var is None else closeness(y_true, y_pred, best, np.asarray(best_var))
    return Comparison(rows=tuple(rows), close=near)


def _members(
    snr: np.ndarray, snr_edges: tuple[float, ...], mag: np.ndarray | None
) -> list[tuple[str, np.ndarray]]:
    """Names and rows of the bins that hold stars enough; of nothing but what is seen."""
    members = [("all", np.ones(snr.size, dtype=bool))]
    members += [(bin_name(a, b), (snr >= a) & (snr < b)) for a, b in pairwise(snr_edges)]
    if mag is not None:
        whole = np.floor(mag)
        members += [(f"mag {m:g}-{m + 1:g}", whole == m) for m in np.unique(whole)]
    kept = [(name, rows) for name, rows in members if rows.sum() >= MIN_STARS]
    if not kept:
        raise DataError(f"{snr.size} stars cannot be compared; {MIN_STARS} are the least")
    return kept


def _scores(y_true: np.ndarray, model_error: np.ndarray, best_error: np.ndarray) -> dict:
    """R² of both, the gap between them and their bootstrap intervals."""
    variance = float(y_true.var())
    n = y_true.size
    rng = np.random.default_rng(0)
    centred = y_true - y_true.mean()
    values = np.stack([model_error, best_error, centred, centred**2], axis=1)
    block = max(1, WORDS // n)
    means = np.concatenate(
        [
            rng.multinomial(n, np.full(n, 1.0 / n), min(block, N_RESAMPLE - first)) @ values / n
            for first in range(0, N_RESAMPLE, block)
        ]
    )
    spread = means[:, 3] - means[:, 2] ** 2
    r2 = 1.0 - means[:, :2] / spread[:, None]
    low, high = np.percentile(r2[:, 0], INTERVAL)
    gap_low, gap_high = np.percentile(r2[:, 1] - r2[:, 0], INTERVAL)
    r2_model, r2_best = (1.0 - e.mean() / variance for e in (model_error, best_error))
    lost = model_error.mean()
    return {
        "variance": variance,
        "r2_model": float(r2_model),
        "r2_best": float(r2_best),
        "r2_interval": (float(low), float(high)),
        "gap": float(r2_best - r2_model),
        "gap_interval": (float(gap_low), float(gap_high)),
        "efficiency": float(best_error.mean() / lost) if lost > 0.0 else float("inf"),
    }


def leak_verdict(
    index: np.ndarray,
    predicted: np.ndarray,
    table: CeilingTable,
    snr_edges: tuple[float, ...] = SNR_EDGES,
) -> Comparison:
    """Judge whether a model is better than anyone can be, on the stars of a ceiling table.

    Parameters
    ----------
    index : int array, shape (n_spec,)
        Draw keys of the predictions, within the split that the table scored.
    predicted : float array, shape (n_spec,)
        Predictions of the table's target. Stars the table has not scored are left out.
    table : CeilingTable
        With ``posterior_mean``.
    snr_edges : tuple of float

    Returns
    -------
    comparison : Comparison
        ``leak`` says whether; ``verdict("5-7")`` gives the word for a row of the table;
        `check_leak` raises.

    Raises
    ------
    DataError
        If a star of the table was not predicted, or a prediction is not finite.
    """
    stars = table.stars
    if not np.isfinite(stars.mean).all():
        raise DataError(
            "the ceiling was computed without posterior_mean; ask for it with --statistic"
        )
    rows = match_keys(stars.index, np.asarray(index))
    return compare(
        stars.label,
        np.asarray(predicted)[rows],
        stars.mean,
        stars.snr,
        stars.var,
        stars.ess,
        snr_edges,
        stars.mag if np.ptp(stars.mag) > 0.0 else None,
    )


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
    close = [row for row in comparison.close if row.too_many]
    if close:
        worst = min(close, key=lambda row: row.p_value)
        raise LeakError(
            f"{model}: {worst.found} of {worst.n} predictions are within {worst.window:g} "
            f"posterior σ of the truth, where {worst.most:.1f} are the most to be expected (chance "
            f"{worst.p_value:.1e}); look for test stars among its training stars"
        )
