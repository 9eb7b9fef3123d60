"""Spectra as a few numbers each, by one projection for all stars: z = B (w y).

w is one over the typical noise of a pixel, the rows of B are orthonormal: the leading principal
components of whitened templates, or the directions of their scores. The weights do not depend
on the star, so the noise of z is a linear map of the noise of y, and can be drawn without y.
"""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import covariance_of
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.fisher.information.jacobian import label_columns
from starsmith.fisher.posterior.basis import leading_modes, template_draws
from starsmith.fisher.posterior.spline_cells import (
    MovingAxes,
    SplineAxes,
    axes_of,
    combine_nodes,
    find_cells,
)
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import flux_of
from starsmith.simulator.rendering.velocity_shift import shift_to_pixels, tables_for

__all__ = [
    "METHODS",
    "RESIDUAL",
    "SAMPLE",
    "Compression",
    "build_compression",
    "compression_loss",
    "residual_prior",
    "without_band",
]

METHODS = ("pca", "moped")
"""Leading components of templates; or scores at the middle of the prior, one a parameter."""

SAMPLE = 2**30  # first of the template draws that a basis is built from
RESIDUAL = 30.0
"""Largest velocity of a star in the frame that its spectrum is compressed in [km/s]."""

N_SAMPLE = 1200
N_LOSS = 100
NODE_BLOCK = 4096


@dataclass(frozen=True)
class Compression:
    """One projection for all spectra.

    Attributes
    ----------
    weight : float64, shape (n_wave,)
        1 / typical σ of a pixel [1/flux].
    modes : float64, shape (n_mode, n_wave)
        Orthonormal rows B.
    node_modes : float32, shape (n_node, n_mode + 1), or (n_node, N_TERM * (n_mode + 1))
        Bank coefficients, whitened and projected; last those of the band. Of stars that move,
        series in their residual velocity.
    axes : SplineAxes or MovingAxes
    """

    weight: np.ndarray
    modes: np.ndarray
    node_modes: np.ndarray
    axes: SplineAxes | MovingAxes

    @property
    def shape_nodes(self) -> np.ndarray:
        """Node vectors without the band's column."""
        return without_band(self.node_modes, len(self.modes))

    def project(self, flux: np.ndarray) -> np.ndarray:
        """Coefficients z = B (w y) of spectra (n_spec, n_wave), float (n_spec, n_mode)."""
        return flux @ (self.modes * self.weight).T.astype(flux.dtype)

    def labels_of(self, draws: Draws) -> np.ndarray:
        """Labels of drawn stars along its axes, float64 (n_spec, n_label)."""
        moving = isinstance(self.axes, MovingAxes)
        return np.column_stack([draws.labels, draws.rv]) if moving else draws.labels

    def templates(self, labels: np.ndarray, mag: np.ndarray) -> np.ndarray:
        """Coefficients of noiseless stars, float64 (n_spec, n_mode), by the bank's own spline."""
        found = combine_nodes(self.axes, find_cells(self.axes, labels), self.node_modes, labels)
        return found[:, :-1] * (10.0 ** (-0.4 * mag) / found[:, -1])[:, None]


def without_band(node_modes: np.ndarray, n_mode: int) -> np.ndarray:
    """Node vectors without the band's column, (n_node, n_mode) or (n_node, N_TERM * n_mode)."""
    n_node = len(node_modes)
    return node_modes.reshape(n_node, -1, n_mode + 1)[:, :, :-1].reshape(n_node, -1)


def residual_prior(prior: Prior) -> Prior:
    """The same stars in the frames of their spectra: moving ones by `RESIDUAL` at most."""
    if not any(prior.ranges.get("rv", (0.0, 0.0))):
        return prior
    return prior.with_ranges(rv=(-RESIDUAL, RESIDUAL))


