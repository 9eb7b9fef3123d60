"""Posteriors of observed spectra as weighted draws, and whether the weights can be trusted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from scipy.special import logsumexp
from scipy.stats import gaussian_kde

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quality import quality_value
from starsmith.data_contract.quantities import LABELS
from starsmith.data_contract.tables.population import Population
from starsmith.learners.compressed.posterior import weighted_quantiles
from starsmith.learners.prediction.predict import Predictor

__all__ = ["LEVELS", "PosteriorDraws", "draw_posterior", "quantile_columns", "weighs"]

LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)
"""Probabilities of the quantiles that are told."""

N_DRAW = 1000
MOST_KERNELS = 2000  # stars behind a population's density
LEAST_EFFICIENCY = 0.05  # effective share of the draws below which they say little
BLOCK = 64  # spectra at a time: 64 coefficients of 64,000 draws are 33 MB


@dataclass(frozen=True)
class PosteriorDraws:
    """Draws of every label of every spectrum.

    Attributes
    ----------
    labels, units : tuple of str
    value : float64, shape (n_spec, n_draw, n_label)
    log_weight : float64, shape (n_spec, n_draw)
        Of each draw, normalised: importance weights against the likelihood (Dax+ 2023).
    log_evidence : float64, shape (n_spec,)
        Logarithm of the mean weight before that; NaN where nothing was weighed.
    """

    labels: tuple[str, ...]
    units: tuple[str, ...]
    value: np.ndarray
    log_weight: np.ndarray
    log_evidence: np.ndarray

    @property
    def efficiency(self) -> np.ndarray:
        """Effective number of draws over their number (Kish 1965), float64 (n_spec,)."""
        return np.exp(-logsumexp(2.0 * self.log_weight, axis=1)) / self.log_weight.shape[1]

    @property
    def quality(self) -> np.ndarray:
        """Quality bits, int64 (n_spec,): whether too few draws carry all the weight."""
        return np.where(self.efficiency < LEAST_EFFICIENCY, quality_value("few_draws"), 0)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted mean and 1σ, float64 (n_spec, n_label)."""
        weight = np.exp(self.log_weight)[:, :, None]
        mean = np.sum(weight * self.value, axis=1)
        spread = np.sum(weight * (self.value - mean[:, None]) ** 2, axis=1)
        return mean, np.sqrt(spread)

    def cumulative(self, labels: np.ndarray) -> np.ndarray:
        """Probability of every label below a value (n_spec, n_label)."""
        below = self.value < labels[:, None]
        return np.sum(np.exp(self.log_weight)[:, :, None] * below, axis=1)

    def quantiles(self, levels: tuple[float, ...] = LEVELS) -> np.ndarray:
        """Weighted quantiles, float64 (n_spec, n_level, n_label)."""
        return weighted_quantiles(self.value, np.exp(self.log_weight), np.array(levels))

    def resampled(self, n_draw: int, seed: int = 0) -> np.ndarray:
        """Draws of equal weight, float64 (n_spec, n_draw, n_label)."""
        edges = np.cumsum(np.exp(self.log_weight), axis=1)
        ladder = (np.random.default_rng(seed).random((len(edges), 1)) + np.arange(n_draw)) / n_draw
        rows = [
            np.minimum(np.searchsorted(edge, steps * edge[-1]), len(edge) - 1)
            for edge, steps in zip(edges, ladder, strict=True)
        ]
        return np.take_along_axis(self.value, np.array(rows)[:, :, None], axis=1)


def draw_posterior(
    predictor: Predictor,
    seen: Observed,
    n_draw: int = N_DRAW,
    seed: int = 0,
    weighted: bool = True,
    bank: Bank | None = None,
    population: Population | None = None,
) -> PosteriorDraws:
    """Draw from the posterior of spectra on the model's own wavelengths.

    Parameters
    ----------
    predictor : Predictor
    seen : Observed
        Flux of shape (n_spec, n_wave), with its error.
    n_draw : int
    seed : int
    weighted : bool
        Whether draws are weighed by the likelihood over the density they were drawn with; that
        needs every label that varies among the targets.
    bank : Bank, optional
        The model's: the likelihood is that of all pixels, not of their coefficients.
    population : Population, optional
        Stars whose density takes the place of the uniform prior.

    Raises
    ------
    ConfigError
        If the model has no posterior, or lacks labels that weights need.
    DataError
        If no spectrum has pixels enough, the bank is another, or the population leaves it.
    """
    usable = seen.usable
    predictor._refuse_few(usable)
    estimator: Any = predictor.estimator
    if not has_posterior(predictor):
        raise ConfigError(no_posterior(predictor.card["model"]))
    if seen.error is None:
        raise DataError("a posterior needs the 1σ error of the spectrum (a column named error)")
    flux = np.where(usable, seen.flux, 0.0).astype(np.float32)
    error = np.where(usable, seen.error, 1.0).astype(np.float32)
    mask = (~usable).astype(np.uint32)
    if bank is not None:
        check_bank(predictor, bank)
    density = None if population is None else population_density(predictor, population)
    parts = []
    for start in range(0, len(flux), BLOCK):
        some = slice(start, start + BLOCK)
        answer = estimator.posterior(flux[some], error[some], mask[some])
        value = answer.sample(n_draw, [(seed, crc32(row.tobytes())) for row in flux[some]])
        log = np.zeros(value.shape[:2])
        if weighted:
            log = estimator.log_likelihood(flux[some], error[some], mask[some], value, bank)
            log -= answer.log_density(value)
        if density is not None:
            log += density(value)
        parts.append((value, log))
    value, log = (np.concatenate(part) for part in zip(*parts, strict=True))
    total = logsumexp(log, axis=1)
    evidence = total - np.log(n_draw) if weighted else np.full(len(log), np.nan)
    return PosteriorDraws(predictor.labels, predictor.units, value, log - total[:, None], evidence)


