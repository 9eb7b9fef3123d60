"""BiLSTM: a recurrent network that reads wavelength patches in both directions."""

import torch
from torch import nn

from starsmith.learners.estimators.registry import register_model
from starsmith.learners.networks.blocks import linear_init, patch_tokenizer, read_both_ways

__all__ = ["BiLSTM"]


@register_model("bilstm")  # the paper's: 4.21 M parameters
@register_model("bilstm_tiny", patch=64, dim=64, hidden=96, depth=1, dropout=0.0)
class BiLSTM(nn.Module):
    """Patches -> stacked bidirectional LSTM -> labels: (B, P) -> (B, n_output).

    The paper's strongest single family (Sec. 3.6). Its width is not stated; 256 is the only
    round number that gives the published 4.2 M parameters.
    """

    def __init__(
        self,
        n_wave: int,
        n_output: int,
        *,
        patch: int = 16,
        dim: int = 256,
        hidden: int = 256,
        depth: int = 3,
        dropout: float = 0.1,
        tokenizer: str = "conv",
    ):
        super().__init__()
        self.tokenizer = patch_tokenizer(tokenizer, n_wave, dim, patch, patch)
        self.lstm = nn.LSTM(
            dim,
            hidden,
            num_layers=depth,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if depth > 1 else 0.0,
        )
        self.head = nn.Linear(2 * hidden, n_output)
        linear_init(self.head)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Predict standardised labels from the last state of each direction."""
        _, hidden = read_both_ways(self.lstm, self.tokenizer(flux_BP))  # (2 depth, B, H)
        # last layer: end of forward and of backward pass
        return self.head(torch.cat([hidden[-2], hidden[-1]], dim=1))
