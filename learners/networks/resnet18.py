"""ResNet-18 along wavelength."""

import torch
from torch import nn
from torch.nn import functional

from starsmith.learners.estimators.registry import register_model
from starsmith.learners.networks.blocks import linear_init

__all__ = ["ResNet18"]


class BasicBlock(nn.Module):
    """Two convolutions of three pixels and a skip connection."""

    def __init__(self, below: int, width: int, stride: int):
        super().__init__()
        self.first = nn.Conv1d(below, width, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm1d(width)
        self.second = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm1d(width)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or below != width:
            self.skip = nn.Sequential(
                nn.Conv1d(below, width, 1, stride, bias=False), nn.BatchNorm1d(width)
            )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map (B, below, P) to (B, width, P / stride)."""
        inner = functional.relu(self.first_norm(self.first(values)))  # (B, C, L)
        return functional.relu(self.skip(values) + self.second_norm(self.second(inner)))


@register_model("resnet18")  # the paper's: 4.86 M parameters
@register_model("resnet18_tiny", widths=(8, 16, 32, 64), n_block=1)
class ResNet18(nn.Module):
    """He et al. 2016 in one dimension: (B, P) -> (B, n_output).

    Channel widths are the paper's (Sec. 3.6); kernel sizes and strides are those of the
    original network, which reproduce the published 4.9 M parameters.
    """

    def __init__(
        self,
        n_wave: int,
        n_output: int,
        *,
        widths: tuple[int, ...] = (72, 144, 288, 576),
        n_block: int = 2,
    ):
        super().__init__()
        self.stem = nn.Sequential(
            # two halvings before the first block
            nn.Conv1d(1, widths[0], 7, stride=2, padding=3, bias=False),
            nn.BatchNorm1d(widths[0]),
            nn.ReLU(),
            nn.MaxPool1d(3, stride=2, padding=1),
        )
        blocks, below = [], widths[0]
        for stage, width in enumerate(widths):
            for step in range(n_block):
                # each stage but the first halves the length
                blocks.append(BasicBlock(below, width, 2 if stage and not step else 1))
                below = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(below, n_output)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        linear_init(self.head)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Predict standardised labels."""
        # mean over the length: (B, C)
        return self.head(self.blocks(self.stem(flux_BP.unsqueeze(1))).mean(dim=2))
