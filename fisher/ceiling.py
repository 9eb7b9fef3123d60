"""Ceilings: the best R² any estimator can reach, pooled and in bins of signal-to-noise."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from starsmith.data_contract.bank import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.names import SNR_EDGES, UNITS
from starsmith.fisher.bounds import (
    STATISTICS,
    Nuisances,
    StarBounds,
    bayes_gauss,
    fisher_information,
    mean_clip,
    paper_median,
    unbiased_mean,
    van_trees,
)
from starsmith.fisher.nodes import NodeSpectra, node_spectra
from starsmith.fisher.posterior import GridPosterior, PosteriorOptions, posterior_mean
from starsmith.fisher.stars import stars_at_magnitudes
from starsmith.fisher.table import FEW_STARS, CeilingRow, CeilingTable, StarCeiling
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

__all__ = ["CeilingOptions", "bin_name", "ceiling", "resampled_error"]

log = logging.getLogger(__name__)

N_RESAMPLE = 200
LEAST_STARS = 10  # below this a bin is listed, but its label variance means nothing
AGREE = 4.0  # standard errors between E[var] and the realised squared error
ESS_MEDIAN, ESS_LOW = 50.0, 10.0
AMPLITUDE_PER_MAG = 0.4 * np.log(10.0)


@dataclass(frozen=True, kw_only=True)
class CeilingOptions:
    """Choices of a ceiling table.

    Attributes
    ----------
    snr_edges : tuple of float
        Bin edges; a star belongs where low <= snr < high.
    n_star : int
        Test stars; the first so many if draws are given.
    n_template : int
        Prior draws behind ``posterior_mean``.
    seed : int
    statistics : tuple of str
        Among `STATISTICS`.
    normalise : str
        ``free`` (amplitude unknown), ``known`` (noise-free median known) or ``absolute``.
    nuisances : Nuisances
        Continuum and radial velocity, in the Cramér-Rao statistics only.
    mags : tuple of float
        Put the stars at each of these magnitudes, a row each, instead of bins of S/N and
        the pooled row; their prior is wider than them all.
    """

    snr_edges: tuple[float, ...] = SNR_EDGES
    n_star: int = 2000
    n_template: int = 40_000
    seed: int = 0
    statistics: tuple[str, ...] = STATISTICS
    normalise: str = "free"
    nuisances: Nuisances = field(default_factory=Nuisances)
    mags: tuple[float, ...] = ()

    def __post_init__(self):
        if unknown := [name for name in self.statistics if name not in STATISTICS]:
            raise ConfigError(f"--stat {unknown}: known are {', '.join(STATISTICS)}")
        if len(self.snr_edges) < 2 or np.any(np.diff(self.snr_edges) <= 0):
            raise ConfigError(f"--snr-bins {self.snr_edges}: edges must increase, two at least")


@dataclass(frozen=True)
class _Stars:
    """All that the statistics need, star by star."""

    draws: Draws
    target: np.ndarray
    labels: np.ndarray
    bounds: StarBounds
    posterior: GridPosterior | None


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
    return float(np.std(1.0 - (share @ squared) / variance, ddof=1))


def ceiling(
    bank: Bank,
    prior: Prior,
    target: str = "logg",
    draws: Draws | None = None,
    progress: Callable[[str], None] | None = None,
    **choices,
) -> CeilingTable:
    """Say how good any estimator of a label could be on stars like these.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        What the data set was drawn from.
    target : str
    draws : Draws, optional
        Stars to score, e.g. the test split of a data set; else drawn from the prior with
        split ``test``.
    progress : callable, optional
        Told what is being computed.
    **choices
        Fields of `CeilingOptions`: snr_edges, n_star, n_template, seed, statistics,
        normalise, nuisances, mags.

    Returns
    -------
    table : CeilingTable
    """
    options = CeilingOptions(**choices)
    tell = progress or log.info
    names = tuple(n for n in bank.label_names if prior.ranges[n][1] > prior.ranges[n][0])
    if target not in names:
        raise ConfigError(f"--target {target!r} does not vary; the prior varies {list(names)}")
    if draws is None:
        draws = draw_stars(bank, prior, options.seed, "test", np.arange(options.n_star))
    draws = draws.take(slice(0, options.n_star))
    if options.mags:
        prior, draws = stars_at_magnitudes(prior, draws, options.mags)
    tell(f"information on {len(draws)} stars")
    bounds = fisher_information(bank, draws, target, names, options.normalise, options.nuisances)
    posterior = None
    if "posterior_mean" in options.statistics:
        tell(f"posterior of {len(draws)} stars over {options.n_template} templates")
        posterior = _posterior(bank, prior, draws, options)
    columns = [draws.label_names.index(name) for name in names]
    stars = _Stars(draws, draws.label(target), draws.labels[:, columns], bounds, posterior)
    nodes = None
    if "paper_median" in options.statistics:
        tell("bounds at grid nodes")
        nodes = node_spectra(bank, prior)
    return CeilingTable(
        target=target,
        unit=UNITS[target],
        header=_header(bank, prior, draws, names, options),
        rows=_rows(bank, prior, stars, nodes, target, options),
        stars=_star_record(stars, target),
        notice=bank.notice,
    )


def _posterior(bank: Bank, prior: Prior, draws: Draws, options: CeilingOptions) -> GridPosterior:
    batch = observe(bank, draws, error="smooth")
    amplitude = {
        "free": None,
        "known": np.median(batch.flux_model, axis=1).astype(np.float64),
        "absolute": draws.mag,
    }[options.normalise]
    how = PosteriorOptions(
        n_template=options.n_template, normalise=options.normalise, seed=options.seed
    )
    return posterior_mean(bank, prior, batch.flux, batch.error, draws.conditions, amplitude, how)


def _squared_errors(stars: _Stars, rows: np.ndarray, target: str) -> dict[str, np.ndarray]:
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


def _pooled_van_trees(bank: Bank, prior: Prior, stars: _Stars, target: str) -> float:
    """Bound with the logarithm of the amplitude as one more uniform label, if it is free."""
    if bank.filled.any():
        return float("nan")  # the prior is not a box: its edges run through the grid
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


def _rows(
    bank: Bank,
    prior: Prior,
    stars: _Stars,
    nodes: NodeSpectra | None,
    target: str,
    options: CeilingOptions,
) -> tuple[CeilingRow, ...]:
    snr = stars.bounds.snr
    key = stars.draws.mag if options.mags else snr
    spans = [(f"mag {m:g}", m, np.nextafter(m, np.inf)) for m in options.mags]
    if not spans:
        spans = [("all", -np.inf, np.inf)]
        spans += [(bin_name(*pair), *pair) for pair in pairwise(options.snr_edges)]
    # a bin of no more stars than labels has no label covariance to compare with
    fewest = stars.labels.shape[1]
    spans = [span for span in spans if np.sum((key >= span[1]) & (key < span[2])) > fewest]
    members = [np.flatnonzero((key >= low) & (key < high)) for _, low, high in spans]
    paper = np.full((len(spans), 3), np.nan)
    if nodes is not None:
        mags = nodes.magnitude_at(np.array([np.median(snr[rows]) for rows in members]))
        variance = nodes.variance(target)
        paper[:] = [paper_median(s, variance) for s in nodes.sigma2(target, mags)]
    bounds = np.full(len(spans), np.nan)
    if "van_trees" in options.statistics and not options.mags:
        bounds[0] = _pooled_van_trees(bank, prior, stars, target)
    return tuple(
        _row(span, stars, rows, target, options, (paper[k], bounds[k]))
        for k, (span, rows) in enumerate(zip(spans, members, strict=True))
    )


def _row(
    span: tuple[str, float, float],
    stars: _Stars,
    rows: np.ndarray,
    target: str,
    options: CeilingOptions,
    common: tuple[np.ndarray, float],
) -> CeilingRow:
    """Score the stars ``rows``; ``common`` holds paper_median's percentiles and van Trees."""
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
    paper, bound = common
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
        realised=realised,
        halving=halving,
        ess=ess,
        flags=tuple(flags),
    )


