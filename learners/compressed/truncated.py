"""Mixtures of Gaussians cut off at the ends of the prior: what a uniform prior leaves of them.

With u the label's place in the range of the prior, 0 to 1, and P of a component lower triangular,
w = P (u - m) is a line in each label given those before it, and

    p(u) = Π_k P_kk φ(w_k) / (Φ(w_k + P_kk (1 - u_k)) - Φ(w_k - P_kk u_k)),

a chain of truncated normals: it integrates to one over the range, however close to an end its
mode lies. Density and draws are exact; so is the mean of a label given those before it, which are
averaged over points of a lattice (Rao-Blackwell).
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import log_ndtr, logsumexp, ndtri, ndtri_exp
from torch import nn

from starsmith.learners.compressed.heads import HALF_LOG_TWO_PI, Head
from starsmith.learners.compressed.posterior import (
    Box,
    Components,
    Seeds,
    draw_numbers,
)
from starsmith.learners.compressed.sight import Sight
from starsmith.learners.compressed.truncated_sums import (
    fill_cumulative,
    fill_limits,
    fill_moments,
    fill_quantiles,
)

__all__ = ["Truncated", "TruncatedHead"]

SCALES = (-2.0, 9.0)  # of the log of a component's scale over that of the coordinates
SPREAD = 0.7  # of the coordinates: how far from 0 components start
N_NODE, N_FINE = 16, 64  # points of the labels before one: of moments, of probabilities
LEAST_SHARE = 1e-3  # of a component that moments count
TINY = 1e-12  # of the range


def log_mass(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Log of Φ(high) - Φ(low), from the side where neither is near 1."""
    above = low + high > 0
    a, b = torch.where(above, -high, low), torch.where(above, -low, high)
    small, large = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    return large + torch.log1p(-torch.exp((small - large).clamp(max=-1e-6)))


class TruncatedHead(Head):
    """Components in u = 0..1, each a chain of truncated normals; see the module."""

    def __init__(self, width: int, n_label: int, n_component: int):
        super().__init__()
        self.n_label, self.n_component = n_label, n_component
        self.lower = torch.tril_indices(n_label, n_label, offset=-1)
        per_component = 1 + 2 * n_label + self.lower.shape[1]
        self.out = nn.Linear(width, n_component * per_component)
        with torch.no_grad():  # components start apart, or all would learn the same
            start = self.out.bias.view(n_component, per_component)
            start[:, 1 : 1 + n_label] += torch.linspace(-SPREAD, SPREAD, n_component)[:, None]

    def parts(self, hidden: torch.Tensor, sight: Sight) -> tuple[torch.Tensor, ...]:
        """Log weights (B, M), means (B, M, D), log diagonals (B, M, D) and P (B, M, D, D)."""
        n_label = self.n_label
        out = self.out(hidden).view(len(hidden), self.n_component, -1)
        diagonal = out[..., 1 + n_label : 1 + 2 * n_label].clamp(*SCALES).exp()
        own = torch.diag_embed(diagonal)
        slopes = out[..., 1 + 2 * n_label :]
        own[..., self.lower[0], self.lower[1]] = slopes * diagonal[..., self.lower[0]]
        root = own @ sight.root[:, None]
        scale = root.diagonal(dim1=-2, dim2=-1).log()
        mean = sight.to_places(out[..., 1 : 1 + n_label])
        return torch.log_softmax(out[..., 0], dim=1), mean, scale, root

    def loss(self, hidden: torch.Tensor, place: torch.Tensor, sight: Sight) -> torch.Tensor:
        """Negative log density of u."""
        log_weight, mean, scale, root = self.parts(hidden, sight)
        white = (root @ (place[:, None] - mean)[..., None])[..., 0]
        diagonal = scale.exp()
        low = white - diagonal * place[:, None]
        log = scale - 0.5 * white**2 - HALF_LOG_TWO_PI - log_mass(low, low + diagonal)
        return -torch.logsumexp(log_weight + log.sum(dim=2), dim=1).mean()

    def answer(self, hidden: torch.Tensor, box: Box, sight: Sight) -> "Truncated":
        """Posteriors in label units."""
        parts = self.parts(hidden, sight)
        log_weight, mean, _, root = (part.double().numpy() for part in parts)
        return Truncated(box, log_weight, mean, root)