def build_compression(
    bank: Bank,
    prior: Prior,
    n_mode: int = 64,
    method: str = "pca",
    noise: NoiseModel = CALCULATOR,
    seed: int = 0,
) -> Compression:
    """Find the projection for the stars of a prior.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Where its stars move, those of every frame; see `residual_prior`.
    n_mode : int
        Of ``pca``; ``moped`` has one for each varying label and one for the amplitude.
    method : str
        One of `METHODS`. MOPED: Heavens, Jimenez & Lahav 2000; as scores, Alsing & Wandelt 2018.
    noise : NoiseModel
    seed : int
        Of the sample.
    """
    if method not in METHODS:
        raise ConfigError(f"compression {method!r} is not one of {', '.join(METHODS)}")
    prior = residual_prior(prior)
    draws = template_draws(bank, prior, seed, SAMPLE, N_SAMPLE)
    flux = flux_of(bank, draws).astype(np.float64)
    variance, shared = covariance_of(bank.noise, noise, flux, draws.conditions)
    weight = np.exp(-0.5 * np.mean(np.log(variance + np.sum(shared**2, axis=1)), axis=0))
    if method == "pca":
        flux *= 10.0 ** (0.4 * (draws.mag - np.mean(prior.ranges["mag"])))[:, None]
        modes = leading_modes(flux * weight, 0.0)[:n_mode]
    else:
        modes = _scores(bank, prior, weight)
    axes: SplineAxes | MovingAxes = axes_of(bank)
    if not any(prior.ranges.get("rv", (0.0, 0.0))):
        nodes = _projected_nodes(bank, weight, modes, None)
    else:
        axes = MovingAxes(axes, RESIDUAL)
        nodes = axes.series(
            np.stack([_projected_nodes(bank, weight, modes, rv) for rv in axes.velocities])
        )
    return Compression(weight, modes, nodes.astype(np.float32), axes)


def _projected_nodes(
    bank: Bank, weight: np.ndarray, modes: np.ndarray, rv: float | None
) -> np.ndarray:
    """Bank coefficients at a velocity, whitened and projected; last those of the band."""
    blocks = [
        (_node_rows(bank, slice(start, start + NODE_BLOCK), rv) * weight) @ modes.T
        for start in range(0, len(bank.coef), NODE_BLOCK)
    ]
    return np.column_stack([np.concatenate(blocks), bank.band_coef])


def _node_rows(bank: Bank, rows: slice, rv: float | None) -> np.ndarray:
    if rv is None:
        return bank.coef[rows] if bank.basis is None else bank.coef[rows] @ bank.basis
    tables = tables_for(bank, np.array([rv]))
    coef = tables.coef[rows] if tables.basis is None else tables.coef[rows] @ tables.basis
    return shift_to_pixels(tables, coef.astype(np.float32), np.full(len(coef), rv))


def _scores(bank: Bank, prior: Prior, weight: np.ndarray) -> np.ndarray:
    """Orthonormal span of the whitened derivatives ∂m/∂θ at the middle of the prior."""
    middle = np.array([[np.mean(prior.ranges[name]) for name in (*bank.label_names, "mag")]])
    columns = label_columns(bank, middle[:, :-1], middle[:, -1], _varying(bank, prior))
    span, _ = np.linalg.qr((columns.values[0] * weight).T)
    return np.ascontiguousarray(span.T)


def _varying(bank: Bank, prior: Prior) -> tuple[str, ...]:
    return tuple(n for n in bank.label_names if prior.ranges[n][1] > prior.ranges[n][0])


def compression_loss(
    bank: Bank,
    prior: Prior,
    compression: Compression,
    noise: NoiseModel = CALCULATOR,
    seed: int = 1,
    n_star: int = N_LOSS,
) -> np.ndarray:
    """Posterior variance given the coefficients over that given the pixels.

    Both are those of the local linear model, (Jᵀ C⁻¹ J + P)⁻¹, with the prior's variance in P
    and the amplitude free: once with C of all pixels, once with B w C w Bᵀ of the coefficients.

    Returns
    -------
    ratio : float64 array, shape (n_star, n_label)
        1 or more, for the labels that vary.
    """
    names = _varying(bank, prior)
    draws = template_draws(bank, prior, seed, 2 * SAMPLE - n_star, n_star)
    columns = label_columns(bank, draws.labels, draws.mag, names)
    variance, shared = covariance_of(bank.noise, noise, columns.flux, draws.conditions)
    width = np.array([np.ptp(prior.ranges[name]) for name in names])
    precision = np.diag([*(12.0 / width**2), 0.0])  # of a uniform distribution
    ratio = np.empty((n_star, len(names)))
    for k, slopes in enumerate(columns.values):
        whitened = np.diag(variance[k]) + shared[k].T @ shared[k] if len(shared[k]) else None
        pixels = (
            slopes / variance[k] @ slopes.T
            if whitened is None
            else slopes @ np.linalg.solve(whitened, slopes.T)
        )
        short = (slopes * compression.weight) @ compression.modes.T
        rows = compression.modes * compression.weight
        covariance = (rows * variance[k]) @ rows.T + (rows @ shared[k].T) @ (rows @ shared[k].T).T
        features = short @ np.linalg.solve(covariance, short.T)
        both = [np.diag(np.linalg.inv(one + precision))[:-1] for one in (features, pixels)]
        ratio[k] = both[0] / both[1]
    return ratio
