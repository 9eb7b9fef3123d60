"""Ceilings: the best R² any estimator can reach, pooled and in bins of signal-to-noise."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import UNITS
from starsmith.fisher.ceilings.bins import ScoredStars, bin_name, ceiling_rows, resampled_error
from starsmith.fisher.ceilings.ceiling_table import CeilingTable, StarCeiling
from starsmith.fisher.ceilings.options import CeilingOptions, header_of
from starsmith.fisher.ceilings.single_arm import hidden_pixels, with_arm_alone
from starsmith.fisher.information.bounds import StarBounds, fisher_information
from starsmith.fisher.information.grid_nodes import node_spectra
from starsmith.fisher.posterior.posterior_mean import (
    GridPosterior,
    PosteriorOptions,
    posterior_mean,
)
from starsmith.fisher.posterior.templates import TableRows
from starsmith.fisher.stars import free_labels, stars_at_magnitudes
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

__all__ = [
    "CeilingOptions",
    "bin_name",
    "ceiling",
    "ceiling_by_arm",
    "ceiling_table",
    "resampled_error",
]

log = logging.getLogger(__name__)


def ceiling(
    bank: Bank,
    prior: Prior,
    target: str = "logg",
    draws: Draws | None = None,
    progress: Callable[[str], None] | None = None,
    **choices: Any,
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

    Examples
    --------
    >>> table = starsmith.ceiling(bank, prior, "logg", n_star=30, n_template=500)
    >>> 0 < table.row("all").r2["posterior_mean"][0] <= 1
    True
    """
    return ceiling_table(bank, prior, target, draws, CeilingOptions(**choices), progress)


def ceiling_by_arm(
    bank: Bank,
    prior: Prior,
    target: str = "logg",
    draws: Draws | None = None,
    progress: Callable[[str], None] | None = None,
    **choices: Any,
) -> CeilingTable:
    """Ceilings of all arms together, and of the same stars in each of them by itself.

    Parameters and errors as in `ceiling`; ``arm`` of the rows says which.
    """
    options = CeilingOptions(**choices)
    return ceiling_table(bank, prior, target, draws, options, progress, by_arm=True)


def ceiling_table(
    bank: Bank,
    prior: Prior,
    target: str,
    draws: Draws | None,
    options: CeilingOptions,
    progress: Callable[[str], None] | None = None,
    by_arm: bool = False,
) -> CeilingTable:
    """As `ceiling`, with its choices as one object; ``by_arm`` adds every arm by itself."""
    tell = progress or log.info
    together = _ceiling(bank, prior, target, draws, options, tell)
    arms = [arm.name for arm in bank.noise.arms]
    rows = list(together.rows)
    for arm in arms if by_arm and len(arms) > 1 else ():
        tell(f"arm {arm} by itself")
        alone = _ceiling(bank, prior, target, draws, replace(options, arm=arm), tell)
        rows += [replace(row, arm=arm) for row in alone.rows]
    return replace(together, rows=tuple(rows))


def _ceiling(
    bank: Bank,
    prior: Prior,
    target: str,
    draws: Draws | None,
    options: CeilingOptions,
    tell: Callable[[str], None],
) -> CeilingTable:
    names = free_labels(bank, prior, target)
    check_population(prior, options)
    if draws is None:
        draws = draw_stars(bank, prior, options.seed, "test", np.arange(options.n_star))
    draws = draws.take(slice(0, options.n_star))
    if options.mags:
        prior, draws = stars_at_magnitudes(prior, draws, options.mags)
    tell(f"information on {len(draws)} stars")
    bounds = _bounds(bank, draws, target, names, options)
    posterior = None
    if "posterior_mean" in options.statistics:
        tell(f"posterior of {len(draws)} stars over {options.n_template} templates")
        posterior = _posterior(bank, prior, draws, options)
    columns = [draws.label_names.index(name) for name in names]
    stars = ScoredStars(draws, draws.label(target), draws.labels[:, columns], bounds, posterior)
    nodes = None
    if "paper_median" in options.statistics and not options.arm:
        tell("bounds at grid nodes")
        nodes = node_spectra(bank, prior, derivative=options.derivative)
    return CeilingTable(
        target=target,
        unit=UNITS[target],
        header=header_of(bank, prior, draws, names, options, posterior),
        rows=ceiling_rows(bank, prior, stars, nodes, target, options),
        stars=_star_record(stars, target, options.snr_statistic),
        notice=bank.notice,
    )


def _bounds(
    bank: Bank, draws: Draws, target: str, names: tuple[str, ...], options: CeilingOptions
) -> StarBounds:
    """Bounds from one arm or all of them, beside the S/N of all."""
    bound = partial(
        fisher_information,
        draws=draws,
        target=target,
        names=names,
        normalise=options.normalise,
        nuisances=options.nuisances,
        noise=options.noise,
        noise_term=options.noise_term,
    )
    bounds = bound(bank)
    if not options.arm:
        return bounds
    return replace(bound(with_arm_alone(bank, options.arm)), snr=bounds.snr, snr_p95=bounds.snr_p95)


def check_population(prior: Prior, options: CeilingOptions) -> None:
    """Refuse choices that a table of stars leaves no room for."""
    if prior.population is None:
        return
    if options.mags:
        raise ConfigError("--mags: stars of --population have their own; drop one of the two")
    if options.normalise != "free":
        raise ConfigError(
            f"--normalise {options.normalise}: stars of --population have magnitudes that go "
            "with their labels; drop one of the two"
        )


def _posterior(bank: Bank, prior: Prior, draws: Draws, options: CeilingOptions) -> GridPosterior:
    batch = observe(bank, draws, error="smooth", noise=options.noise)
    batch.error[:, hidden_pixels(bank, options.arm)] = np.inf
    amplitude = {
        "free": None,
        "known": np.median(batch.flux_model, axis=1).astype(np.float64),
        "absolute": draws.mag,
    }[options.normalise]
    how = PosteriorOptions(
        n_template=options.n_template,
        normalise=options.normalise,
        seed=options.seed,
        noise=options.noise,
    )
    own = None if prior.population is None else TableRows.of(bank, prior.population).own(draws)
    return posterior_mean(
        bank, prior, batch.flux, batch.error, draws.conditions, amplitude, how, own
    )


def _star_record(stars: ScoredStars, target: str, statistic: str) -> StarCeiling:
    unknown = np.full(len(stars.target), np.nan)
    mean, var, ess = stars.posterior.of(target) if stars.posterior else (unknown,) * 3
    return StarCeiling(
        seed=stars.draws.seed,
        split=stars.draws.split,
        index=stars.draws.index,
        snr=stars.snr(statistic),
        mag=stars.draws.mag,
        label=stars.target,
        sigma2=stars.bounds.bounds.sigma2,
        mean=mean,
        var=var,
        ess=ess,
    )
