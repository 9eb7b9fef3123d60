"""From information to R²: six statistics that answer six different questions."""

from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import variance_line
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel, snr_statistics
from starsmith.fisher.information.crlb import (
    CrlbBatch,
    crlb_from_gram,
    crlb_with_priors,
    whitened_gram,
)
from starsmith.fisher.information.grid_nodes import node_percentiles
from starsmith.fisher.information.jacobian import Columns
from starsmith.fisher.information.nuisances import Nuisances, prior_precision, star_columns

__all__ = [
    "STATISTICS",
    "StarBounds",
    "bayes_gauss",
    "fisher_information",
    "mean_clip",
    "paper_median",
    "scaled_condition",
    "unbiased_mean",
    "van_trees",
]

STATISTICS = (
    "paper_median",
    "mean_clip",
    "unbiased_mean",
    "bayes_gauss",
    "posterior_mean",
    "van_trees",
)

BLOCK = 32  # stars at once: jacobians of all pixels are large
N_TAPER = 25  # widths tried; the bound is the best of them


@dataclass(frozen=True)
class StarBounds:
    """Information on a set of stars.

    Attributes
    ----------
    names : tuple of str
        Columns: labels, then nuisances.
    labels : int
        How many of them are labels.
    gram : float64, shape (n_spec, n_column, n_column)
        Information matrices, priors of nuisances included.
    bounds : CrlbBatch
        Of the target.
    snr : float64, shape (n_spec,)
    cond : float64, shape (n_spec,)
        Condition number of the unit-diagonal information matrix.
    plain : float64, shape (n_spec,), optional
        Bounds that leave out what the variance itself tells [label²].
    snr_p95 : float64, shape (n_spec,), optional
        95th percentile over pixels, where ``snr`` is the median.
    """

    names: tuple[str, ...]
    labels: int
    gram: np.ndarray
    bounds: CrlbBatch
    snr: np.ndarray
    cond: np.ndarray
    plain: np.ndarray | None = None
    snr_p95: np.ndarray | None = None


def scaled_condition(gram: np.ndarray) -> np.ndarray:
    """Condition numbers of unit-diagonal information matrices, float64 (n_spec,); no units."""
    # unit diagonal: the number does not depend on units
    scale = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    scale = np.where(scale > 0.0, scale, 1.0)
    values = np.linalg.eigvalsh(gram / (scale[:, :, None] * scale[:, None, :]))
    with np.errstate(divide="ignore"):
        return np.where(values[:, 0] > 0.0, values[:, -1] / np.abs(values[:, 0]), np.inf)


def fisher_information(
    bank: Bank,
    draws: Draws,
    target: str = "logg",
    names: tuple[str, ...] | None = None,
    normalise: str = "free",
    nuisances: Nuisances | None = None,
    noise: NoiseModel = CALCULATOR,
    noise_term: bool = False,
) -> StarBounds:
    """Fisher information of stars under their own conditions and true noise.

    Parameters
    ----------
    bank : Bank
    draws : Draws
    target : str
        Label the bounds are for.
    names : tuple of str, optional
        Labels that are not known; all of the bank's by default.
    normalise : str
        What is known of the amplitude: ``free``, ``known`` or ``absolute``.
    nuisances : Nuisances, optional
    noise : NoiseModel, optional
        The exposure-time calculator's by default.
    noise_term : bool
        Count what the variance itself tells of the star, ½ Σ (d ln v)² (Slepian-Bangs).

    Returns
    -------
    stars : StarBounds
    """
    names = tuple(names or bank.label_names)
    nuisances = nuisances or Nuisances()
    if target not in names:
        raise ConfigError(f"--target {target!r} is not among the free labels {', '.join(names)}")
    parts = []
    for start in range(0, len(draws), BLOCK):
        some = draws.take(slice(start, start + BLOCK))
        columns, variance = star_columns(bank, some, names, normalise, nuisances, noise)
        # known exactly: no column
        columns = columns.without([name for name, sigma in nuisances.priors if sigma == 0.0])
        free = replace(nuisances, priors=tuple(p for p in nuisances.priors if p[1] != 0.0))
        precision = prior_precision(columns.names, free)
        slopes = _log_variance(bank, columns, variance, some.conditions) if noise_term else None
        gram = whitened_gram(columns.values, variance) + np.diag(precision)
        # without what the noise itself tells
        plain = crlb_with_priors(columns.values, variance, columns.names.index(target), precision)
        bounds = plain
        if slopes is not None:
            # of a Gaussian whose variance depends on labels (Kay 1993, 3.9)
            gram += 0.5 * slopes @ slopes.transpose(0, 2, 1)
            bounds = crlb_from_gram(gram, columns.names.index(target))
        total = variance + np.sum(columns.shared**2, axis=1)  # modes add to the variance of a pixel
        snr = snr_statistics(columns.flux, np.sqrt(total))
        parts.append((gram, bounds, snr["snr"], plain.sigma2, snr["snr_p95"]))
    joined = CrlbBatch(
        *(
            np.concatenate([getattr(part[1], field) for part in parts])
            for field in ("sigma2", "fixed", "rho")
        )
    )
    gram, snr, plain, p95 = (np.concatenate([part[k] for part in parts]) for k in (0, 2, 3, 4))
    n_label = sum(name in names for name in columns.names)
    cond = scaled_condition(gram)
    return StarBounds(columns.names, n_label, gram, joined, snr, cond, plain, p95)


