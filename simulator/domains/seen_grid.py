"""A grid as a survey's pixels see it: spectra of any labels, by splines between its nodes."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from starsmith.data_contract.bank.splines import spline_degree, spline_knots
from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.data_contract.kernels.lsf import N_SIGMA, fill_pixel_weights
from starsmith.data_contract.kernels.spline import basis_rows
from starsmith.simulator.rendering.interpolate import prefilter
from starsmith.simulator.rendering.render import nearest_nodes

__all__ = ["SeenGrid", "line_operator", "see_grid"]

NODES_AT_ONCE = 64
STARS_AT_ONCE = 1024
FEW_NODES = 512  # up to which a dense product is the faster one


@dataclass(frozen=True)
class SeenGrid:
    """Spectra of a grid on a survey's pixels.

    Attributes
    ----------
    label_names : tuple of str
    axes : tuple of float64 arrays
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    coef : float64 array, shape (n_node, n_wave)
        Spline coefficients of the flux.
    """

    label_names: tuple[str, ...]
    axes: tuple[np.ndarray, ...]
    wave: np.ndarray
    coef: np.ndarray

    def weights(self, labels: np.ndarray) -> csr_array:
        """Weights of the coefficients in the spectra of some labels, (n_spec, n_node).

        Raises
        ------
        GridError
            If a label leaves the grid.
        """
        labels = np.ascontiguousarray(labels, dtype=np.float64)
        n_spec = len(labels)
        rows, weights = np.zeros((n_spec, 1), dtype=np.int64), np.ones((n_spec, 1))
        for k, (name, nodes) in enumerate(zip(self.label_names, self.axes, strict=True)):
            values = np.ascontiguousarray(labels[:, k])
            if n_spec and not (values.min() >= nodes[0] and values.max() <= nodes[-1]):
                raise GridError(
                    f"{name} {values.min():g}..{values.max():g} leaves the grid, which spans "
                    f"{nodes[0]:g}..{nodes[-1]:g}"
                )
            degree = spline_degree(nodes.size)
            first, along = np.empty(n_spec, dtype=np.int64), np.empty((n_spec, degree + 1))
            basis_rows(spline_knots(nodes), degree, values, False, first, along)
            places = first[:, None] + np.arange(degree + 1)
            shape = n_spec, rows.shape[1] * places.shape[1]
            rows = (rows[:, :, None] * nodes.size + places[:, None, :]).reshape(shape)
            weights = (weights[:, :, None] * along[:, None, :]).reshape(shape)
        start = np.arange(n_spec + 1) * rows.shape[1]
        return csr_array((weights.ravel(), rows.ravel(), start), (n_spec, len(self.coef)))

    def flux(self, labels: np.ndarray, *, alone: bool = True) -> np.ndarray:
        """Noiseless flux of stars, float64 (n_spec, n_wave).

        Each has the bits that it has alone, or ``not alone`` those of a product of matrices,
        which depend on the others and on the processor, in half the time.
        """
        weights = self.weights(labels)
        if alone:
            return weights @ self.coef
        flux = np.empty((len(labels), self.wave.size))
        for start in range(0, len(labels), STARS_AT_ONCE):
            some = weights[start : start + STARS_AT_ONCE]
            nodes = np.unique(some.indices)
            if nodes.size <= FEW_NODES:
                part = some[:, nodes].toarray() @ self.coef[nodes]
            else:
                part = some @ self.coef
            flux[start : start + STARS_AT_ONCE] = part
        return flux


def pixel_edges(wave: np.ndarray) -> np.ndarray:
    """Edges half way between neighbouring pixels, (n_wave + 1,)."""
    middle = 0.5 * (wave[1:] + wave[:-1])
    return np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])


def line_operator(
    grid_wave: np.ndarray, resolution: float, wave: np.ndarray, fwhm: np.ndarray
) -> csr_array:
    """Matrix from a grid's samples to pixel means behind a Gaussian line profile.

    Parameters
    ----------
    grid_wave : float64 array, shape (n_grid,)
        Increasing [vacuum Å].
    resolution : float
        wave / FWHM of the profile that the grid's spectra carry already.
    wave, fwhm : float64 arrays, shape (n_wave,)
        Centres of the pixels, and the width of lines there [Å].

    Raises
    ------
    GridError
        If the grid does not cover the pixels, or is broader than the profile.
    """
    own = grid_wave[np.clip(np.searchsorted(grid_wave, wave), 0, grid_wave.size - 1)] / resolution
    left = np.square(fwhm) - np.square(own)
    if not (left > 0).all():
        raise GridError(
            f"the grid's lines are {own.max():.3f} Å wide, the survey's {fwhm.min():.3f} Å: choose "
            "a sharper grid"
        )
    sigma = FWHM_TO_SIGMA * np.sqrt(left)
    edge = pixel_edges(wave)
    low, high = edge[0] - N_SIGMA * sigma[0], edge[-1] + N_SIGMA * sigma[-1]
    if grid_wave[0] > low or grid_wave[-1] < high:
        raise GridError(
            f"the grid covers {grid_wave[0]:.0f}-{grid_wave[-1]:.0f} Å, the survey's pixels need "
            f"{low:.0f}-{high:.0f} Å; cut the survey, or give a wider --grid"
        )
    step = np.diff(grid_wave)
    cell = 0.5 * (np.append(step, 0.0) + np.insert(step, 0, 0.0))
    first = np.searchsorted(grid_wave, edge[:-1] - N_SIGMA * sigma)
    count = np.searchsorted(grid_wave, edge[1:] + N_SIGMA * sigma, side="right") - first
    start = np.concatenate([[0], np.cumsum(count)])
    weight = np.empty(start[-1])
    fill_pixel_weights(weight, first, count, start[:-1], edge, sigma, grid_wave, cell)
    column = np.arange(start[-1]) - np.repeat(start[:-1] - first, count)
    return csr_array((weight, column, start), shape=(wave.size, grid_wave.size))


def see_grid(
    grid: GridData, wave: np.ndarray, fwhm: np.ndarray, log_flux: np.ndarray | None = None
) -> SeenGrid:
    """Render every node of a grid to pixels.

    Parameters
    ----------
    grid : GridData
    wave, fwhm : float64 arrays, shape (n_wave,)
        Centres of the pixels, increasing, and the width of lines there [Å].
    log_flux : float array, shape (n_node, n_grid), optional
        Added to the natural logarithm of the nodes' flux before the line profile.

    Raises
    ------
    GridError
        If the grid does not cover the pixels.
    """
    operator = line_operator(grid.wave, grid.resolution, wave, fwhm)
    axes = tuple(np.asarray(nodes, dtype=np.float64) for nodes in grid.axes.values())
    spectra = grid.flux.reshape(-1, grid.wave.size)
    source = nearest_nodes(axes, grid.valid).ravel()
    seen = np.empty((len(spectra), wave.size))
    for start in range(0, len(spectra), NODES_AT_ONCE):
        some = source[start : start + NODES_AT_ONCE]
        flux = spectra[some].astype(np.float64)
        if log_flux is not None:
            flux *= np.exp(log_flux[some])
        seen[start : start + NODES_AT_ONCE] = (operator @ flux.T).T
    seen /= np.median(seen)
    coef = prefilter(seen.reshape(*grid.valid.shape, -1), axes).reshape(seen.shape)
    return SeenGrid(tuple(grid.axes), axes, wave, coef)