def _posterior_checks(
    stars: _Stars, rows: np.ndarray, target: str, seed: int
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
    if abs(apart.mean()) > AGREE * apart.std(ddof=1) / np.sqrt(len(rows)):
        flags.append("realised-differs")
    low, middle = np.percentile(stars.posterior.ess[rows], [5.0, 50.0])
    if middle < ESS_MEDIAN or low < ESS_LOW:
        flags.append("low-ess")
    realised = (float(1.0 - squared.mean() / label.var()), resampled_error(squared, label, seed))
    return realised, halving, (float(low), float(middle)), flags


def _star_record(stars: _Stars, target: str) -> StarCeiling:
    unknown = np.full(len(stars.target), np.nan)
    mean, var, ess = stars.posterior.of(target) if stars.posterior else (unknown,) * 3
    return StarCeiling(
        seed=stars.draws.seed,
        split=stars.draws.split,
        index=stars.draws.index,
        snr=stars.bounds.snr,
        mag=stars.draws.mag,
        label=stars.target,
        sigma2=stars.bounds.bounds.sigma2,
        mean=mean,
        var=var,
        ess=ess,
    )


AMPLITUDE = {
    "free": "unknown, flat in magnitude over the prior's range",
    "known": "noise-free median flux known (as in the SpecViT paper)",
    "absolute": "magnitude known",
}


def _header(
    bank: Bank, prior: Prior, draws: Draws, names: tuple[str, ...], options: CeilingOptions
) -> dict:
    """Everything the numbers depend on, in words."""
    nuisances = options.nuisances
    extra = [f"continuum of degree {nuisances.continuum}"] if nuisances.continuum else []
    extra += ["radial velocity"] if nuisances.velocity else []
    extra += [f"prior {name} ± {sigma:g}" for name, sigma in nuisances.priors]
    spans = {name: prior.ranges[name] for name in (*names, "mag")}
    return {
        "amplitude": AMPLITUDE[options.normalise],
        "known": "observing conditions and the noise variance they imply"
        + "".join(f", {n} = {prior.ranges[n][0]:g}" for n in bank.label_names if n not in names),
        "marginalised": ", ".join(names),
        "further_nuisances": ", ".join(extra)
        + (" (Cramér-Rao statistics only)" if extra else "none"),
        "noise": "Gaussian with the true variance; what the variance itself tells is left out",
        "population": f"{len(draws) // max(1, len(options.mags))} stars"
        f"{' at each magnitude' if options.mags else ''}, split {draws.split} of seed {draws.seed}",
        "prior": ", ".join(f"{k} {low:g}..{high:g}" for k, (low, high) in spans.items())
        + ", uniform",
        "variance_of_target": "of the same stars, bin by bin",
        "snr": "median over pixels of noiseless flux over true sigma, each star its own",
        "derivative": "analytic, through the bank's cubic spline",
        "paper_median": "grid nodes inside the prior at the middle of its conditions, one "
        "magnitude for all, chosen to give the median node the bin's median S/N; three-point "
        "differences; spectra divided by their noise-free median; Var of the nodes",
        "posterior_mean": f"{options.n_template} templates, seed {options.seed}, stars with "
        "fewer than 100 effective ones drawn again around their fit",
        "mag_band": bank.mag_band,
        "bank": bank.digest,
        "grid": bank.grid.get("name", ""),
        "instrument": bank.instrument.get("name", ""),
    }
