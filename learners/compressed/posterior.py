"""Posteriors of all targets together, in label units: mixtures of Gaussians that know the prior.

With u the label's place in the range of the prior, 0 to 1, the mixture is one of t = Φ⁻¹(u):
there a uniform prior is a standard normal, and no posterior leaves the range. Of one component
of mean m and variance s², with h = m / √(1 + s²) and T of Owen (1956),

    E[u] = Φ(h),      E[u²] = Φ(h) - 2 T(h, 1 / √(1 + 2 s²)).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri, owens_t

from starsmith.learners.compressed.truncated_sums import fill_normal_quantiles

__all__ = ["EDGE", "Box", "Components", "Mixture", "Seeds", "draw_numbers", "weighted_quantiles"]

Seeds = Sequence[int | Sequence[int]]

EDGE = 1e-6  # of the range: labels nearer to its ends count as there
REACH = 8.0  # of t: 1e-15 of the range from its ends


def draw_numbers(seeds: Seeds, n_draw: int, n_label: int) -> tuple[np.ndarray, np.ndarray]:
    """Uniform and normal random numbers of every spectrum, float64 (n_seed, n_draw, n_label).

    A spectrum's are those of its own seed, whatever stands beside it; one seed serves all.
    """
    sources = [np.random.default_rng(seed) for seed in seeds]
    shape = (n_draw, n_label)
    pairs = [(source.random(shape), source.standard_normal(shape)) for source in sources]
    places, numbers = zip(*pairs, strict=True)
    return np.stack(places), np.stack(numbers)


def weighted_quantiles(value: np.ndarray, weight: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles of weighted draws, float64 (n_spec, n_level, n_label).

    Parameters
    ----------
    value : float64 array, shape (n_spec, n_draw, n_label)
    weight : float64 array, shape (n_spec, n_draw)
        Adds up to 1.
    levels : float64 array, shape (n_level,)
    """
    order = np.argsort(value, axis=1)
    value = np.take_along_axis(value, order, axis=1)
    weight = np.take_along_axis(weight[:, :, None], order, axis=1)
    share = np.cumsum(weight, axis=1) - 0.5 * weight
    found = np.empty((len(value), len(levels), value.shape[2]))
    for i in range(len(value)):
        for k in range(value.shape[2]):
            found[i, :, k] = np.interp(levels, share[i, :, k], value[i, :, k])
    return found


@dataclass(frozen=True)
class Box:
    """Range of the prior of every target.

    Attributes
    ----------
    low, high : float64, shape (n_label,)
        In label units.
    """

    low: np.ndarray
    high: np.ndarray

    @property
    def width(self) -> np.ndarray:
        """High less low."""
        return self.high - self.low

    def place(self, labels: np.ndarray) -> np.ndarray:
        """Place of labels in their range, 0 to 1."""
        return (labels - self.low) / self.width

    def to_normal(self, labels: np.ndarray) -> np.ndarray:
        """Labels (..., n_label) as t = Φ⁻¹(u)."""
        return ndtri(np.clip(self.place(labels), EDGE, 1.0 - EDGE))

    def to_labels(self, normal: np.ndarray) -> np.ndarray:
        """Inverse of `to_normal`."""
        return self.low + self.width * ndtr(normal)

    def log_slope(self, normal: np.ndarray) -> np.ndarray:
        """Log density of labels over that of t, summed over labels."""
        log_normal = -0.5 * (normal**2 + np.log(2.0 * np.pi))
        return -np.sum(log_normal + np.log(self.width), axis=-1)


