"""Heads of a compressed network: the mean alone, a mixture of Gaussians, a flow."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from starsmith.learners.compressed.posterior import EDGE, Box, Mixture
from starsmith.learners.compressed.sight import Sight

__all__ = ["HALF_LOG_TWO_PI", "LOG_SCALE_LIMIT", "Head", "MeanHead", "MeanOnly", "MixtureHead"]

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
UNIFORM_VARIANCE = 1.0 / 12.0
LOG_SCALE_LIMIT = 12.0  # of 1 / σ: beyond, nothing more is learned and nothing overflows


class Head(nn.Module):
    """Turns the last hidden layer into a loss and into posteriors."""

    has_posterior = True

    def loss(self, hidden: torch.Tensor, place: torch.Tensor, sight: Sight) -> torch.Tensor:
        """Mean loss of stars whose labels lie at ``place`` (B, n_label) of their range, 0..1."""
        raise NotImplementedError

    def answer(self, hidden: torch.Tensor, box: Box, sight: Sight) -> Any:
        """Posterior of every spectrum, in label units."""
        raise NotImplementedError


@dataclass(frozen=True)
class MeanOnly:
    """Posterior means without an uncertainty.

    Attributes
    ----------
    mean : float64, shape (n_spec, n_label)
    """

    mean: np.ndarray

    def moments(self) -> tuple[np.ndarray, None]:
        """Mean of every label, and no 1σ."""
        return self.mean, None

    def pooled(self, n_copy: int) -> "MeanOnly":
        """Average every ``n_copy`` rows that follow each other."""
        return MeanOnly(self.mean.reshape(-1, n_copy, self.mean.shape[1]).mean(axis=1))

    def put(self, rows: np.ndarray, other: "MeanOnly") -> "MeanOnly":
        """Replace some rows."""
        mean = self.mean.copy()
        mean[rows] = other.mean
        return MeanOnly(mean)


class MeanHead(Head):
    """Squared error: the mean of the posterior, nothing else."""

    has_posterior = False

    def __init__(self, width: int, n_label: int):
        super().__init__()
        self.out = nn.Linear(width, n_label)

    def mean(self, hidden: torch.Tensor, sight: Sight) -> torch.Tensor:
        """Places (B, n_label)."""
        return sight.to_places(self.out(hidden)[:, None])[:, 0]

    def loss(self, hidden: torch.Tensor, place: torch.Tensor, sight: Sight) -> torch.Tensor:
        """Mean squared error over that of guessing the middle."""
        return ((self.mean(hidden, sight) - place) ** 2).mean() / UNIFORM_VARIANCE

    def answer(self, hidden: torch.Tensor, box: Box, sight: Sight) -> MeanOnly:
        """Means in label units."""
        place = self.mean(hidden, sight).double().numpy()
        return MeanOnly(box.low + box.width * np.clip(place, 0.0, 1.0))


class MixtureHead(Head):
    """Mixture of Gaussians with full covariances in t = Φ⁻¹(u); see `Mixture`."""

    def __init__(self, width: int, n_label: int, n_component: int, mean_weight: float):
        super().__init__()
        self.n_label, self.n_component, self.mean_weight = n_label, n_component, mean_weight
        self.upper = torch.triu_indices(n_label, n_label, offset=1)
        per_component = 1 + 2 * n_label + self.upper.shape[1]
        self.out = nn.Linear(width, n_component * per_component)
        with torch.no_grad():  # components start apart, or all would learn the same
            start = self.out.bias.view(n_component, per_component)
            start[:, 1 : 1 + n_label] += torch.linspace(-0.5, 0.5, n_component)[:, None]

    def parts(self, hidden: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Log weights (B, M), means (B, M, D), log diagonals (B, M, D) and P (B, M, D, D).

        P is upper triangular; P (t - m) is standard normal.
        """
        n_label = self.n_label
        out = self.out(hidden).view(len(hidden), self.n_component, -1)
        scale = out[..., 1 + n_label : 1 + 2 * n_label].clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
        root = torch.diag_embed(scale.exp())
        root[..., self.upper[0], self.upper[1]] = out[..., 1 + 2 * n_label :]
        return torch.log_softmax(out[..., 0], dim=1), out[..., 1 : 1 + n_label], scale, root

    def loss(self, hidden: torch.Tensor, place: torch.Tensor, sight: Sight) -> torch.Tensor:
        """Negative log density of t a label, and the squared error of the mean."""
        log_weight, mean, scale, root = self.parts(hidden)
        t = torch.special.ndtri(place.clamp(EDGE, 1.0 - EDGE))
        white = (root @ (t[:, None] - mean)[..., None])[..., 0]
        log = log_weight + (scale - 0.5 * white**2 - HALF_LOG_TWO_PI).sum(dim=2)
        loss = -torch.logsumexp(log, dim=1).mean()
        if self.mean_weight:
            eye = torch.eye(self.n_label).expand_as(root)
            factor = torch.linalg.solve_triangular(root, eye, upper=True)
            h = mean / torch.sqrt(1.0 + (factor**2).sum(dim=3))
            middle = (log_weight.exp()[..., None] * torch.special.ndtr(h)).sum(dim=1)
            loss = loss + self.mean_weight * ((middle - place) ** 2).mean() / UNIFORM_VARIANCE
        return loss

    def answer(self, hidden: torch.Tensor, box: Box, sight: Sight) -> Mixture:
        """Posteriors in label units."""
        log_weight, mean, _, root = (part.double() for part in self.parts(hidden))
        eye = torch.eye(self.n_label, dtype=root.dtype).expand_as(root)
        factor = torch.linalg.solve_triangular(root, eye, upper=True)
        return Mixture(box, log_weight.numpy(), mean.numpy(), factor.numpy())
