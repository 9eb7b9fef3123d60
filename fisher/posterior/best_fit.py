"""The template that fits best: a coarse grid, then a simplex on the spline.

The method of Appendix H of the SpecViT paper: χ² with the amplitude solved for (its eq. H.2),
every second node of the grid, then Nelder & Mead (1965) from the best of them with templates
interpolated at every step. All stars walk side by side, in the short coordinates of
`starsmith.fisher.posterior.basis`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.fisher.information.crlb import crlb_from_gram
from starsmith.fisher.kernels.posterior import fill_misfit
from starsmith.fisher.posterior.basis import Basis, Stars, build_basis
from starsmith.fisher.posterior.importance_sampling import ShortStars
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import spline_weights, touches_filled

__all__ = ["BestFit", "FitOptions", "best_fit", "nelder_mead"]

BLOCK = 128  # stars walked together
N_BASIS_STAR = 400  # behind the basis
EDGE = 1e-6  # of a node spacing
WALKS = (1.0, 0.5, 0.5)  # fresh simplices follow: one that met a face may have gone flat
REFLECT, EXPAND, CONTRACT, SHRINK = 1.0, 2.0, 0.5, 0.5  # Nelder & Mead (1965)


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How the fit is done.

    Attributes
    ----------
    every : int
        The coarse grid takes every second (third, ...) node along each axis.
    iterations : int
        Most steps of a simplex; each star has three in turn.
    tolerance : float
        Size of the simplex at which it has converged [node spacings].
    seed : int
        Of the spectra the basis is built from.
    """

    every: int = 2  # every second node along each label starts a walk
    iterations: int = 200  # at most, of one walk
    tolerance: float = 1e-3  # of a node spacing
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class BestFit:
    """Best templates of observed stars.

    Attributes
    ----------
    label_names : tuple of str
    labels : float64, shape (n_spec, n_label)
        NaN where the fit failed.
    sigma : float64, shape (n_spec, n_label)
        Cramér-Rao 1σ at the fit, amplitude and all labels free; inf where the spectrum
        says nothing, zero for a label the prior fixes.
    chi2_gain : float64, shape (n_spec,)
        χ² of no star at all less that of the fit.
    failed : bool, shape (n_spec,)
        True where the simplex did not converge, or no template fits with positive amplitude.
    at_edge : bool, shape (n_spec,)
        True where a label ended on the edge of the prior.
    """

    label_names: tuple[str, ...]
    labels: np.ndarray
    sigma: np.ndarray
    chi2_gain: np.ndarray
    failed: np.ndarray
    at_edge: np.ndarray


@dataclass(frozen=True)
class _Space:
    """Labels that vary, in units of node spacings within the prior's box.

    ``low``, ``step`` (n_label,); ``free`` (n_free,) columns; ``top`` (n_free,) [spacings].
    """

    low: np.ndarray
    step: np.ndarray
    free: np.ndarray
    top: np.ndarray

    @classmethod
    def of(cls, bank: Bank, prior: Prior) -> "_Space":
        ranges = np.array([prior.ranges[name] for name in bank.label_names])
        step = np.array([np.median(np.diff(nodes)) for nodes in bank.axes])
        free = np.flatnonzero(ranges[:, 1] > ranges[:, 0])
        return cls(ranges[:, 0], step, free, (np.ptp(ranges, axis=1) / step)[free])

    def labels(self, place: np.ndarray) -> np.ndarray:
        """Labels (..., n_label) at places (..., n_free)."""
        labels = np.broadcast_to(self.low, (*place.shape[:-1], self.low.size)).copy()
        labels[..., self.free] += place * self.step[self.free]
        high = self.low[self.free] + self.top * self.step[self.free]
        labels[..., self.free] = np.clip(labels[..., self.free], self.low[self.free], high)
        return labels


def _coarse_places(bank: Bank, prior: Prior, space: _Space, every: int) -> np.ndarray:
    """Every so many nodes inside the prior, float64 (n_node, n_free) [spacings]."""
    along = []
    for k in space.free:
        low, high = prior.ranges[bank.label_names[k]]
        nodes = bank.axes[k][(bank.axes[k] >= low) & (bank.axes[k] <= high)]
        nodes = nodes if nodes.size else np.array([0.5 * (low + high)])
        along.append((nodes[::every] - low) / space.step[k])
    places = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, space.free.size)
    if bank.filled.any():
        places = places[~touches_filled(bank, space.labels(places))]
    return places


