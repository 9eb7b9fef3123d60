"""SpecViT: a transformer over wavelength patches."""

from typing import Any

import torch
from torch import nn

from starsmith.learners.estimators.registry import register_model
from starsmith.learners.networks.blocks import TINY, Encoder, EncoderSize, patch_tokenizer

__all__ = ["SpecViT"]


@register_model("specvit")  # the paper's: 4.81 M parameters
@register_model("overlap_vit", patch=32, stride=16)  # patches twice their spacing: 4.81 M
@register_model("specvit_tiny", patch=64, **TINY)
@register_model("overlap_vit_tiny", patch=128, stride=64, **TINY)
class SpecViT(nn.Module):
    """Patches -> tokens -> encoder -> labels: (B, P) -> (B, n_output).

    The paper's network (Sec. 3.3-3.4: D = 256, H = 8, L = 6, patch 16) with 4,809,729
    parameters for one label of 4096 pixels. Unlike its published code, the summary token and
    the positions start small, so that they do not drown the tokens in the first epochs.
    ``encoder`` are fields of `EncoderSize`.
    """

    def __init__(
        self,
        n_wave: int,
        n_output: int,
        *,
        patch: int = 16,
        stride: int | None = None,
        tokenizer: str = "conv",
        **encoder: Any,
    ):
        size = EncoderSize(**encoder)
        super().__init__()
        self.tokenizer = patch_tokenizer(tokenizer, n_wave, size.dim, patch, stride or patch)
        self.encoder = Encoder(self.tokenizer.n_token, n_output, size)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Predict standardised labels."""
        return self.encoder(self.tokenizer(flux_BP))
