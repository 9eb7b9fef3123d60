"""MLP: dense layers, no idea of neighbouring pixels."""

import torch
from torch import nn

from starsmith.learners.estimators.registry import register_model

__all__ = ["MLP"]


@register_model("mlp")  # 4.85 M parameters but few operations: it needs no tiny size
class MLP(nn.Module):
    """Dense layers of falling width with GELU: (B, P) -> (B, n_output).

    The floor for every network: what it reaches needs no structure. Widths are those of the
    public experiment notes of the SpecViT paper.
    """

    def __init__(
        self,
        n_wave: int,
        n_output: int,
        *,
        widths: tuple[int, ...] = (1024, 512, 256),
        dropout: float = 0.1,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        below = n_wave
        for width in widths:
            layers += [nn.Linear(below, width), nn.GELU(), nn.Dropout(dropout)]
            below = width
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(below, n_output)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Predict standardised labels."""
        return self.head(self.layers(flux_BP))