def _misfit(cross: np.ndarray, square: np.ndarray) -> np.ndarray:
    """χ² of a template less that of none: -S1²/S2; positive where the amplitude is negative."""
    # χ² gain with the best amplitude, which may not be negative
    return -cross * np.abs(cross) / square


def nelder_mead(
    misfit: Callable[[np.ndarray, np.ndarray], np.ndarray],
    simplex: np.ndarray,
    top: np.ndarray,
    iterations: int,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimise many functions side by side inside a box, Nelder & Mead (1965).

    Steps out of the box end on its face.

    Parameters
    ----------
    misfit : callable
        ``misfit(rows, places)`` -> (n_rows,): functions ``rows`` at ``places`` (n_rows, n_free).
    simplex : float64 array, shape (n_spec, n_free + 1, n_free)
        Corners to start from; overwritten.
    top : float64 array, shape (n_free,)
        The box is 0..top.
    iterations : int
    tolerance : float
        Largest extent of a simplex that has converged.

    Returns
    -------
    place : float64 array, shape (n_spec, n_free)
    least : float64 array, shape (n_spec,)
    converged : bool array, shape (n_spec,)
    """
    n_spec, n_corner, _ = simplex.shape
    every = np.arange(n_spec)
    values = np.stack([misfit(every, simplex[:, k]) for k in range(n_corner)], axis=1)
    active = every
    for _ in range(iterations):
        order = np.argsort(values[active], axis=1, kind="stable")
        values[active] = np.take_along_axis(values[active], order, axis=1)
        simplex[active] = np.take_along_axis(simplex[active], order[:, :, None], axis=1)
        # largest distance from the best corner
        extent = np.abs(simplex[active, 1:] - simplex[active, :1]).max(axis=(1, 2))
        active = active[extent > tolerance]
        if not active.size:
            break
        _step(misfit, simplex, values, active, top)
    best = values.argmin(axis=1)
    extent = np.abs(simplex - simplex[every, best][:, None]).max(axis=(1, 2))
    return simplex[every, best], values[every, best], extent <= tolerance


def _step(
    misfit: Callable, simplex: np.ndarray, values: np.ndarray, active: np.ndarray, top: np.ndarray
) -> None:
    """One move of every active simplex, corners sorted from best to worst."""
    centre = simplex[active, :-1].mean(axis=1)
    worst = simplex[active, -1]  # corners are sorted by misfit
    reflected = np.clip(centre + REFLECT * (centre - worst), 0.0, top)
    found = misfit(active, reflected)
    best, second, last = values[active, 0], values[active, -2], values[active, -1]

    place, value = reflected, found
    further = found < best
    outside = (found >= second) & (found < last)  # contract towards the reflected corner
    inside = found >= last  # or towards the worst
    reach = np.where(further, EXPAND, np.where(inside, -CONTRACT, CONTRACT))
    again = further | outside | inside  # who needs a second look
    second_place = np.clip(centre + reach[:, None] * (centre - worst), 0.0, top)
    second_value = np.full(active.size, np.inf)
    if again.any():
        second_value[again] = misfit(active[again], second_place[again])
    take = np.where(further, second_value < found, second_value <= np.minimum(found, last)) & again
    place = np.where(take[:, None], second_place, place)
    value = np.where(take, second_value, value)
    shrunk = (outside | inside) & ~take
    kept = ~shrunk
    simplex[active[kept], -1], values[active[kept], -1] = place[kept], value[kept]
    rows = active[shrunk]
    if rows.size:
        anchor = simplex[rows, :1]  # all corners move towards the best
        simplex[rows] = anchor + SHRINK * (simplex[rows] - anchor)
        for k in range(1, simplex.shape[1]):
            values[rows, k] = misfit(rows, simplex[rows, k])


def _start_simplex(place: np.ndarray, top: np.ndarray, spacing: float) -> np.ndarray:
    """Corners a fraction of a node spacing from a place along each axis, towards the middle."""
    n_free = place.shape[1]
    simplex = np.repeat(place[:, None, :], n_free + 1, axis=1)
    size = np.minimum(spacing, 0.5 * top)  # a simplex must fit into the box
    for k in range(n_free):
        # inwards, away from the nearer face
        simplex[:, k + 1, k] += np.where(place[:, k] > 0.5 * top[k], -size[k], size[k])
    return simplex


def _fit_block(
    bank: Bank, basis: Basis, space: _Space, stars: Stars, coarse: np.ndarray, options: FitOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    short = ShortStars.of(basis, stars)
    templates = basis.project(bank, space.labels(coarse))
    # a view: every star meets every template
    square = short.squares(np.broadcast_to(templates, (len(stars), *templates.shape)))
    start = coarse[_misfit(short.cross @ templates.T, square).argmin(axis=1)]

    def misfit(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        nodes, weights = spline_weights(bank, space.labels(places))
        found = np.empty(len(rows))
        fill_misfit(found, nodes, weights, basis.node_modes, short.cross, short.gram, rows)
        return found

    place = start
    for spacing in WALKS:
        place, least, converged = nelder_mead(
            misfit,
            _start_simplex(place, space.top, spacing),
            space.top,
            options.iterations,
            options.tolerance,
        )
    labels = space.labels(place)
    edge = np.any((place <= EDGE) | (place >= space.top - EDGE), axis=1)
    return labels, least, converged, edge


def _sigmas(
    bank: Bank, basis: Basis, space: _Space, stars: Stars, labels: np.ndarray
) -> np.ndarray:
    """Cramér-Rao 1σ of every label at its fit, float64 (n_spec, n_label)."""
    short = ShortStars.of(basis, stars)
    names = tuple(bank.label_names[k] for k in space.free)
    template, slopes = basis.coordinates(bank, labels, names)
    cross = np.sum(short.cross * template, axis=1)
    scale = cross / np.einsum("nr,nrs,ns->n", template, short.gram, template)
    columns = np.concatenate([scale[:, None, None] * slopes, template[:, None, :]], axis=1)
    gram = columns @ short.gram @ columns.transpose(0, 2, 1)
    sigma = np.zeros_like(labels)
    for column, k in enumerate(space.free):
        sigma[:, k] = np.sqrt(crlb_from_gram(gram, column).sigma2)
    return sigma


@threadpool_limits.wrap(limits=1, user_api="blas")  # matrices so small that threads only wait
def best_fit(
    bank: Bank,
    prior: Prior,
    flux: np.ndarray,
    error: np.ndarray,
    options: FitOptions | None = None,
) -> BestFit:
    """Find the template nearest to each star in χ², amplitude free.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Its label ranges bound the search; nothing in it weighs a template.
    flux, error : float arrays, shape (n_spec, n_wave)
        Observed flux and 1σ [1e-17 erg/s/cm²/Å]; infinite error masks a pixel.
    options : FitOptions, optional

    Returns
    -------
    fit : BestFit
    """
    options = options or FitOptions()
    variance = np.asarray(error, dtype=np.float64) ** 2
    stars = Stars(np.asarray(flux, dtype=np.float64), variance, np.full((len(flux), 3), np.nan))
    probe = np.unique(np.linspace(0, len(stars) - 1, N_BASIS_STAR).astype(int))
    basis = build_basis(bank, prior, stars.take(probe), "free", options.seed)
    space = _Space.of(bank, prior)
    coarse = _coarse_places(bank, prior, space, options.every)
    blocks = []
    for start in range(0, len(stars), BLOCK):
        some = stars.take(slice(start, start + BLOCK))
        labels, least, converged, edge = _fit_block(bank, basis, space, some, coarse, options)
        blocks.append((labels, _sigmas(bank, basis, space, some, labels), least, converged, edge))
    labels, sigma, least, converged, edge = (
        np.concatenate(parts) for parts in zip(*blocks, strict=True)
    )
    failed = ~converged | ~(least < 0.0)
    labels[failed], sigma[failed] = np.nan, np.nan
    return BestFit(
        label_names=tuple(bank.label_names),
        labels=labels,
        sigma=sigma,
        chi2_gain=-least,
        failed=failed,
        at_edge=edge & ~failed,
    )
