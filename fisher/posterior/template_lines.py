"""Lines: where the stars of the published data set lie, one label free and the others on nodes.

The prior of `starsmith.simulator.presets` is a mixture of lines through the grid, each of known
mass and uniform along its length. Integrals over it are sums of one-dimensional ones.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import GridError
from starsmith.fisher.posterior.basis import Basis
from starsmith.fisher.posterior.templates import Templates, in_basis
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import touches_filled

__all__ = ["Lines", "lines_of"]

LEAST_POINTS = 4
BATCH = 32_768  # templates held at a time


@dataclass(frozen=True)
class Lines:
    """Stretches of a grid along one label.

    Attributes
    ----------
    free : int64, shape (n_line,)
        Which label varies.
    fixed : float64, shape (n_line, n_label)
        Nodes of the others; the value of the free one does not matter.
    low, high : float64, shape (n_line,)
        Ends along the free label; equal where its range has no width.
    mass : float64, shape (n_line,)
        Share of the prior; they sum to 1.
    """

    free: np.ndarray
    fixed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mass: np.ndarray

    def __len__(self) -> int:
        return len(self.free)

    def take(self, rows: np.ndarray | slice) -> "Lines":
        """Return some of the lines."""
        return Lines(*(getattr(self, part.name)[rows] for part in fields(self)))

    def labels(self, place: np.ndarray) -> np.ndarray:
        """Labels at places along the free label, (n_line, n) -> (n_line, n, n_label)."""
        labels = np.repeat(self.fixed[:, None, :], place.shape[1], axis=1)
        labels[np.arange(len(self)), :, self.free] = place
        return labels

    def templates(self, bank: Bank, basis: Basis, n_template: int) -> Iterator[Templates]:
        """Quadrature points of all lines, projected, a batch of lines at a time.

        Even templates are Gauss-Legendre points of n, odd ones of n + 1: two integrals by
        themselves, whose difference tells whether the points are dense enough.
        """
        n = max(LEAST_POINTS, n_template // (2 * len(self)))
        place, weight = _two_rules(n)
        step = max(1, BATCH // place.size)
        for start in range(0, len(self), step):
            some = self.take(slice(start, start + step))
            along = some.low[:, None] + place * (some.high - some.low)[:, None]
            labels = some.labels(along).reshape(-1, self.fixed.shape[1])
            with np.errstate(divide="ignore"):
                log_weight = np.log(some.mass[:, None] * weight).reshape(-1)
            yield Templates(labels, *in_basis(basis, bank, labels), log_weight)


def _two_rules(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in 0..1 and weights that sum to 1, float64 (2 n + 2,) each; one weight is 0."""
    place, weight = np.full((2, n + 1), 0.5), np.zeros((2, n + 1))
    for k, count in enumerate((n, n + 1)):
        points, mass = np.polynomial.legendre.leggauss(count)
        place[k, :count], weight[k, :count] = 0.5 * (points + 1.0), 0.25 * mass
    return place.T.reshape(-1), weight.T.reshape(-1)


def lines_of(bank: Bank, prior: Prior) -> Lines:
    """Lines of a prior whose labels lie on nodes but for one.

    Draws that lean on a hole of the grid are made again, so that lines end beside holes and
    all others share their mass.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        With ``nodes``.

    Returns
    -------
    lines : Lines

    Raises
    ------
    GridError
        If every line lies on a hole.
    """
    names = list(bank.label_names)
    nodes = [np.asarray(prior.nodes[name]) for name in names]
    shares = [_shares(n, prior.ranges[name]) for n, name in zip(nodes, names, strict=True)]
    parts = []
    for free, name in enumerate(names):
        low, high = prior.ranges[name]
        others = [range(len(n)) if k != free else (0,) for k, n in enumerate(nodes)]
        index = np.array(list(itertools.product(*others)))
        fixed = np.stack([n[index[:, k]] for k, n in enumerate(nodes)], axis=1)
        mass = np.full(len(index), 1.0 / len(names))
        for k in range(len(names)):
            mass *= 1.0 if k == free else shares[k][index[:, k]]
        count = np.full(len(index), free)
        first, last = np.full(len(index), low), np.full(len(index), high)
        parts.append(_beside_holes(bank, Lines(count, fixed, first, last, mass)))
    lines = Lines(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Lines)))
    if not len(lines):
        raise GridError(f"every star on nodes of grid {bank.grid.get('name')!r} leans on a hole")
    return Lines(lines.free, lines.fixed, lines.low, lines.high, lines.mass / lines.mass.sum())


def _shares(nodes: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """Part of a range that is nearest to each node, float64 (n_node,)."""
    if span[1] == span[0]:
        return np.ones(1)
    edges = np.concatenate([[span[0]], 0.5 * (nodes[1:] + nodes[:-1]), [span[1]]])
    return np.diff(edges) / (span[1] - span[0])


def _beside_holes(bank: Bank, lines: Lines) -> Lines:
    """Cut lines, all along the same label, where they lean on holes."""
    if not bank.filled.any():
        return lines
    low, high = lines.low[0], lines.high[0]
    axis = bank.axes[lines.free[0]]
    edges = np.unique(np.concatenate([[low, high], axis[(axis > low) & (axis < high)]]))
    if edges.size == 1:
        return lines.take(~touches_filled(bank, lines.labels(lines.low[:, None])[:, 0]))
    middle = np.broadcast_to(0.5 * (edges[1:] + edges[:-1]), (len(lines), edges.size - 1))
    labels = lines.labels(middle).reshape(-1, lines.fixed.shape[1])
    whole = ~touches_filled(bank, labels).reshape(middle.shape)
    padded = np.pad(whole, ((0, 0), (1, 1))).astype(int)
    change = np.diff(padded, axis=1)
    row, first = np.nonzero(change == 1)
    _, last = np.nonzero(change == -1)
    share = (edges[last] - edges[first]) / (high - low)
    mass = lines.mass[row] * share
    return Lines(lines.free[row], lines.fixed[row], edges[first], edges[last], mass)
