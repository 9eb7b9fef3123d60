"""SpecViT: a transformer over wavelength patches."""

import torch
from torch import nn

from starsmith.learners.networks.blocks import Encoder, patch_tokenizer
from starsmith.learners.networks.registry import register_model

__all__ = ["SpecViT"]


class SpecViT(nn.Module):
    """Patches -> tokens -> encoder -> labels: (B, P) -> (B, n_output).

    The paper's network (Sec. 3.3-3.4: D = 256, H = 8, L = 6, patch 16) with 4,809,729
    parameters for one label of 4096 pixels. Unlike its published code, the summary token and
    the positions start small, so that they do not drown the tokens in the first epochs.
    """

    def __init__(
        self,
        n_wave: int,
        n_output: int,
        *,
        patch: int = 16,
        stride: int | None = None,
        dim: int = 256,
        depth: int = 6,
        n_head: int = 8,
        dropout: float = 0.1,
        readout: str = "summary",
        tokenizer: str = "conv",
    ):
        super().__init__()
        self.tokenizer = patch_tokenizer(tokenizer, n_wave, dim, patch, stride or patch)
        self.encoder = Encoder(
            self.tokenizer.n_token, dim, depth, n_head, n_output, dropout, readout
        )

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Predict standardised labels."""
        return self.encoder(self.tokenizer(flux_BP))


@register_model("specvit")
def specvit(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return the paper's network, 4.81 M parameters."""
    return SpecViT(n_wave, n_output, **options)


@register_model("specvit_tiny")
def specvit_tiny(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return a network that learns in minutes on two CPU cores.

    Its head reads every token with weights of its own. A linear estimator is thereby within
    reach from the first step, and some tens of thousands of spectra suffice.
    """
    small = {"patch": 64, "dim": 64, "depth": 1, "n_head": 4, "dropout": 0.0, "readout": "tokens"}
    return SpecViT(n_wave, n_output, **(small | options))


@register_model("overlap_vit")
def overlap_vit(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return SpecViT with patches twice as long as their spacing, 4.81 M parameters."""
    return SpecViT(n_wave, n_output, **({"patch": 32, "stride": 16} | options))


@register_model("overlap_vit_tiny")
def overlap_vit_tiny(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return a small network with patches twice as long as their spacing."""
    small = {"patch": 128, "stride": 64, "dim": 64, "depth": 1, "n_head": 4, "dropout": 0.0}
    small["readout"] = "tokens"
    return SpecViT(n_wave, n_output, **(small | options))
