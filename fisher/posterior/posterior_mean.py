"""The exact posterior mean by Monte Carlo over the simulator itself.

Templates are drawn from the prior; each is weighted by its likelihood given the star's
noisy flux and variance, the amplitude integrated out under the prior's flat range of
magnitudes. No estimator that sees the same has a smaller mean squared error. Stars that
too few templates resemble are drawn again around their best fit.
"""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import check_noise, covariance_of
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.fisher.posterior.basis import Basis, Stars, build_basis
from starsmith.fisher.posterior.basis_loss import basis_r2_loss
from starsmith.fisher.posterior.importance_sampling import redraw
from starsmith.fisher.posterior.on_lines import posterior_on_lines
from starsmith.fisher.posterior.on_table import TablePosterior, posterior_of_table, rough_table
from starsmith.fisher.posterior.template_lines import lines_of
from starsmith.fisher.posterior.template_sums import Moments, StarSums, Weighing, weigh
from starsmith.fisher.posterior.templates import TableRows, build_templates
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import combine, spline_weights

__all__ = ["GridPosterior", "PosteriorOptions", "amplitude_limits", "posterior_mean"]

ESS_MIN = 100.0  # Monte Carlo bias of the variance is about 1 / ESS
STAR_BLOCK = 256
N_BASIS_STAR = 400
N_FIRST = 2000  # templates, at least, behind the variance of a star's own photons


@dataclass(frozen=True, kw_only=True)
class PosteriorOptions:
    """How hard to try.

    Attributes
    ----------
    n_template : int
        Prior draws shared by all stars.
    n_local : int
        Draws around each star that too few of the shared ones resemble; 0 for none.
    normalise : str
        ``free``: amplitude unknown; ``known``: noise-free median known; ``absolute``:
        magnitude known. The latter two need ``amplitude``.
    seed : int
    noise : NoiseModel
        Terms of the noise; what errs in many pixels at once counts only where the observing
        conditions are given.
    """

    n_template: int = 40_000
    n_local: int = 512
    normalise: str = "free"
    seed: int = 0
    noise: NoiseModel = CALCULATOR


