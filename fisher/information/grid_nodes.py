"""The published statistic: bounds at grid nodes under one set of conditions."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import variance_line
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.fisher.information.crlb import crlb, crlb_from_gram
from starsmith.fisher.information.jacobian import node_flux
from starsmith.fisher.information.stencils import Stencils, build_stencils
from starsmith.fisher.kernels.gram import fill_gram
from starsmith.simulator.prior import Prior

__all__ = [
    "NodeSpectra",
    "middle_conditions",
    "node_percentiles",
    "node_spectra",
    "node_weights",
    "step_error",
]

N_PROBE = 150  # nodes behind the curve of S/N against magnitude
MAGS = np.arange(8.0, 30.0, 0.5)  # ln(S/N) bends by 4e-3 between neighbours
EVEN = 1e-6  # relative differences of steps that are rounding
REFINED = 1.5  # largest over smallest step of an axis that is closer in places
RHO_DOUBT = 1e-4  # float32 products keep the digits of larger shares


def middle_conditions(prior: Prior) -> np.ndarray:
    """Middle of the prior's observing conditions, float64 (1, 8)."""
    middle = prior.with_population(None).middle().ranges
    return np.array([[middle[name][0] for name in CONDITIONS]])


def node_weights(labels: np.ndarray) -> np.ndarray:
    """Volume of labels that each node (n_node, n_label) stands for, of mean 1: float64 (n_node,).

    The published run has nodes on even steps; closer nodes would count a region more than once.
    Along an axis that is refined in places, by `REFINED`, it is the mean of the steps to both
    neighbours, at its ends the one step; along others all nodes count the same.
    """
    weight = np.ones(len(labels))
    for column in labels.T:
        nodes, place = np.unique(column, return_inverse=True)
        steps = np.diff(nodes)
        if steps.size and steps.max() > (REFINED - EVEN) * steps.min():
            beside = 0.5 * (np.append(steps, steps[-1]) + np.append(steps[0], steps))
            weight *= beside[place]
    return weight / weight.mean()


def node_percentiles(
    values: np.ndarray, levels: list[float], weight: np.ndarray | None = None
) -> np.ndarray:
    """Percentiles of values of nodes; those of the plain values where all count the same."""
    if weight is None or np.ptp(weight) == 0.0:
        return np.percentile(values, levels)
    return np.percentile(values, levels, method="inverted_cdf", weights=weight)


