"""A network that squeezes a spectrum into a few numbers and restores it.

The network of SpecCLIP's XP branch; names of its weights are those of the public models.
"""

import torch
from torch import nn

__all__ = ["SpectralAutoencoder"]

LEAST_STD = 1e-6


class WideBlock(nn.Module):
    """Normalised, three times as wide inside, without a residual connection."""

    def __init__(self, dim: int, expand: int, dropout: float):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, expand * dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(expand * dim, dim),
            nn.Dropout(dropout),
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of the same shape."""
        return self.mlp(self.norm(values))


class SpectralAutoencoder(nn.Module):
    """Mean, standard deviation and scaled pixels of a spectrum -> latent -> the same.

    Parameters
    ----------
    n_wave : int
    width : int
        Of the hidden layers; 1290 in the public network.
    dim : int
        Of the latent.
    depth : int
        Blocks before the latent, and behind it.
    expand : int
        Width inside a block, over ``width``.
    dropout : float
    """

    n_uniform = 0

    def __init__(
        self,
        n_wave: int,
        *,
        width: int = 1290,
        dim: int = 768,
        depth: int = 2,
        expand: int = 3,
        dropout: float = 0.0,
    ):
        super().__init__()
        n_input = n_wave + 2
        self.n_wave, self.dim = n_wave, dim

        def blocks() -> nn.ModuleList:
            return nn.ModuleList(WideBlock(width, expand, dropout) for _ in range(depth))

        self.input_proj = nn.Linear(n_input, width)
        self.encoder_blocks = blocks()
        self.bottleneck_down = nn.Linear(width, dim)
        self.bottleneck_norm = nn.LayerNorm(dim)
        self.bottleneck_up = nn.Linear(dim, width)
        self.decoder_blocks = blocks()
        self.output_proj = nn.Linear(width, n_input)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def inputs(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Mean, standard deviation and scaled pixels, (B, P + 2)."""
        mean = flux_BP.mean(dim=1, keepdim=True)
        std = flux_BP.std(dim=1, keepdim=True).clamp_min(LEAST_STD)
        return torch.cat([mean, std, (flux_BP - mean) / std], dim=1)

    def _latent(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.input_proj(inputs)
        for block in self.encoder_blocks:
            hidden = block(hidden)
        return self.bottleneck_norm(self.bottleneck_down(hidden))

    def restore(self, latent: torch.Tensor) -> torch.Tensor:
        """Mean, standard deviation and scaled pixels from a latent, (B, P + 2)."""
        hidden = self.bottleneck_up(latent)
        for block in self.decoder_blocks:
            hidden = block(hidden)
        return self.output_proj(hidden)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Latent of spectra as a single token: (B, P) -> (B, 1, dim)."""
        return self._latent(self.inputs(flux_BP))[:, None]

    def embed(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """One vector a spectrum, the latent: (B, P) -> (B, dim)."""
        return self._latent(self.inputs(flux_BP))

    def number(self, flux_BP: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """How many numbers a batch restores."""
        return torch.tensor(len(flux_BP) * (self.n_wave + 2), device=flux_BP.device)

    def teach(self, flux_BP: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """Squared error of what is restored, summed."""
        inputs = self.inputs(flux_BP)
        return ((self.restore(self._latent(inputs)).float() - inputs) ** 2).sum()