@dataclass(frozen=True, kw_only=True)
class GridPosterior:
    """Posterior moments of every label of every star.

    Attributes
    ----------
    label_names : tuple of str
    mean, var : float64, shape (n_spec, n_label)
        [label, label²].
    half_var : float64, shape (n_spec, n_label)
        Mean of the variances from either half of the draws: shows Monte Carlo bias.
    ess : float64, shape (n_spec,)
        Effective number of templates the moments rest on.
    local : bool, shape (n_spec,)
        True where the star was drawn again around its best fit.
    flagged : bool, shape (n_spec,)
        True where even that left too few: the moments are those of the local linear model.
    basis_loss : float
        Largest template error of the reduced basis [σ of the brightest star].
    r2_loss : float
        What the basis costs in R² of the label that loses most; see
        `starsmith.fisher.posterior.basis_loss.basis_r2_loss`.
    exact : bool
        True where the templates are all the stars that a population has.
    quadrature : bool
        True where no template was drawn: ``ess`` then counts points, whose number is enough.
    unseen : float64, shape (n_spec, n_label), optional
        Mean over the rows of a table that are not the star's own, or under a box as wide as
        the table where that should err less [label].
    """

    label_names: tuple[str, ...]
    mean: np.ndarray
    var: np.ndarray
    half_var: np.ndarray
    ess: np.ndarray
    local: np.ndarray
    flagged: np.ndarray
    basis_loss: float
    r2_loss: float
    exact: bool = False
    quadrature: bool = False
    unseen: np.ndarray | None = None

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance and effective number of templates for one label, each (n_spec,)."""
        k = self.label_names.index(name)
        return self.mean[:, k], self.var[:, k], self.ess


def amplitude_limits(
    prior: Prior, normalise: str, amplitude: np.ndarray | None, n: int
) -> np.ndarray:
    """Low, high and known amplitude of each star relative to a template, float64 (n, 3).

    ``amplitude`` is the noise-free median flux for ``known``, the magnitude for ``absolute``.
    """
    faint_to_bright = np.sort(np.asarray(prior.ranges["mag"]))[::-1]
    low, high = 10.0 ** (-0.4 * (faint_to_bright - np.mean(faint_to_bright)))
    limits = np.full((n, 3), np.nan)
    if prior.population is not None:
        if normalise != "free":
            raise ConfigError(
                f"--normalise {normalise}: stars of --population have magnitudes that go with "
                "their labels; drop one of the two"
            )
        limits[:] = 1.0  # a row has its own magnitude
        return limits
    limits[:, 0], limits[:, 1] = low, high
    if normalise == "free" and low == high:
        limits[:, 2] = low
    if normalise == "free":
        return limits
    if amplitude is None:
        raise ConfigError(f"normalise {normalise!r} needs the known amplitude of every star")
    if normalise == "absolute":
        amplitude = 10.0 ** (-0.4 * (np.asarray(amplitude) - np.mean(faint_to_bright)))
    limits[:, 2] = amplitude
    return limits


def _with_fitted_noise(
    bank: Bank,
    basis: Basis,
    stars: Stars,
    fit: Moments,
    conditions: np.ndarray,
    noise: NoiseModel,
) -> Stars:
    """Give each star the noise it would have if it were its own posterior mean, in place.

    A star that nothing fits keeps its variance.
    """
    labels, amplitude = fit.mean, fit.amplitude
    variance, shared = stars.variance, None
    for rows in np.array_split(np.arange(len(stars)), -(-len(stars) // STAR_BLOCK)):
        known = np.isfinite(amplitude[rows])
        flux = stars.flux[rows]
        nodes, weights = spline_weights(bank, labels[rows[known]])
        maggies = np.einsum("ns,ns->n", weights, bank.band_coef[nodes])
        unit = 10.0 ** (-0.4 * basis.mag) / maggies
        flux[known] = combine(bank, nodes, weights * unit[:, None])
        if basis.normalise == "known":
            flux[known] /= np.median(flux[known], axis=1)[:, None]
        flux[known] *= amplitude[rows[known], None]
        fitted, modes = covariance_of(bank.noise, noise, flux, conditions[rows])
        fitted[~known] = variance[rows[~known]]
        variance[rows] = np.where(np.isfinite(variance[rows]), fitted, np.inf)
        if shared is None:
            shared = np.empty((len(stars), *modes.shape[1:]), dtype=np.float32)
        shared[rows] = modes
    return Stars(stars.flux, variance, stars.limits, shared)


@threadpool_limits.wrap(limits=1, user_api="blas")  # its threads would wait, and decide last bits
def posterior_mean(
    bank: Bank,
    prior: Prior,
    flux: np.ndarray,
    error: np.ndarray,
    conditions: np.ndarray | None = None,
    amplitude: np.ndarray | None = None,
    options: PosteriorOptions | None = None,
    own: np.ndarray | None = None,
) -> GridPosterior:
    """Posterior mean and variance of the labels of observed stars.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Labels uniform within its ranges, magnitude uniform, as in the data sets; all labels on
        nodes but one; or the stars of a table, each at its own magnitude.
    flux, error : float arrays, shape (n_spec, n_wave)
        Observed flux and its 1σ error [1e-17 erg/s/cm²/Å]; a pixel is masked where either is not
        finite.
    conditions : float64 array, shape (n_spec, 8), optional
        If given, the variance is refined once: that of the star's own posterior mean, so
        that it carries no noise of the observation. Otherwise ``error`` is taken as it is.
    amplitude : float64 array, shape (n_spec,), optional
        Noise-free median flux for ``known``, magnitude for ``absolute``.
    options : PosteriorOptions, optional
    own : int64 array, shape (n_spec,), optional
        Where stars are those of a table: `TableRows.own`, which asks for ``unseen``.

    Returns
    -------
    posterior : GridPosterior
    """
    options = options or PosteriorOptions()
    check_noise(options.noise)
    variance = np.asarray(error, dtype=np.float64) ** 2
    limits = amplitude_limits(prior, options.normalise, amplitude, len(flux))
    flux, good = np.asarray(flux), np.isfinite(flux) & np.isfinite(variance)
    if not good.all():  # what is under a mask may be any number
        flux, variance = np.where(good, flux, 0.0), np.where(good, variance, np.inf)
    stars = Stars(flux, variance, limits)
    probe = stars.take(np.unique(np.linspace(0, len(stars) - 1, N_BASIS_STAR).astype(int)))
    basis = build_basis(bank, prior, probe, options.normalise, options.seed)
    rows = None if prior.population is None else TableRows.of(bank, prior.population)
    templates = None
    if rows is None:
        few = max(N_FIRST, options.n_template // 8)  # enough for the noise; lines need no more
        count = options.n_template if prior.nodes is None else few
        templates = build_templates(bank, prior, basis, count, options.seed)
    if conditions is not None:
        if rows is None:
            rough = weigh(StarSums.of(basis, stars), templates.take(slice(0, few))).moments()
        else:
            rough = rough_table(bank, basis, rows, stars)
        stars = _with_fitted_noise(bank, basis, stars, rough, conditions, options.noise)
    if rows is not None:
        table = posterior_of_table(bank, basis, rows, stars, own)
        unseen = table.unseen
        if own is not None:
            box = prior.with_population(None)
            other = posterior_mean(bank, box, flux, error, conditions, None, options)
            unseen = np.where(table.unseen_error > other.var, other.mean, unseen)
        return _of_table(bank, basis, table, unseen)
    if prior.nodes is not None:
        return _of_lines(bank, prior, basis, stars, options)
    found = weigh(StarSums.of(basis, stars), templates)
    return _with_local(bank, prior, basis, stars, found, options)


def _of_table(
    bank: Bank, basis: Basis, found: TablePosterior, unseen: np.ndarray | None
) -> GridPosterior:
    """Moments over the rows of a table, which have no Monte Carlo error."""
    mean, var = found.moments.mean[:, :-1], found.moments.var[:, :-1]
    none = np.zeros(len(mean), dtype=bool)
    return GridPosterior(
        label_names=tuple(bank.label_names),
        mean=mean,
        var=var,
        half_var=var,
        ess=found.moments.ess,
        local=none,
        flagged=none,
        basis_loss=basis.loss,
        r2_loss=found.r2_loss,
        exact=True,
        unseen=unseen,
    )


def _of_lines(
    bank: Bank, prior: Prior, basis: Basis, stars: Stars, options: PosteriorOptions
) -> GridPosterior:
    """Moments over lines through the grid's nodes, by quadrature."""
    lines = lines_of(bank, prior)
    found = posterior_on_lines(bank, prior, basis, lines, stars, options.n_template)
    return GridPosterior(
        label_names=tuple(bank.label_names),
        mean=found.mean,
        var=found.var,
        half_var=found.var,
        ess=found.ess,
        local=found.local,
        flagged=found.flagged,
        basis_loss=basis.loss,
        r2_loss=basis_r2_loss(bank, prior, basis, stars, found.mean, found.var),
        quadrature=True,
    )


def _with_local(
    bank: Bank,
    prior: Prior,
    basis: Basis,
    stars: Stars,
    found: Weighing,
    options: PosteriorOptions,
) -> GridPosterior:
    """Replace the moments of stars that too few templates resemble."""
    moments = found.moments()
    mean, var, ess = moments.mean, moments.var, moments.ess
    half_var = np.mean([found.moments(half).var for half in (0, 1)], axis=0)
    weak = ~(ess >= ESS_MIN)
    flagged = weak.copy()
    local = weak if options.n_local else np.zeros_like(weak)
    if local.any():
        start = found.best_labels[local]
        again = redraw(bank, prior, basis, stars.take(local), start, options.n_local, options.seed)
        mean[local], var[local], half_var[local] = again.mean, again.var, again.half_var
        ess[local], flagged[local] = again.ess, again.flagged
    return GridPosterior(
        label_names=tuple(bank.label_names),
        mean=mean,
        var=var,
        half_var=half_var,
        ess=ess,
        local=local,
        flagged=flagged,
        basis_loss=basis.loss,
        r2_loss=basis_r2_loss(bank, prior, basis, stars, mean, var),
    )
