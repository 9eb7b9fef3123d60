"""Rows of a ceiling table: six statistics of the stars of a bin, and how far to trust them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.ceilings.ceiling_table import FEW_STARS, CeilingRow
from starsmith.fisher.ceilings.options import CeilingOptions
from starsmith.fisher.information.bounds import (
    STATISTICS,
    StarBounds,
    bayes_gauss,
    mean_clip,
    paper_median,
    unbiased_mean,
    van_trees,
)
from starsmith.fisher.information.grid_nodes import NodeSpectra, step_error
from starsmith.fisher.posterior.posterior_mean import GridPosterior
from starsmith.simulator.prior import Prior

__all__ = ["ScoredStars", "bin_name", "ceiling_rows", "resampled_error"]

N_RESAMPLE = 200
LEAST_STARS = 10  # below this a bin is listed, but its label variance means nothing
AGREE = 4.0  # standard errors between E[var] and the realised squared error
ESS_MEDIAN, ESS_LOW = 50.0, 10.0
AMPLITUDE_PER_MAG = 0.4 * np.log(10.0)
STEP_SPAN = (0.9, 1.1)  # of σ by differences over σ by the spline
COARSE = 0.05  # share of nodes outside it


@dataclass(frozen=True)
class ScoredStars:
    """All that the statistics need, star by star.

    Attributes
    ----------
    draws : Draws
    target : float64, shape (n_spec,)
        True label.
    labels : float64, shape (n_spec, n_label)
        All that vary.
    bounds : StarBounds
    posterior : GridPosterior, optional
    """

    draws: Draws
    target: np.ndarray
    labels: np.ndarray
    bounds: StarBounds
    posterior: GridPosterior | None

    def snr(self, statistic: str) -> np.ndarray:
        """S/N of each star, float64 (n_spec,): ``median`` or ``p95`` over pixels."""
        return self.bounds.snr_p95 if statistic == "p95" else self.bounds.snr


def bin_name(low: float, high: float) -> str:
    """``5-7``, or ``>25`` for the last."""
    return f"{low:g}-{high:g}" if np.isfinite(high) else f">{low:g}"


def resampled_error(squared: np.ndarray, label: np.ndarray, seed: int = 0) -> float:
    """Bootstrap standard error over stars of 1 - mean(squared) / var(label); NaN for a few."""
    if len(label) < LEAST_STARS or not np.all(np.isfinite(squared)):
        return float("nan")
    n = len(label)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), N_RESAMPLE)
    share = counts / n
    centred = label - label.mean()
    variance = share @ centred**2 - (share @ centred) ** 2
    usable = variance > 0.0  # of few stars some resamples hold one star only
    r2 = 1.0 - (share @ squared)[usable] / variance[usable]
    return float(np.std(r2, ddof=1)) if usable.sum() > N_RESAMPLE // 2 else float("nan")


def _squared_errors(stars: ScoredStars, rows: np.ndarray, target: str) -> dict[str, np.ndarray]:
    """Squared error each statistic stands for, star by star, among ``rows``."""
    if len(rows) < LEAST_STARS:
        return {name: np.full(len(rows), np.nan) for name in STATISTICS}
    sigma2 = stars.bounds.bounds.sigma2[rows]
    labels = stars.labels[rows]
    part = StarBounds(
        stars.bounds.names,
        stars.bounds.labels,
        stars.bounds.gram[rows],
        stars.bounds.bounds,
        stars.bounds.snr[rows],
        stars.bounds.cond[rows],
    )
    squared = {
        "mean_clip": mean_clip(sigma2, stars.target[rows].var()),
        "unbiased_mean": unbiased_mean(sigma2),
        "bayes_gauss": bayes_gauss(part, target, np.atleast_2d(np.cov(labels.T, ddof=0))),
    }
    if stars.posterior is not None:
        squared["posterior_mean"] = stars.posterior.of(target)[1][rows]
    return squared


def _pooled_van_trees(bank: Bank, prior: Prior, stars: ScoredStars, target: str) -> float:
    """Bound with the logarithm of the amplitude as one more uniform label, if it is free."""
    if bank.filled.any() or prior.population is not None or prior.nodes is not None:
        return float("nan")  # a prior whose edges run through the grid, or without a density
    names = list(stars.bounds.names[: stars.bounds.labels])
    ranges = np.array([prior.ranges[name] for name in names])
    values = stars.labels
    if "amplitude" in stars.bounds.names and np.ptp(prior.ranges["mag"]) > 0.0:
        names.append("amplitude")
        ranges = np.vstack([ranges, AMPLITUDE_PER_MAG * np.asarray(prior.ranges["mag"])])
        values = np.column_stack([values, AMPLITUDE_PER_MAG * stars.draws.mag])
    index = [stars.bounds.names.index(name) for name in names]
    gram = stars.bounds.gram[:, index][:, :, index]
    return van_trees(gram, values, ranges[:, 0], ranges[:, 1], names.index(target))


def ceiling_rows(
    bank: Bank,
    prior: Prior,
    stars: ScoredStars,
    nodes: NodeSpectra | None,
    target: str,
    options: CeilingOptions,
) -> tuple[CeilingRow, ...]:
    """Score the pooled stars and every bin that holds enough; or a row per magnitude.

    Parameters
    ----------
    bank : Bank
    prior : Prior
    stars : ScoredStars
    nodes : NodeSpectra, optional
        For ``paper_median``.
    target : str
    options : CeilingOptions

    Returns
    -------
    rows : tuple of CeilingRow
    """
    snr = stars.bounds.snr
    key = stars.draws.mag if options.mags else stars.snr(options.snr_statistic)
    spans = [(f"mag {m:g}", m, np.nextafter(m, np.inf)) for m in options.mags]
    if not spans:
        spans = [("all", -np.inf, np.inf)]
        spans += [(bin_name(*pair), *pair) for pair in pairwise(options.snr_edges)]
    # a bin of no more stars than labels has no label covariance to compare with; one whose
    # stars are all alike has nothing to tell
    fewest = stars.labels.shape[1]
    members = [np.flatnonzero((key >= low) & (key < high)) for _, low, high in spans]
    scored = [len(r) > fewest and np.ptp(stars.target[r]) > 0.0 for r in members]
    spans = [span for span, chosen in zip(spans, scored, strict=True) if chosen]
    members = [rows for rows, chosen in zip(members, scored, strict=True) if chosen]
    if not spans:
        raise ConfigError(
            f"{len(snr)} stars are too few for a ceiling of {target}, or all alike; raise --n-star"
        )
    paper = np.full((len(spans), 3), np.nan)
    if nodes is not None:
        mags = nodes.magnitude_at(np.array([np.median(snr[rows]) for rows in members]))
        variance = nodes.variance(target)
        paper[:] = [paper_median(s, variance, nodes.weight) for s in nodes.sigma2(target, mags)]
    steps = np.full((len(spans), 2), np.nan)
    if nodes is not None:
        ratio = step_error(bank, prior, target, np.array([np.median(snr[r]) for r in members]))
        outside = ~((ratio >= STEP_SPAN[0]) & (ratio <= STEP_SPAN[1]))
        steps = np.column_stack([np.nanmedian(ratio, axis=1), outside.mean(axis=1)])
    bounds = np.full(len(spans), np.nan)
    if "van_trees" in options.statistics and not options.mags:
        bounds[0] = _pooled_van_trees(bank, prior, stars, target)
    return tuple(
        _row(span, stars, rows, target, options, (paper[k], bounds[k], steps[k]))
        for k, (span, rows) in enumerate(zip(spans, members, strict=True))
    )


def _row(
    span: tuple[str, float, float],
    stars: ScoredStars,
    rows: np.ndarray,
    target: str,
    options: CeilingOptions,
    common: tuple[np.ndarray, float, np.ndarray],
) -> CeilingRow:
    """Score the stars ``rows``; ``common``: paper_median's percentiles, van Trees, step errors."""
    label = stars.target[rows]
    variance = float(label.var())
    squared = _squared_errors(stars, rows, target)
    r2 = {
        name: (
            float(1.0 - values.mean() / variance),
            resampled_error(values, label, options.seed),
        )
        for name, values in squared.items()
    }
    paper, bound, steps = common
    r2["paper_median"] = (float(paper[1]), float("nan"))
    r2["van_trees"] = (float(1.0 - bound / variance), float("nan"))
    sigma = np.sqrt(stars.bounds.bounds.sigma2[rows])
    realised, halving, ess, flags = _posterior_checks(stars, rows, target, options.seed)
    if len(rows) < FEW_STARS:
        flags.append(f"few:{len(rows)}")
    if n_blind := int(np.isinf(sigma).sum()):
        flags.append(f"no-information:{n_blind}")
    if np.median(sigma) > 0.5 * np.ptp(stars.target):
        flags.append("nonlinear")
    if steps[1] > COARSE:
        flags.append("coarse-steps")
    return CeilingRow(
        name=span[0],
        low=span[1],
        high=span[2],
        n=len(rows),
        snr=float(np.median(stars.bounds.snr[rows])),
        variance=variance,
        sigma=tuple(np.percentile(sigma, [10.0, 50.0, 90.0], method="lower").tolist()),
        rho=float(np.median(stars.bounds.bounds.rho[rows])),
        cond=float(np.median(stars.bounds.cond[rows])),
        r2={name: r2[name] for name in options.statistics},
        paper_spread=(float(paper[0]), float(paper[2])),
        step_error=(float(steps[0]), float(steps[1])),
        noise_gain=float(np.median(np.sqrt(stars.bounds.plain[rows]) / sigma)),
        realised=realised,
        halving=halving,
        ess=ess,
        flags=tuple(flags),
        unseen=_unseen(stars, rows, target, options.seed),
    )


