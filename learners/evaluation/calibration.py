"""Are stated uncertainties true? Coverage, probability integral transform, z-scores."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.predictions import Predictions
from starsmith.learners.evaluation.strata import Group

__all__ = ["LEVELS", "Calibration", "calibrate", "z_scores"]

LEVELS = (0.5, 0.6827, 0.9, 0.9545)  # with 1σ and 2σ of a Gaussian
"""Probabilities whose central intervals are checked."""

N_PIT = 20  # bins of the histogram


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How stated uncertainties compare with real errors, for one label of one model.

    Attributes
    ----------
    model, label, group : str
    n_spec : int
    z_mean, z_std : float
        Of (true - predicted) / 1σ; 0 and 1 if all is well.
    z_mean_error, z_std_error : float
        Their standard errors.
    levels, coverage, coverage_error : tuple of float
        Fraction of stars within the central interval of each probability, and the binomial
        standard error a perfect model would have.
    pit : tuple of int
        Counts of Φ(z) in equal bins; flat if the uncertainties are Gaussian and right.
    pit_p : float
        Chance of a histogram so far from flat (χ²).
    miscalibration : float
        Mean of |coverage - probability| over all probabilities, 0..0.5.
    """

    model: str
    label: str
    group: str
    n_spec: int
    z_mean: float
    z_std: float
    z_mean_error: float
    z_std_error: float
    levels: tuple[float, ...]
    coverage: tuple[float, ...]
    coverage_error: tuple[float, ...]
    pit: tuple[int, ...]
    pit_p: float
    miscalibration: float

    def to_dict(self) -> dict:
        """Plain numbers, texts and lists."""
        return asdict(self)


def z_scores(predictions: Predictions, label: str) -> np.ndarray:
    """Return (true - predicted) / 1σ of the stars that were predicted, float64 (n_found,).

    Raises
    ------
    DataError
        If the model states no uncertainties.
    """
    if predictions.uncertainty is None:
        raise DataError(
            f"{predictions.model} states no uncertainties, so there is nothing to calibrate; "
            f"train it with loss gaussian_nll, or leave --calibration out"
        )
    column = predictions.column(label)
    error = predictions.truth[:, column] - predictions.value[:, column]
    sigma = predictions.uncertainty[:, column]
    found = np.isfinite(error)
    if not (sigma[found] > 0).all():
        raise DataError(f"{predictions.model}: uncertainties of {label} must be positive")
    return error[found] / sigma[found]


def calibrate(
    predictions: Predictions, label: str | None = None, group: Group | None = None
) -> Calibration:
    """Check the uncertainties of a label, over all stars or those of one group.

    The stated distribution is taken as Gaussian. That of a label confined to a range is not
    one near its ends, so even an exact posterior bends the histogram there.

    Raises
    ------
    DataError
        If the model states no uncertainties, or no star is left.
    """
    label = label or predictions.labels[0]
    chosen = predictions if group is None else predictions.take(group.rows)
    z = z_scores(chosen, label)
    if not z.size:
        raise DataError(f"{predictions.model}: no prediction to calibrate")
    pit = ndtr(z)  # flat where stated uncertainties are true
    counts = np.histogram(pit, bins=N_PIT, range=(0.0, 1.0))[0]
    expected = z.size / N_PIT
    levels = np.array(LEVELS)
    reach = ndtri(0.5 + 0.5 * levels)  # half-width of a central interval, in σ
    every = np.linspace(0.01, 0.99, 99)
    seen = (np.abs(z)[:, None] < ndtri(0.5 + 0.5 * every)).mean(axis=0)
    z_std = float(np.std(z))
    return Calibration(
        model=predictions.model,
        label=label,
        group=group.name if group else "all",
        n_spec=z.size,
        z_mean=float(np.mean(z)),
        z_std=z_std,
        z_mean_error=z_std / np.sqrt(z.size),
        z_std_error=z_std / np.sqrt(2.0 * z.size),  # of a Gaussian sample
        levels=LEVELS,
        coverage=tuple((np.abs(z)[:, None] < reach).mean(axis=0).tolist()),
        coverage_error=tuple(np.sqrt(levels * (1.0 - levels) / z.size).tolist()),  # binomial
        pit=tuple(counts.tolist()),
        # χ² of the histogram, bins less one degrees of freedom
        pit_p=float(chi2.sf(np.sum((counts - expected) ** 2) / expected, N_PIT - 1)),
        miscalibration=float(np.mean(np.abs(seen - every))),
    )
