"""Choices of a ceiling table, and all it assumes in words."""

from dataclasses import dataclass, field

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import check_noise
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.data_contract.quantities import SNR_EDGES, SNR_KINDS
from starsmith.fisher.information.bounds import STATISTICS
from starsmith.fisher.information.jacobian import DERIVATIVES
from starsmith.fisher.information.nuisances import Nuisances
from starsmith.fisher.posterior.posterior_mean import GridPosterior
from starsmith.simulator.prior import Prior

__all__ = ["CeilingOptions", "header_of"]


@dataclass(frozen=True, kw_only=True)
class CeilingOptions:
    """Choices of a ceiling table.

    Attributes
    ----------
    snr_edges : tuple of float
        Bin edges; a star belongs where low <= S/N < high.
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
        Continuum, radial velocity, ..., in the Cramér-Rao statistics only.
    noise : NoiseModel
        Terms of the noise, correlated ones included.
    noise_term : bool
        Count what the variance itself tells, in the Cramér-Rao statistics only.
    derivative : str
        At nodes, for ``paper_median``: ``grid`` (three-point differences) or ``spline``.
    arm : str
        Of several, the only one that sees the stars; S/N stays that of all of them.
        ``paper_median`` is left out.
    snr_statistic : str
        S/N of the bins: ``median`` or ``p95``, the 95th percentile, over pixels.
    mags : tuple of float
        Put the stars at each of these magnitudes, a row each, instead of bins of S/N and
        the pooled row; their prior is wider than them all.

    Examples
    --------
    >>> starsmith.CeilingOptions(n_star=100, snr_edges=(0, 5, 10)).n_template
    40000
    """

    snr_edges: tuple[float, ...] = SNR_EDGES
    n_star: int = 2000
    n_template: int = 40_000
    seed: int = 0
    statistics: tuple[str, ...] = STATISTICS
    normalise: str = "free"
    nuisances: Nuisances = field(default_factory=Nuisances)
    noise: NoiseModel = CALCULATOR
    noise_term: bool = False
    derivative: str = "grid"
    arm: str = ""
    mags: tuple[float, ...] = ()
    snr_statistic: str = "median"

    def __post_init__(self):
        if unknown := [name for name in self.statistics if name not in STATISTICS]:
            raise ConfigError(f"--statistic {unknown}: known are {', '.join(STATISTICS)}")
        if len(self.snr_edges) < 2 or np.any(np.diff(self.snr_edges) <= 0):
            raise ConfigError(f"--snr-bins {self.snr_edges}: edges must increase, two at least")
        if self.snr_statistic not in SNR_KINDS:
            raise ConfigError(
                f"--snr-statistic {self.snr_statistic!r} is not one of {', '.join(SNR_KINDS)}"
            )
        if self.derivative not in DERIVATIVES:
            raise ConfigError(
                f"--derivative {self.derivative!r} is not one of {', '.join(DERIVATIVES)}"
            )
        check_noise(self.noise)


AMPLITUDE = {
    "free": "unknown, flat in magnitude over the prior's range",
    "known": "noise-free median flux known (as in the SpecViT paper)",
    "absolute": "magnitude known",
}


def header_of(
    bank: Bank,
    prior: Prior,
    draws: Draws,
    names: tuple[str, ...],
    options: CeilingOptions,
    posterior: GridPosterior | None,
) -> dict:
    """Everything the numbers depend on, in words.

    Parameters
    ----------
    bank : Bank
    prior : Prior
    draws : Draws
        The stars that are scored.
    names : tuple of str
        Labels that are not known.
    options : CeilingOptions
    posterior : GridPosterior, optional

    Returns
    -------
    header : dict of str to str
    """
    table = prior.population
    amplitude = AMPLITUDE[options.normalise]
    return {
        "amplitude": amplitude
        if table is None
        else "unknown; magnitudes go with the labels as tabulated",
        "known": "observing conditions and the noise variance they imply"
        + "".join(f", {n} = {prior.ranges[n][0]:g}" for n in bank.label_names if n not in names),
        "marginalised": ", ".join(names),
        "further_nuisances": options.nuisances.described(),
        "noise": _noise(options),
        "population": f"{len(draws) // max(1, len(options.mags))} stars"
        f"{' at each magnitude' if options.mags else ''}, split {draws.split} of seed {draws.seed}",
        "prior": _prior(prior, names),
        "variance_of_target": "of the same stars, bin by bin",
        "snr": "median over pixels of noiseless flux over true sigma, each star its own"
        + ("" if options.snr_statistic == "median" else "; bins over its 95th percentile"),
        "derivative": "analytic, through the bank's cubic spline",
        "paper_median": "grid nodes inside the prior at the middle of its conditions, one "
        "magnitude for all, chosen to give the median node the bin's median S/N; "
        + ("three-point differences" if options.derivative == "grid" else "spline derivatives")
        + "; spectra divided by their noise-free median; Var of the nodes",
        "van_trees": "not applicable: stars of a table or on nodes have no density"
        if table is not None or prior.nodes is not None
        else "uniform prior on labels and log amplitude; pooled row only",
        "posterior_mean": _templates(options, posterior, prior),
        "mag_band": bank.mag_band,
        "bank": bank.digest,
        "grid": bank.grid.get("name", ""),
        "instrument": bank.instrument.get("name", ""),
    }


def _noise(options: CeilingOptions) -> str:
    terms = options.noise.recorded()
    what = ", ".join(f"{name} {value}" for name, value in terms.items())
    shared = " (correlated terms in the covariance)" if terms else ""
    own = "counted" if options.noise_term else "left out"
    return (
        f"Gaussian with the true variance{', ' + what if what else ''}{shared}; what the variance "
        f"itself tells is {own}"
    )


def _prior(prior: Prior, names: tuple[str, ...]) -> str:
    spans = {name: prior.ranges[name] for name in (*names, "mag")}
    text = ", ".join(f"{k} {low:g}..{high:g}" for k, (low, high) in spans.items())
    if prior.nodes is not None:
        return f"{text}: one label of each star uniform, the others on the grid's nodes"
    if prior.population is None:
        return f"{text}, uniform"
    table = prior.population
    return f"{len(table)} rows of {table.path} (SHA-256 {table.sha256[:12]}): {text}"


def _templates(options: CeilingOptions, posterior: GridPosterior | None, prior: Prior) -> str:
    if posterior is None:
        return "not computed"
    basis = f"short basis loses at most {posterior.r2_loss:.0e} of R²"
    if posterior.exact:
        return f"all rows of the table, none drawn; {basis}"
    if prior.nodes is not None:
        return (
            "by quadrature along every line between nodes, finer about the fits of "
            f"{int(posterior.local.sum())} stars; {basis}"
        )
    return (
        f"{options.n_template} templates, seed {options.seed}, stars with fewer than 100 effective "
        f"ones drawn again around their fit; {basis}"
    )