@dataclass(frozen=True)
class Truncated(Components):
    """Posterior of every spectrum: ``mean`` and ``factor`` are m and P of u, not of t."""

    def log_density(self, labels: np.ndarray) -> np.ndarray:
        """Log density of labels (n_spec, n_draw, n_label), in label units, (n_spec, n_draw)."""
        u = self.box.place(labels)[:, None]  # (n_spec, 1, n_draw, n_label)
        white = (u - self.mean[:, :, None]) @ self.factor.swapaxes(2, 3)
        diagonal = _diagonal(self.factor)[:, :, None]
        low = white - diagonal * u
        log = np.log(diagonal) - 0.5 * white**2 - HALF_LOG_TWO_PI - _log_mass(low, low + diagonal)
        log = self.log_weight[:, :, None] + log.sum(axis=3)
        inside = ((u[:, 0] >= 0.0) & (u[:, 0] <= 1.0)).all(axis=2)
        density = logsumexp(log, axis=1) - np.log(self.box.width).sum()
        return np.where(inside, density, -np.inf)

    def sample(self, n_draw: int, seeds: Seeds = (0,)) -> np.ndarray:
        """Draws, float64 (n_spec, n_draw, n_label); see `draw_numbers` for the seeds."""
        n_label = self.mean.shape[2]
        places, normal = draw_numbers(seeds, n_draw, n_label)
        chosen = self.choose(places[:, :, 0])
        row = np.arange(len(self))[:, None]
        mean, factor = self.mean[row, chosen], self.factor[row, chosen]
        uniform = np.broadcast_to(log_ndtr(normal), mean.shape)  # of log Φ of normals
        return self.box.low + self.box.width * _chain(mean, factor, uniform)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and 1σ of every label, float64 (n_spec, n_label)."""
        mean, spread = self._places(self._nodes())
        return self.box.low + self.box.width * mean, self.box.width * spread

    def cumulative(self, labels: np.ndarray) -> np.ndarray:
        """Probability of every label below a value, float64 (n_spec, n_label)."""
        nodes = self._nodes(N_FINE)
        out = np.empty(labels.shape)
        places = np.clip(self.box.place(labels), 0.0, 1.0)
        fill_cumulative(out, places, nodes.edges, nodes.share, nodes.low, nodes.scale)
        return out

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Values below which these probabilities lie, float64 (n_spec, n_level, n_label)."""
        return self.summary(levels)[2]

    def summary(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, 1σ and quantiles in one pass; see `moments` and `quantiles`."""
        nodes, levels = self._nodes(), np.asarray(levels, dtype=np.float64)
        mean, spread = self._places(nodes)
        out = mean[:, None] + spread[:, None] * ndtri(levels)[:, None]
        out = np.clip(out, TINY, 1.0 - TINY)
        fill_quantiles(out, levels, nodes.edges, nodes.share, nodes.low, nodes.scale)
        low, width = self.box.low, self.box.width
        return low + width * mean, width * spread, low + width * out

    def _nodes(self, n_node: int = N_NODE) -> "_Nodes":
        """Truncated normals of every label at points of the labels before it."""
        weight = np.exp(self.log_weight)
        star, which = np.nonzero(weight > LEAST_SHARE)
        share = weight[star, which]
        share /= np.bincount(star, share, minlength=len(self))[star]
        mean, factor = self.mean[star, which], self.factor[star, which]
        n_label = mean.shape[1]
        low = np.empty((len(mean), n_node, n_label))
        fill_limits(low, mean, factor, _lattice(n_node, n_label - 1))
        edges = np.searchsorted(star, np.arange(len(self) + 1))
        return _Nodes(edges, share, low, np.ascontiguousarray(_diagonal(factor)))

    def _places(self, nodes: "_Nodes") -> tuple[np.ndarray, np.ndarray]:
        """Mean and 1σ as places."""
        mean, square = np.empty((2, len(self), self.mean.shape[2]))
        fill_moments(mean, square, nodes.edges, nodes.share, nodes.low, nodes.scale)
        return mean, np.sqrt(np.maximum(square - mean**2, TINY))


@dataclass(frozen=True)
class _Nodes:
    """Components that count, as `truncated_sums` takes them."""

    edges: np.ndarray
    share: np.ndarray
    low: np.ndarray
    scale: np.ndarray


def _diagonal(factor: np.ndarray) -> np.ndarray:
    return np.diagonal(factor, axis1=-2, axis2=-1)


def _log_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """As `log_mass`, of arrays."""
    above = low + high > 0
    small, large = log_ndtr(np.where(above, -high, low)), log_ndtr(np.where(above, -low, high))
    return large + np.log1p(-np.exp(np.minimum(small - large, -TINY)))


def _chain(mean: np.ndarray, factor: np.ndarray, log_uniform: np.ndarray) -> np.ndarray:
    """Draws of u, label after label, by logs of uniform numbers (..., n_drawn).

    Labels beyond the first ``n_drawn`` stay 0.
    """
    n_drawn = log_uniform.shape[-1]
    shape = np.broadcast_shapes(mean.shape[:-1], log_uniform.shape[:-1])
    u = np.zeros((*shape, mean.shape[-1]))
    for k in range(n_drawn):
        before = np.einsum("...j,...j->...", factor[..., k, :k], u[..., :k] - mean[..., :k])
        scale = factor[..., k, k]
        low = before - scale * mean[..., k]
        u[..., k] = _truncated(low, low + scale, log_uniform[..., k], scale)
    return u


def _truncated(
    low: np.ndarray, high: np.ndarray, log_uniform: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Place, 0..1, of a standard normal between limits, by the log of a uniform number."""
    low, high, scale, log_uniform = np.broadcast_arrays(low, high, scale, log_uniform)
    above = low + high > 0  # mirrored: towards 0 from below no digit is lost
    a = np.where(above, -high, low)
    log = np.logaddexp(log_ndtr(a), log_uniform + _log_mass(low, high))
    place = (ndtri_exp(log) - a) / scale
    return np.clip(np.where(above, 1.0 - place, place), 0.0, 1.0)


def _lattice(n_node: int, n_label: int) -> np.ndarray:
    """Evenly spread points in 0..1, float64 (n_node, n_label).

    Even steps of the first number, and Roberts' (2018) sequence of the others.
    """
    even = (np.arange(n_node) + 0.5) / n_node
    root = 2.0
    for _ in range(40):  # of x^(d + 1) = x + 1
        root = (1.0 + root) ** (1.0 / max(n_label, 1))
    steps = root ** -np.arange(1.0, n_label)
    others = (0.5 + np.arange(1, n_node + 1)[:, None] * steps) % 1.0
    return np.ascontiguousarray(np.column_stack([even, others])[:, :n_label])