def check_bank(predictor: Predictor, bank: Bank) -> None:
    """Refuse any bank but the model's own; DataError naming both."""
    own = str(predictor.card.get("bank", ""))
    if own != bank.digest:
        raise DataError(
            f"this bank is {bank.digest[:12]}, model {predictor.card['model']!r} was trained with "
            f"{own[:12] or 'none'}; give the bank of its data set with --bank"
        )


def population_density(
    predictor: Predictor, population: Population
) -> Callable[[np.ndarray], np.ndarray]:
    """Log density of a population's labels over the uniform prior, by kernels.

    Kernels are Gaussian in t = Φ⁻¹(u), u the place in the prior's range, as wide as Scott (1992)
    has it: none reaches beyond the range. Magnitudes of the table do not count.

    Parameters
    ----------
    predictor : Predictor
        Every label that varies is a target.
    population : Population

    Returns
    -------
    log_density : callable
        Labels (n_spec, n_draw, n_label) -> float64 (n_spec, n_draw).

    Raises
    ------
    ConfigError
        If a label that varies is no target, or rows are too few or too alike.
    DataError
        If rows lie outside the model's prior.
    """
    if not weighs(predictor):
        raise ConfigError("--population: every label that varies must be a target of the model")
    box, ranges = predictor.estimator.box, predictor.card["ranges"]
    spans = {name: np.array(ranges[name], dtype=float) for name in LABELS if name in ranges}
    if problems := population.outside(spans):
        raise DataError(
            f"{population.path}: {'; '.join(problems)}; this model's prior ends there: remove "
            "those rows, or train on a data set that holds them"
        )
    rows = population.labels(predictor.labels)
    if len(rows) > MOST_KERNELS:
        chosen = np.random.default_rng(0).choice(len(rows), MOST_KERNELS, p=population.weight)
        rows, weight = rows[chosen], None
    else:
        weight = population.weight
    try:
        kernels = gaussian_kde(box.to_normal(rows).T, weights=weight)
    except (np.linalg.LinAlgError, ValueError):
        raise ConfigError(
            f"{population.path}: its {len(rows)} stars are too few, or too alike, for a density of "
            f"{', '.join(predictor.labels)}"
        ) from None

    def log_density(value: np.ndarray) -> np.ndarray:
        t = box.to_normal(value)
        found = kernels.logpdf(t.reshape(-1, t.shape[2]).T).reshape(t.shape[:2])
        return found + 0.5 * np.sum(t**2 + np.log(2.0 * np.pi), axis=2)

    return log_density


def has_posterior(predictor: Predictor) -> bool:
    """Whether a model knows more of a posterior than a mean and an uncertainty."""
    return getattr(predictor.estimator, "has_posterior", False)


def weighs(predictor: Predictor) -> bool:
    """Whether every label that varies is a target, as weights need; velocities are summed over."""
    ranges = predictor.card.get("ranges", {})
    varied = [n for n in LABELS if n in ranges and ranges[n][1] > ranges[n][0]]
    known = hasattr(predictor.estimator, "log_likelihood")
    return known and set(varied) <= set(predictor.labels)


def quantile_columns(draws: PosteriorDraws, row: int) -> list[dict[str, float]]:
    """Quantiles of one spectrum under the names of their columns, a dict per label."""
    found = draws.quantiles(LEVELS)[row]
    names = [f"q{100 * level:g}" for level in LEVELS]
    return [dict(zip(names, map(float, column), strict=True)) for column in found.T]


def no_posterior(model: str) -> str:
    """What is said of a model whose head knows no posterior."""
    return (
        f"model {model!r} has no posterior to draw from; train one that has: "
        "speclearn train DATA --model compressed"
    )
