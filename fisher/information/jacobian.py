"""Derivatives of spectra with respect to labels and amplitude, at stars and at nodes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline, CubicSpline

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.rendering.interpolate import (
    combine,
    spline_degree,
    spline_knots,
    spline_weights,
)

__all__ = [
    "DERIVATIVES",
    "NORMALISE",
    "Columns",
    "along_axis",
    "derivative_matrix",
    "label_columns",
    "median_slope",
    "node_flux",
]

NORMALISE = ("free", "known", "absolute")
"""What is known of the amplitude: nothing; the noise-free median flux; the magnitude."""

DERIVATIVES = ("spline", "grid")
"""Slopes at nodes: of the not-a-knot cubic spline; of the parabola through three nodes."""


@dataclass(frozen=True)
class Columns:
    """Spectra and their derivatives.

    Attributes
    ----------
    names : tuple of str
        Labels first, then nuisances.
    values : float64, shape (n_spec, n_column, n_wave)
        Derivative with respect to each [flux/label].
    flux : float64, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å].
    """

    names: tuple[str, ...]
    values: np.ndarray
    flux: np.ndarray

    def extended(self, name: str, columns: np.ndarray) -> "Columns":
        """Append nuisance columns, shape (n_spec, n_extra, n_wave), named name_0, name_1..."""
        extra = columns.shape[1]
        names = (name,) if extra == 1 else tuple(f"{name}_{k}" for k in range(extra))
        values = np.concatenate([self.values, columns], axis=1)
        return Columns((*self.names, *names), values, self.flux)

    def without(self, names: Sequence[str]) -> "Columns":
        """Leave out columns that are known."""
        kept = [k for k, name in enumerate(self.names) if name not in names]
        if len(kept) == len(self.names):
            return self
        return Columns(tuple(self.names[k] for k in kept), self.values[:, kept], self.flux)

    def at_pixels(self, pixels: slice) -> "Columns":
        """Keep some pixels."""
        return Columns(self.names, self.values[..., pixels], self.flux[..., pixels])

    @property
    def shared(self) -> np.ndarray:
        """Columns of noise that errs in many pixels at once, (n_spec, n_shared, n_wave)."""
        kept = [k for k, name in enumerate(self.names) if name.startswith("shared")]
        return self.values[:, kept]


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"--{option} {value!r} is not one of {', '.join(known)}")


def median_slope(flux: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Derivative of the median over pixels, float64 (n_spec, n_column).

    Parameters
    ----------
    flux : float array, shape (n_spec, n_wave)
    slopes : float array, shape (n_spec, n_column, n_wave)
    """
    n_wave = flux.shape[1]
    middle = [(n_wave - 1) // 2, n_wave // 2]
    pixels = np.argpartition(flux, middle, axis=1)[:, middle]
    return np.take_along_axis(slopes, pixels[:, None, :], axis=2).mean(axis=2)


def normalised_columns(
    names: tuple[str, ...], flux: np.ndarray, slopes: np.ndarray, normalise: str
) -> Columns:
    """Express what is known of the amplitude as a column, or as a change of slope.

    Parameters
    ----------
    names : tuple of str
    flux : float64 array, shape (n_spec, n_wave)
    slopes : float64 array, shape (n_spec, n_label, n_wave)
        At fixed magnitude.
    normalise : str
        ``free`` adds the flux itself as nuisance ``amplitude``; ``known`` differentiates
        flux / median(flux) and scales back; ``absolute`` leaves all as it is.
    """
    _check("normalise", normalise, NORMALISE)
    if normalise == "known":
        relative = median_slope(flux, slopes) / np.median(flux, axis=1)[:, None]
        slopes = slopes - flux[:, None, :] * relative[:, :, None]
    columns = Columns(names, slopes, flux)
    return columns.extended("amplitude", flux[:, None, :]) if normalise == "free" else columns


def label_columns(
    bank: Bank, labels: np.ndarray, mag: np.ndarray, names: tuple[str, ...], normalise: str = "free"
) -> Columns:
    """Analytic derivatives through the bank's spline.

    Parameters
    ----------
    bank : Bank
    labels : float64 array, shape (n_spec, n_label)
        In ``bank.label_names`` order.
    mag : float64 array, shape (n_spec,)
    names : tuple of str
        Labels to differentiate with respect to; the others are known.
    normalise : str
        One of `NORMALISE`.

    Returns
    -------
    columns : Columns
    """
    rows, weights = spline_weights(bank, labels)
    maggies = np.einsum("ns,ns->n", weights, bank.band_coef[rows])
    scale = 10.0 ** (-0.4 * np.asarray(mag, dtype=np.float64)) / maggies
    flux = combine(bank, rows, weights * scale[:, None]).astype(np.float64)
    slopes = np.empty((len(flux), len(names), flux.shape[1]))
    for k, name in enumerate(names):
        _, along = spline_weights(bank, labels, derivative=name)
        band = np.einsum("ns,ns->n", along, bank.band_coef[rows]) / maggies
        slopes[:, k] = combine(bank, rows, along * scale[:, None]) - band[:, None] * flux
    return normalised_columns(tuple(names), flux, slopes, normalise)


def derivative_matrix(nodes: np.ndarray, derivative: str = "spline") -> np.ndarray:
    """Matrix that turns node values into slopes at the nodes.

    Parameters
    ----------
    nodes : float64 array, shape (n_node,)
        Increasing, any steps.
    derivative : str
        ``spline``: not-a-knot cubic, error of fourth order in the step; ``grid``: parabola
        through the node and its neighbours (the nearest two at an edge), second order.

    Returns
    -------
    matrix : float64 array, shape (n_node, n_node) [1/label]
    """
    _check("derivative", derivative, DERIVATIVES)
    n = nodes.size
    if n == 1:
        return np.zeros((1, 1))
    if derivative == "spline" or n == 2:
        return CubicSpline(nodes, np.eye(n), bc_type="not-a-knot")(nodes, 1)
    matrix = np.zeros((n, n))
    for i in range(n):
        first = min(max(i - 1, 0), n - 3)
        a, b, c = nodes[first : first + 3]
        x = nodes[i]
        matrix[i, first : first + 3] = (
            (2 * x - b - c) / ((a - b) * (a - c)),
            (2 * x - a - c) / ((b - a) * (b - c)),
            (2 * x - a - b) / ((c - a) * (c - b)),
        )
    return matrix


def along_axis(matrix: np.ndarray, values: np.ndarray, axis: int) -> np.ndarray:
    """Apply a matrix along one axis of ``values``."""
    return np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)


def node_flux(bank: Bank) -> np.ndarray:
    """Spectra of the nodes at magnitude zero: the inverse of the bank's prefilter.

    Returns
    -------
    flux : float32 array, shape (n_1, n_2, ..., n_wave) [1e-17 erg/s/cm²/Å]
    """
    shape = tuple(nodes.size for nodes in bank.axes)
    flux = bank.pixel_coef.reshape(*shape, -1)
    band = bank.band_coef.reshape(*shape, 1)
    for k, nodes in enumerate(bank.axes):
        degree = spline_degree(nodes.size, bank.degree)
        if degree == 0:
            continue
        values = BSpline.design_matrix(nodes, spline_knots(nodes, bank.degree), degree).toarray()
        flux = along_axis(values.astype(np.float32), flux, k)
        band = along_axis(values, band, k)
    return flux / band.astype(np.float32)