def _unseen(stars: ScoredStars, rows: np.ndarray, target: str, seed: int) -> tuple[float, float]:
    """R² of the estimate from the other rows of a table, and its standard error."""
    known = stars.posterior is not None and stars.posterior.unseen is not None
    if not known or len(rows) < LEAST_STARS:
        return float("nan"), float("nan")
    label = stars.target[rows]
    k = stars.posterior.label_names.index(target)
    squared = (stars.posterior.unseen[rows, k] - label) ** 2
    return float(1.0 - squared.mean() / label.var()), resampled_error(squared, label, seed)


def _posterior_checks(
    stars: ScoredStars, rows: np.ndarray, target: str, seed: int
) -> tuple[tuple[float, float], float, tuple[float, float], list[str]]:
    """Realised R², its error, halving difference, ESS percentiles and flags."""
    nan = float("nan")
    if stars.posterior is None:
        return (nan, nan), nan, (nan, nan), []
    k = stars.posterior.label_names.index(target)
    label, var = stars.target[rows], stars.posterior.var[rows, k]
    squared = (stars.posterior.mean[rows, k] - label) ** 2
    halving = float(np.mean(var - stars.posterior.half_var[rows, k]) / label.var())
    flags = []
    if n_linear := int(stars.posterior.flagged[rows].sum()):
        flags.append(f"linear:{n_linear}")
    apart = squared - var
    # a few stars may hold all the variance and none of them err: their scatter is then 2 var²
    scatter = max(apart.var(ddof=1), 2.0 * np.mean(var**2))
    if abs(apart.mean()) > AGREE * np.sqrt(scatter / len(rows)):
        flags.append("realised-differs")
    low, middle = np.percentile(stars.posterior.ess[rows], [5.0, 50.0])
    sparse = middle < ESS_MEDIAN or low < ESS_LOW
    if sparse and not stars.posterior.quadrature:
        flags.append("recognised" if stars.posterior.exact else "low-ess")
    realised = (float(1.0 - squared.mean() / label.var()), resampled_error(squared, label, seed))
    return realised, halving, (float(low), float(middle)), flags