@dataclass(frozen=True)
class Components:
    """Posteriors that are sums of components.

    Attributes
    ----------
    box : Box
    log_weight : float64, shape (n_spec, n_component)
    mean : float64, shape (n_spec, n_component, n_label)
        Of t.
    factor : float64, shape (n_spec, n_component, n_label, n_label)
        Upper triangular R; the covariance of t is R Rᵀ.
    """

    box: Box
    log_weight: np.ndarray
    mean: np.ndarray
    factor: np.ndarray

    def __len__(self) -> int:
        return len(self.mean)

    def choose(self, places: np.ndarray) -> np.ndarray:
        """Components by uniform numbers, int64 (n_spec, n_draw)."""
        edges = np.cumsum(np.exp(self.log_weight), axis=1)
        ladder = places * edges[:, -1:]
        return np.sum(ladder[:, :, None] > edges[:, None, :-1], axis=2)

    def pooled(self, n_copy: int) -> Self:
        """Average the posteriors of every ``n_copy`` rows that follow each other."""

        def joined(values: np.ndarray) -> np.ndarray:
            n_spec, n_component = len(values) // n_copy, n_copy * values.shape[1]
            return values.reshape(n_spec, n_component, *values.shape[2:])

        log_weight = joined(self.log_weight) - np.log(n_copy)
        return replace(
            self, log_weight=log_weight, mean=joined(self.mean), factor=joined(self.factor)
        )

    def put(self, rows: np.ndarray, other: Self) -> Self:
        """Replace some rows by those of a mixture of more components."""
        more = other.mean.shape[1] - self.mean.shape[1]
        grown = replace(
            self,
            log_weight=np.pad(self.log_weight, ((0, 0), (0, more)), constant_values=-np.inf),
            mean=np.pad(self.mean, ((0, 0), (0, more), (0, 0))),
            factor=np.concatenate(
                [self.factor, np.repeat(self.factor[:, :1], more, axis=1)], axis=1
            ),
        )
        for name in ("log_weight", "mean", "factor"):
            getattr(grown, name)[rows] = getattr(other, name)
        return grown


@dataclass(frozen=True)
class Mixture(Components):
    """Posterior of every spectrum."""

    @property
    def variance(self) -> np.ndarray:
        """Of t, float64 (n_spec, n_component, n_label)."""
        return np.sum(self.factor**2, axis=3)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and 1σ of every label, float64 (n_spec, n_label)."""
        share, variance = np.exp(self.log_weight)[:, :, None], self.variance
        h = self.mean / np.sqrt(1.0 + variance)
        first = ndtr(h)
        second = first - 2.0 * owens_t(h, 1.0 / np.sqrt(1.0 + 2.0 * variance))
        mean = np.sum(share * first, axis=1)
        spread = np.sum(share * second, axis=1) - mean**2
        width = self.box.width
        return self.box.low + width * mean, width * np.sqrt(np.maximum(spread, EDGE**2))

    def cumulative(self, labels: np.ndarray) -> np.ndarray:
        """Probability of every label below a value, float64 (n_spec, n_label)."""
        t = self.box.to_normal(labels)
        z = (t[:, None] - self.mean) / np.sqrt(self.variance)
        return np.sum(np.exp(self.log_weight)[:, :, None] * ndtr(z), axis=1)

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Values below which these probabilities lie, float64 (n_spec, n_level, n_label)."""
        levels = np.asarray(levels, dtype=np.float64)
        share, variance = np.exp(self.log_weight), self.variance
        mean = np.einsum("nc,nck->nk", share, self.mean)
        square = np.einsum("nc,nck->nk", share, variance + self.mean**2)
        spread = np.sqrt(np.maximum(square - mean**2, EDGE**2))
        t = np.clip(mean[:, None] + spread[:, None] * ndtri(levels)[:, None], -REACH, REACH)
        fill_normal_quantiles(t, levels, share, self.mean, np.sqrt(variance), REACH)
        return self.box.to_labels(t)

    def summary(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, 1σ and quantiles; see `moments` and `quantiles`."""
        return *self.moments(), self.quantiles(levels)

    def sample(self, n_draw: int, seeds: Seeds = (0,)) -> np.ndarray:
        """Draws, float64 (n_spec, n_draw, n_label); see `draw_numbers` for the seeds."""
        places, numbers = draw_numbers(seeds, n_draw, self.mean.shape[2])
        chosen = self.choose(places[:, :, 0])
        row = np.arange(len(self))[:, None]
        moved = np.einsum("ndij,ndj->ndi", self.factor[row, chosen], numbers)
        return self.box.to_labels(self.mean[row, chosen] + moved)

    def log_density(self, labels: np.ndarray) -> np.ndarray:
        """Log density of labels (n_spec, n_draw, n_label), in label units, (n_spec, n_draw)."""
        t = self.box.to_normal(labels)
        apart = t[:, :, None] - self.mean[:, None]
        inverse = np.linalg.inv(self.factor)
        white = np.einsum("ncij,ndcj->ndci", inverse, apart)
        n_label = t.shape[2]
        volume = np.log(np.einsum("ncii->nci", self.factor)).sum(axis=2)
        log = self.log_weight - volume - 0.5 * n_label * np.log(2.0 * np.pi)
        density = logsumexp(log[:, None] - 0.5 * np.sum(white**2, axis=3), axis=2)
        return density + self.box.log_slope(t)
