"""Are too many predictions too close to the truth? What a few memorised stars look like."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr
from scipy.stats import binom

__all__ = ["Closeness", "closeness", "holm"]

WINDOWS = (0.001, 0.01, 0.1)  # posterior sigma
ALARM_SIGMA = 4.0  # of each window after Holm's correction: the test shares its alarm with others
STEEPEST = 1.0  # largest density of a log-concave posterior [1/sigma]: the exponential's
WIDE = 0.05  # windows from here on weigh the shape of each posterior
MARGIN = 1.3  # for posteriors that are not truncated Gaussians, some of two modes
MIN_DISTINCT = 0.9  # share of different true labels; on nodes an honest guess may be exact


@dataclass(frozen=True, kw_only=True)
class Closeness:
    """Predictions within a window about the truth.

    Attributes
    ----------
    window : float
        Half-width [posterior sigma of each star].
    n : int
        Stars with a posterior.
    found : int
        Predictions within.
    most : float
        Largest number to be expected of anyone who sees only the spectra.
    p_value : float
        Chance of as many, Holm-corrected over the windows.
    too_many : bool
        True where that chance is below that of four standard errors.
    """

    window: float
    n: int
    found: int
    most: float
    p_value: float
    too_many: bool


def closeness(
    y_true: np.ndarray, y_pred: np.ndarray, mean: np.ndarray, var: np.ndarray
) -> tuple[Closeness, ...]:
    """Count predictions implausibly close to the truth.

    Whatever a model makes of a spectrum, its chance to fall within ±w of the truth is at most the
    largest posterior mass in a window of 2 w. Narrow windows take 2 w / σ for it: no log-concave
    density of standard deviation σ exceeds 1 / σ. Wide ones take each posterior as a Gaussian
    truncated at the nearer end of the labels. The number of hits is then no larger than binomial
    with the mean chance (Hoeffding 1956, Ann. Math. Statist. 27, 713).

    Parameters
    ----------
    y_true, y_pred : float64 arrays, shape (n_spec,)
    mean, var : float64 arrays, shape (n_spec,)
        Posterior mean and variance.

    Returns
    -------
    windows : tuple of Closeness
        Empty where true labels repeat, as those on nodes do, or no star has a posterior.
    """
    known = np.isfinite(mean) & (var > 0.0)
    n = int(known.sum())
    if not n or np.unique(y_true).size < MIN_DISTINCT * y_true.size:
        return ()
    sigma = np.sqrt(var[known])
    apart = np.abs(y_pred[known] - y_true[known]) / sigma
    edge = np.minimum(mean[known] - y_true.min(), y_true.max() - mean[known]) / sigma
    shaped = MARGIN * _peak(edge)
    density = [shaped if window >= WIDE else STEEPEST for window in WINDOWS]
    chance = [
        float(np.mean(np.minimum(2.0 * window * peak * np.ones(n), 1.0)))
        for window, peak in zip(WINDOWS, density, strict=True)
    ]
    found = np.array([int((apart < window).sum()) for window in WINDOWS])
    corrected = holm(binom.sf(found - 1, n, chance))
    return tuple(
        Closeness(
            window=window,
            n=n,
            found=int(found[k]),
            most=n * chance[k],
            p_value=float(corrected[k]),
            too_many=bool(corrected[k] < ndtr(-ALARM_SIGMA)),
        )
        for k, window in enumerate(WINDOWS)
    )


def _peak(edge: np.ndarray) -> np.ndarray:
    """Largest density times σ of a Gaussian cut off where its mean is ``edge`` σ away.

    Cut at t of a unit Gaussian: mean λ = φ(t)/Φ(-t), variance 1 - λ (λ - t), largest density
    φ(max(t, 0))/Φ(-t).
    """
    cut = np.linspace(-6.0, 20.0, 400)
    log_kept = log_ndtr(-cut)
    log_phi = -0.5 * cut**2 - 0.5 * np.log(2.0 * np.pi)
    mean = np.exp(log_phi - log_kept)
    sigma = np.sqrt(1.0 - mean * (mean - cut))
    peak = np.exp(-0.5 * np.maximum(cut, 0.0) ** 2 - 0.5 * np.log(2.0 * np.pi) - log_kept) * sigma
    return np.interp(edge, ((mean - cut) / sigma)[::-1], peak[::-1], left=STEEPEST)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of several tests, float64 of the same shape."""
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values)
    factor = p_values.size - np.arange(p_values.size)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factor), 1.0)
    return corrected