def _log_variance(
    bank: Bank, columns: Columns, variance: np.ndarray, conditions: np.ndarray
) -> np.ndarray:
    """D ln(variance) / d column, float64 (n_spec, n_column, n_wave); none by shared noise."""
    _, slope = variance_line(bank.noise, conditions)
    photons = np.where(columns.flux > 0.0, slope / variance, 0.0)  # d ln v / d flux
    slopes = columns.values * photons[:, None, :]
    slopes[:, len(columns.names) - columns.shared.shape[1] :] = 0.0  # modes have no labels
    return slopes


def paper_median(
    sigma2: np.ndarray, variance: float, weight: np.ndarray | None = None
) -> tuple[float, float, float]:
    """10th, 50th and 90th percentile of clip(1 - CRLB / Var, 0, 1), of nodes by their weight.

    The definition behind the published R²_max, for comparison only: a median of clipped
    values bounds no R² measured over a set of stars.
    """
    clipped = np.clip(1.0 - sigma2 / variance, 0.0, 1.0)  # R² of each star
    low, middle, high = node_percentiles(clipped, [10.0, 50.0, 90.0], weight)
    return float(low), float(middle), float(high)


def mean_clip(sigma2: np.ndarray, variance: float) -> np.ndarray:
    """Squared error per star whose mean gives 1 - E[min(CRLB, Var)] / Var."""
    return np.minimum(sigma2, variance)


def unbiased_mean(sigma2: np.ndarray) -> np.ndarray:
    """Squared error per star of the best unbiased estimator; R² may be negative."""
    return sigma2


def bayes_gauss(stars: StarBounds, target: str, label_covariance: np.ndarray) -> np.ndarray:
    """Posterior variance per star if the prior were Gaussian and the spectra linear.

    Parameters
    ----------
    stars : StarBounds
    target : str
    label_covariance : float64 array, shape (n_label, n_label)
        Covariance of the labels among the stars that are scored.

    Returns
    -------
    variance : float64 array, shape (n_spec,)
        ((I + Λ)^-1) of the target, Λ the inverse of ``label_covariance``; NaN where labels
        depend on each other exactly, as those of three stars do.
    """
    # labels on a line or plane: no density, no bound
    if np.linalg.matrix_rank(label_covariance, hermitian=True) < stars.labels:
        return np.full(len(stars.gram), np.nan)
    precision = np.zeros(stars.gram.shape[1:])
    inverse = np.linalg.solve(label_covariance, np.eye(stars.labels))
    precision[: stars.labels, : stars.labels] = inverse
    return crlb_from_gram(stars.gram + precision, stars.names.index(target)).sigma2


def _tapers(position: np.ndarray, width: float) -> tuple[np.ndarray, float]:
    """Sine-edged taper of a uniform prior on 0..1: values, and the mean squared slope."""
    edge = np.minimum(position, 1.0 - position) / width  # distance from the nearer edge, in widths
    return np.sin(0.5 * np.pi * np.minimum(edge, 1.0)), (0.5 * np.pi / width) ** 2 * width


def van_trees(
    gram: np.ndarray, labels: np.ndarray, low: np.ndarray, high: np.ndarray, target: int
) -> float:
    """Weighted van Trees bound on the mean squared error under a uniform prior.

    Cauchy-Schwarz between the error and a weighted score of the joint density gives, for
    fields C_k = c_k h_k(θ_k) that vanish at the prior's edges,
    MSE >= E[C_g]² / (E[C' I C] + E[(div C)²]). Maximised over c in closed form,

        MSE >= E[h_g]² [(M + D)^-1]_gg,  M_kl = E[h_k h_l I_kl],  D = diag E[h_k'²],

    and over the width of the tapers' edges by search.

    Parameters
    ----------
    gram : float64 array, shape (n_spec, n_label, n_label)
        Information at draws from the prior.
    labels : float64 array, shape (n_spec, n_label)
        The draws.
    low, high : float64 arrays, shape (n_label,)
        Edges of the prior.
    target : int

    Returns
    -------
    bound : float
        Rigorous but loose [label²].
    """
    position = (labels - low) / (high - low)  # 0 to 1 across the prior
    best = 0.0
    for width in np.geomspace(0.02, 0.5, N_TAPER):  # any taper gives a valid bound
        taper, slope = _tapers(position, width)
        # expected information under the tapered prior
        weighted = np.mean(taper[:, :, None] * taper[:, None, :] * gram, axis=0)
        total = weighted + np.diag(slope / (high - low) ** 2)  # information of the prior itself
        others = np.delete(np.arange(len(total)), target)
        factor = np.linalg.cholesky(total[np.ix_([*others, target], [*others, target])])
        mean = 1.0 - 2.0 * width * (1.0 - 2.0 / np.pi)  # mean of the taper: 2/π over its edges
        best = max(best, (mean / factor[-1, -1]) ** 2)
    return float(best)