@dataclass(frozen=True)
class NodeSpectra:
    """Nodes of a bank inside a prior, and their derivatives with respect to labels.

    Attributes
    ----------
    labels : float64, shape (n_node, n_label)
    names : tuple of str
        Labels that vary.
    flux : float32, shape (n_all, n_wave)
        All nodes at magnitude zero, or divided by their medians.
    unit : float64, shape (n_node,)
        Flux at magnitude zero of one unit of ``flux``.
    nodes : int64, shape (n_node,)
        Rows of ``flux`` that exist, lie in the prior and have a derivative by every label.
    without_slope : int
        Nodes in the prior that were left out because their neighbours are missing.
    stencils : Stencils
        Derivatives of those nodes; last the flux itself if the amplitude is free.
    floor, slope : float64, shape (n_wave,)
        Variance = floor + slope x flux, under the conditions of all nodes.
    """

    labels: np.ndarray
    names: tuple[str, ...]
    flux: np.ndarray
    unit: np.ndarray
    nodes: np.ndarray
    without_slope: int
    stencils: Stencils
    floor: np.ndarray
    slope: np.ndarray

    @cached_property
    def weight(self) -> np.ndarray:
        """What each node counts for, float64 (n_node,): see `node_weights`."""
        return node_weights(self.labels)

    def variance(self, target: str) -> float:
        """Variance of a label over the nodes, each counting by its weight."""
        column, share = self.labels[:, self.names.index(target)], self.weight / self.weight.sum()
        return float(share @ (column - share @ column) ** 2)

    def _noise(self, flux: np.ndarray) -> np.ndarray:
        return np.sqrt(self.floor + self.slope * np.maximum(flux, 0.0))

    def snr(self, mag: float, nodes: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Median signal-to-noise per pixel of each node at one magnitude."""
        flux = self.flux[self.nodes[nodes]].astype(np.float64)
        # 2.512 times fainter a magnitude
        flux *= (self.unit[nodes] * 10.0 ** (-0.4 * mag))[:, None]
        return np.median(flux / self._noise(flux), axis=1)

    def magnitude_at(self, snr: np.ndarray) -> np.ndarray:
        """Magnitudes at which the median node has these signal-to-noise ratios."""
        step = max(1, len(self.unit) // N_PROBE)
        some = slice(None, None, step)
        # median S/N falls with magnitude
        curve = np.array([np.median(self.snr(mag, some)) for mag in MAGS])
        return np.interp(
            -np.log(snr), -np.log(np.ravel(curve)), MAGS
        )  # np.interp wants rising abscissae

    def gram(self, mags: np.ndarray) -> np.ndarray:
        """Information matrices at each magnitude, float64 (n_mag, n_node, n_column, n_column).

        Columns are the labels that vary, then a free amplitude. Products are summed in
        float32 over 512 pixels and in float64 beyond: 1e-6 of the largest.
        """
        n_column = self.stencils.weights.shape[1]
        gram = np.empty((len(mags), len(self.nodes), n_column, n_column))
        # flux per unit of the bank, shape (n_mag, n_node)
        scale = 10.0 ** (-0.4 * np.asarray(mags, dtype=np.float64))[:, None] * self.unit
        fill_gram(
            gram,
            self.flux,
            self.nodes.astype(np.int32),
            self.stencils.neighbours,
            self.stencils.weights.astype(np.float32),
            scale.astype(np.float32),
            self.floor.astype(np.float32),
            self.slope.astype(np.float32),
        )
        return gram

    def sigma2(self, target: str, mags: np.ndarray) -> np.ndarray:
        """Cramér-Rao bounds at each magnitude, float64 (n_mag, n_node) [label²].

        Nodes whose target the other columns nearly imitate are done again in float64 by QR.
        """
        index = self.names.index(target)
        sigma2 = np.empty((len(mags), len(self.nodes)))
        for m, gram in enumerate(self.gram(mags)):
            bounds = crlb_from_gram(gram, index)
            sigma2[m] = bounds.sigma2
            for i in np.flatnonzero(~(bounds.rho > RHO_DOUBT)):
                sigma2[m, i] = self._by_projection(i, index, mags[m])
        return sigma2

    def _by_projection(self, node: int, index: int, mag: float) -> float:
        unit = self.unit[node] * 10.0 ** (-0.4 * mag)
        jacobian = unit * self.stencils.columns(self.flux, np.array([node]))[0]
        noise = self._noise(unit * self.flux[self.nodes[node]].astype(np.float64))
        return crlb(jacobian.T, noise**2, index).sigma2


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
        ``grid``: three-point differences between nodes; ``spline``. Nodes beyond the prior
        serve as neighbours; missing ones are stepped over.
    conditions : float64 array, shape (1, 8), optional
        The middle of the prior's ranges by default.

    Returns
    -------
    nodes : NodeSpectra

    Raises
    ------
    ConfigError
        If no node lies inside the prior.
    GridError
        If an axis has too few nodes for the derivative, or no node has neighbours enough.
    """
    shape = tuple(nodes.size for nodes in bank.axes)
    flux = node_flux(bank).reshape(-1, bank.wave.size)
    labels = np.stack(np.meshgrid(*bank.axes, indexing="ij"), axis=-1).reshape(-1, len(shape))
    inside = _inside(bank, prior, labels)
    # a label with one node has no derivative
    varying = [k for k in range(len(shape)) if np.ptp(labels[inside, k]) > 0.0]
    names = tuple(name if k in varying else "" for k, name in enumerate(bank.label_names))
    stencils = build_stencils(bank.axes, names, ~bank.filled.reshape(shape), derivative)
    nodes = np.flatnonzero(inside & stencils.usable)
    if not nodes.size:
        raise ConfigError(
            f"none of the {int(inside.sum())} nodes inside the prior has neighbours on every "
            "axis to take a derivative from; import the missing nodes"
        )
    unit = np.ones(len(nodes))
    if normalise == "known":
        median = np.median(flux, axis=1)  # known amplitude: each node over its own median
        unit = median[nodes].astype(np.float64)
        flux = flux / median[:, None]
    stencils = Stencils(stencils.neighbours[nodes], stencils.weights[nodes])
    floor, slope = variance_line(
        bank.noise, middle_conditions(prior) if conditions is None else conditions
    )
    return NodeSpectra(
        labels=labels[nodes][:, varying],
        names=tuple(bank.label_names[k] for k in varying),
        flux=flux,
        unit=unit,
        nodes=nodes,
        without_slope=int(inside.sum()) - len(nodes),
        stencils=stencils.with_value(nodes) if normalise == "free" else stencils,
        floor=floor[0],
        slope=slope[0],
    )


def _inside(bank: Bank, prior: Prior, labels: np.ndarray) -> np.ndarray:
    """Nodes that exist and lie within the prior's ranges, bool (n_all,)."""
    ranges = np.array([prior.ranges[name] for name in bank.label_names])
    near = 1e-9 * np.maximum(1.0, np.abs(ranges))  # nodes on the edge count as inside
    inside = ~bank.filled & np.all(
        (labels >= ranges[:, 0] - near[:, 0]) & (labels <= ranges[:, 1] + near[:, 1]), axis=1
    )
    if not inside.any():
        raise ConfigError("no grid node lies inside the prior's label ranges; widen them")
    return inside


def step_error(bank: Bank, prior: Prior, target: str, snr: float | np.ndarray = 7.0) -> np.ndarray:
    """How much the choice of derivative matters: σ by differences over σ by the spline.

    With the amplitude free: a median over pixels has kinks that neither derivative follows.

    Parameters
    ----------
    bank : Bank
    prior : Prior
    target : str
    snr : float or float64 array, shape (n_mag,)
        Of the median node.

    Returns
    -------
    ratio : float64 array, shape (n_node,) or (n_mag, n_node)
        Near 1 where the grid is fine enough for either; NaN where both are infinite.
    """
    spline = node_spectra(bank, prior, "free", "spline")
    grid = node_spectra(bank, prior, "free", "grid")
    common, here, there = np.intersect1d(spline.nodes, grid.nodes, return_indices=True)
    mags = np.atleast_1d(spline.magnitude_at(np.atleast_1d(snr)))
    fine = spline.sigma2(target, mags)[:, here]
    coarse = grid.sigma2(target, mags)[:, there]
    ratio = np.full((len(mags), common.size), np.nan)
    finite = np.isfinite(fine) & np.isfinite(coarse)
    ratio[finite] = np.sqrt(coarse[finite] / fine[finite])
    return ratio if np.ndim(snr) else ratio[0]
