"""An autoregressive flow: each label given those before it, as a mixture of Gaussians in t.

p(t | x) = Π_k p(t_k | t_1 ... t_{k-1}, x) (Papamakarios+ 2017, with one-dimensional mixtures in
place of affine steps); t = Φ⁻¹(u) as in `posterior`. Density and draws are exact; moments and
probabilities of single labels are means over keyed draws.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from starsmith.learners.compressed.heads import HALF_LOG_TWO_PI, LOG_SCALE_LIMIT, Head
from starsmith.learners.compressed.posterior import EDGE, Box, Seeds, draw_numbers
from starsmith.learners.compressed.sight import Sight

__all__ = ["Flow", "FlowHead"]

N_MOMENT = 256  # draws behind moments
INNER = 64  # width of each conditional network


class FlowHead(Head):
    """Conditional mixtures, one small network a label."""

    def __init__(self, width: int, n_label: int, n_component: int):
        super().__init__()
        self.n_label, self.n_component = n_label, n_component
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Linear(width + k, INNER), nn.SiLU(), nn.Linear(INNER, 3 * n_component))
            for k in range(n_label)
        )
        with torch.no_grad():  # components start apart, or all would learn the same
            for step in self.steps:
                last: Any = list(step.children())[-1]
                last.bias.view(3, -1)[1] += torch.linspace(-0.5, 0.5, n_component)

    def parts(self, k: int, hidden: torch.Tensor, before: torch.Tensor) -> tuple:
        """Log weights, means and log 1/σ of label k, (B, n_component) each."""
        out = self.steps[k](torch.cat([hidden, before], dim=1)).view(len(hidden), 3, -1)
        scale = out[:, 2].clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
        return torch.log_softmax(out[:, 0], dim=1), out[:, 1], scale

    def log_density(self, hidden: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Log density of t (B, n_label), shape (B,)."""
        total = hidden.new_zeros(len(hidden))
        for k in range(self.n_label):
            log_weight, mean, scale = self.parts(k, hidden, t[:, :k])
            white = (t[:, k : k + 1] - mean) * scale.exp()
            log = log_weight + scale - 0.5 * white**2 - HALF_LOG_TWO_PI
            total = total + torch.logsumexp(log, dim=1)
        return total

    def draw(self, hidden: torch.Tensor, places: np.ndarray, numbers: np.ndarray) -> torch.Tensor:
        """One draw of t for every row, by uniform and normal numbers (B, n_label)."""
        ladder, normal = torch.from_numpy(places), torch.from_numpy(numbers).float()
        t = hidden.new_zeros(len(hidden), 0)
        for k in range(self.n_label):
            log_weight, mean, scale = self.parts(k, hidden, t)
            edges = log_weight.double().exp().cumsum(dim=1)
            above = ladder[:, k : k + 1] * edges[:, -1:] > edges[:, :-1]
            chosen = above.sum(dim=1, keepdim=True)
            step = normal[:, k : k + 1] * torch.exp(-scale.gather(1, chosen))
            t = torch.cat([t, mean.gather(1, chosen) + step], dim=1)
        return t

    def loss(self, hidden: torch.Tensor, place: torch.Tensor, sight: Sight) -> torch.Tensor:
        """Negative log density of t a label."""
        return -self.log_density(hidden, torch.special.ndtri(place.clamp(EDGE, 1 - EDGE))).mean()

    def answer(self, hidden: torch.Tensor, box: Box, sight: Sight) -> "Flow":
        """Posteriors in label units."""
        return Flow(box, self, hidden[:, None])


@dataclass(frozen=True)
class Flow:
    """Posterior of every spectrum: the mean of those of its copies.

    Attributes
    ----------
    box : Box
    head : FlowHead
    hidden : float32 tensor, shape (n_spec, n_copy, width)
    """

    box: Box
    head: FlowHead
    hidden: torch.Tensor

    def __len__(self) -> int:
        return len(self.hidden)

    def sample(self, n_draw: int, seeds: Seeds = (0,)) -> np.ndarray:
        """Draws, float64 (n_spec, n_draw, n_label); see `draw_numbers` for the seeds."""
        n_spec, n_copy, width = self.hidden.shape
        copies = torch.arange(n_draw) % n_copy
        shape = (n_spec, n_draw, self.head.n_label)
        places, numbers = (
            np.array(np.broadcast_to(x, shape)).reshape(-1, shape[2])
            for x in draw_numbers(seeds, n_draw, shape[2])
        )
        with torch.no_grad():
            t = self.head.draw(self.hidden[:, copies].reshape(-1, width), places, numbers)
        return self.box.to_labels(t.double().numpy().reshape(n_spec, n_draw, -1))

    def log_density(self, labels: np.ndarray) -> np.ndarray:
        """Log density of labels (n_spec, n_draw, n_label), in label units, (n_spec, n_draw)."""
        t = self.box.to_normal(labels)
        n_spec, n_draw, n_label = t.shape
        rows = torch.from_numpy(t.reshape(-1, n_label)).float()
        with torch.no_grad():
            each = [
                self.head.log_density(copy.repeat_interleave(n_draw, dim=0), rows)
                for copy in self.hidden.unbind(1)
            ]
        mean = torch.logsumexp(torch.stack(each), dim=0) - math.log(len(each))
        return mean.double().numpy().reshape(n_spec, n_draw) + self.box.log_slope(t)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and 1σ of every label, float64 (n_spec, n_label)."""
        draws = self.sample(N_MOMENT)
        return draws.mean(axis=1), draws.std(axis=1)

    def summary(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, 1σ and quantiles (n_spec, n_level, n_label) of every label, by draws."""
        draws = self.sample(N_MOMENT)
        found = np.quantile(draws, levels, axis=1).swapaxes(0, 1)
        return draws.mean(axis=1), draws.std(axis=1), found

    def cumulative(self, labels: np.ndarray) -> np.ndarray:
        """Probability of every label below a value, float64 (n_spec, n_label)."""
        return np.mean(self.sample(4 * N_MOMENT, (1,)) < labels[:, None], axis=1)

    def pooled(self, n_copy: int) -> "Flow":
        """Average the posteriors of every ``n_copy`` rows that follow each other."""
        return Flow(self.box, self.head, self.hidden.reshape(-1, n_copy, self.hidden.shape[2]))

    def put(self, rows: np.ndarray, other: "Flow") -> "Flow":
        """Replace some rows by posteriors of more copies."""
        hidden = self.hidden.repeat(1, other.hidden.shape[1], 1)
        hidden[torch.from_numpy(rows)] = other.hidden
        return Flow(self.box, self.head, hidden)
