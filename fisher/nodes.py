"""The published statistic: bounds at grid nodes under one set of conditions."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.names import CONDITIONS
from starsmith.fisher.information import crlb_from_gram
from starsmith.fisher.jacobian import along_axis, derivative_matrix, node_flux
from starsmith.fisher.variance import variance_line
from starsmith.simulator.prior import Prior

__all__ = ["NodeSpectra", "middle_conditions", "node_spectra", "step_error"]

TILE = 256  # pixels
N_PROBE = 150
MAGS = np.arange(8.0, 30.0, 0.25)  # ln(S/N) bends by 1e-3 between neighbours


def middle_conditions(prior: Prior) -> np.ndarray:
    """Middle of the prior's observing conditions, float64 (1, 8)."""
    middle = np.array([[np.mean(prior.ranges[name]) for name in CONDITIONS]])
    count = CONDITIONS.index("exp_count")
    middle[0, count] = np.floor(middle[0, count])
    return middle


@dataclass(frozen=True)
class NodeSpectra:
    """Nodes of a bank inside a prior, and their derivatives with respect to labels.

    Attributes
    ----------
    labels : float64, shape (n_node, n_label)
    names : tuple of str
        Labels that vary.
    flux : float32, shape (n_1, ..., n_wave)
        All nodes at magnitude zero, or divided by their medians.
    unit : float64, shape (n_node,)
        Flux at magnitude zero of one unit of ``flux``.
    inside : bool, shape (n_1 n_2 ...,)
        Nodes that exist and lie in the prior; ``labels`` and ``unit`` are theirs.
    matrices : tuple of (int, float64 array)
        Axis and derivative matrix of each varying label.
    free_amplitude : bool
    floor, slope : float64, shape (n_wave,)
        Variance = floor + slope x flux, under the conditions of all nodes.
    """

    labels: np.ndarray
    names: tuple[str, ...]
    flux: np.ndarray
    unit: np.ndarray
    inside: np.ndarray
    matrices: tuple[tuple[int, np.ndarray], ...]
    free_amplitude: bool
    floor: np.ndarray
    slope: np.ndarray

    def variance(self, target: str) -> float:
        """Variance of a label over the nodes, each counting once."""
        return float(self.labels[:, self.names.index(target)].var())

    def _at_mag(self, flux: np.ndarray, unit: np.ndarray, mag: float) -> np.ndarray:
        return flux * (unit * 10.0 ** (-0.4 * mag))[:, None]

    def snr(self, mag: float, nodes: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Median signal-to-noise per pixel of each node at one magnitude."""
        flat = self.flux.reshape(self.inside.size, -1)[np.flatnonzero(self.inside)[nodes]]
        flux = self._at_mag(flat.astype(np.float64), self.unit[nodes], mag)
        noise = np.sqrt(self.floor + self.slope * np.maximum(flux, 0.0))
        return np.median(flux / noise, axis=1)

    def magnitude_at(self, snr: np.ndarray) -> np.ndarray:
        """Magnitudes at which the median node has these signal-to-noise ratios."""
        step = max(1, len(self.unit) // N_PROBE)
        some = slice(None, None, step)
        curve = np.array([np.median(self.snr(mag, some)) for mag in MAGS])
        return np.interp(-np.log(snr), -np.log(curve), MAGS)

    def gram(self, mags: np.ndarray) -> np.ndarray:
        """Information matrices at each magnitude, float64 (n_mag, n_node, n_column, n_column).

        Columns are the labels that vary, then a free amplitude.
        """
        n_column = len(self.names) + self.free_amplitude
        gram = np.zeros((len(mags), len(self.unit), n_column, n_column))
        for start in range(0, self.floor.size, TILE):
            pixels = slice(start, start + TILE)
            tile = self.flux[..., pixels].astype(np.float64)
            n_pixel = tile.shape[-1]
            slopes = [along_axis(matrix, tile, k) for k, matrix in self.matrices]
            slopes += [tile] if self.free_amplitude else []
            columns = np.stack([s.reshape(-1, n_pixel)[self.inside] for s in slopes], axis=1)
            flux = tile.reshape(-1, n_pixel)[self.inside]
            for m, mag in enumerate(mags):
                seen = self._at_mag(flux, self.unit, mag)
                noise = self.floor[pixels] + self.slope[pixels] * np.maximum(seen, 0.0)
                scale = (self.unit * 10.0 ** (-0.4 * mag))[:, None] / np.sqrt(noise)
                whitened = columns * scale[:, None, :]
                gram[m] += whitened @ whitened.transpose(0, 2, 1)
        return gram

    def sigma2(self, target: str, mags: np.ndarray) -> np.ndarray:
        """Cramér-Rao bounds at each magnitude, float64 (n_mag, n_node) [label²]."""
        index = self.names.index(target)
        return np.stack([crlb_from_gram(gram_m, index).sigma2 for gram_m in self.gram(mags)])


def node_spectra(
    bank: Bank,
    prior: Prior,
    normalise: str = "known",
    derivative: str = "grid",
    conditions: np.ndarray | None = None,
) -> NodeSpectra:
    """Prepare the nodes inside a prior for bounds at any magnitude.

    Parameters
    ----------
    bank : Bank
    prior : Prior
    normalise : str
        ``known`` (spectra divided by their noise-free median), ``free`` or ``absolute``.
    derivative : str
        ``grid``: three-point differences between nodes; ``spline``.
    conditions : float64 array, shape (1, 8), optional
        The middle of the prior's ranges by default.

    Returns
    -------
    nodes : NodeSpectra
    """
    flux = node_flux(bank)
    labels = np.stack(np.meshgrid(*bank.axes, indexing="ij"), axis=-1)
    labels = labels.reshape(-1, len(bank.axes))
    ranges = np.array([prior.ranges[name] for name in bank.label_names])
    near = 1e-9 * np.maximum(1.0, np.abs(ranges))
    inside = ~bank.filled & np.all(
        (labels >= ranges[:, 0] - near[:, 0]) & (labels <= ranges[:, 1] + near[:, 1]), axis=1
    )
    if not inside.any():
        raise ConfigError("no grid node lies inside the prior's label ranges; widen them")
    varying = [k for k in range(len(bank.axes)) if np.ptp(labels[inside, k]) > 0.0]
    unit = np.ones(inside.size)
    if normalise == "known":
        median = np.median(flux.reshape(inside.size, -1), axis=1)
        unit = median.astype(np.float64)
        flux = flux / median.reshape(*flux.shape[:-1], 1)
    conditions = middle_conditions(prior) if conditions is None else conditions
    floor, slope = variance_line(bank.noise, conditions)
    return NodeSpectra(
        labels=labels[inside][:, varying],
        names=tuple(bank.label_names[k] for k in varying),
        flux=flux,
        unit=unit[inside],
        inside=inside,
        matrices=tuple((k, derivative_matrix(bank.axes[k], derivative)) for k in varying),
        free_amplitude=normalise == "free",
        floor=floor[0],
        slope=slope[0],
    )


def step_error(bank: Bank, prior: Prior, target: str, snr: float = 7.0) -> np.ndarray:
    """How much the choice of derivative matters: σ by differences over σ by the spline.

    With the amplitude free: a median over pixels has kinks that neither derivative follows.

    Returns
    -------
    ratio : float64 array, shape (n_node,)
        Near 1 where the grid is fine enough for either; NaN where both are infinite.
    """
    spline = node_spectra(bank, prior, "free", "spline")
    grid = node_spectra(bank, prior, "free", "grid")
    mag = np.atleast_1d(spline.magnitude_at(np.asarray(snr)))
    pair = [np.sqrt(nodes.sigma2(target, mag)[0]) for nodes in (grid, spline)]
    ratio = np.full(len(pair[0]), np.nan)
    finite = np.isfinite(pair[0]) & np.isfinite(pair[1])
    ratio[finite] = pair[0][finite] / pair[1][finite]
    return ratio
