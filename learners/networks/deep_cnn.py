"""Deep CNN: eight plain convolutional layers, after StarNet."""

import torch
from torch import nn

from starsmith.learners.estimators.registry import register_model
from starsmith.learners.networks.blocks import linear_init

__all__ = ["DeepCNN"]

KERNEL = 5  # pixels


@register_model("deep_cnn")  # the paper's: 4.70 M parameters
@register_model("deep_cnn_tiny", widths=(4, 8, 8, 16, 16, 32, 32, 32), dense=64)
class DeepCNN(nn.Module):
    """Convolution, batch norm, ReLU, halve; eight times: (B, P) -> (B, n_output).

    The paper (Sec. 3.6) states eight layers and 4.7 M parameters. These widths and the dense
    layer are inferred: of several choices that give that number, the most natural one.
    """

    def __init__(
        self,
        n_wave: int,
        n_output: int,
        *,
        widths: tuple[int, ...] = (64, 64, 128, 128, 256, 256, 512, 512),
        dense: int = 256,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        below, length = 1, n_wave
        for width in widths:
            layers += [
                nn.Conv1d(below, width, KERNEL, padding=KERNEL // 2),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.MaxPool1d(2),
            ]
            below, length = width, length // 2  # pooling halves the length
        self.layers = nn.Sequential(*layers)
        self.dense = nn.Linear(below * length, dense)
        self.head = nn.Linear(dense, n_output)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        linear_init(self.head)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Predict standardised labels."""
        features = self.layers(flux_BP.unsqueeze(1)).flatten(1)  # (B, width x length)
        return self.head(torch.relu(self.dense(features)))
