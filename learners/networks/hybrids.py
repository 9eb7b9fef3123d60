"""Transformers behind a convolutional stem, a recurrent layer, or both."""

from typing import Any

import torch
from torch import nn

from starsmith.learners.estimators.registry import register_model
from starsmith.learners.networks.blocks import (
    TINY,
    ConvStem,
    Encoder,
    EncoderSize,
    RecurrentContext,
    patch_tokenizer,
)

__all__ = ["HybridViT"]

PAPER_STEM = (32, 64, 128)
TINY_STEM = (8, 16, 24, 32, 48)  # five halvings and that of the last layer: 64 pixels a token


@register_model("convstem_vit", stem=PAPER_STEM, depth=6)  # 4.94 M parameters
@register_model("convstem_vit_tiny", stem=TINY_STEM, **TINY)  # 64 pixels a token
@register_model("convstem_lstm", stem=PAPER_STEM, hidden=128)  # 4.61 M
@register_model("convstem_lstm_tiny", stem=TINY_STEM, hidden=32, **TINY)
@register_model("lstmformer", hidden=192)  # no stem: 4.81 M
@register_model("lstmformer_tiny", patch=64, hidden=32, **TINY)
class HybridViT(nn.Module):
    """Tokenizer -> optional BiLSTM context -> encoder -> labels: (B, P) -> (B, n_output).

    The paper's ConvStem+LSTM (Sec. 3.5), and the two networks that leave out one part each.

    Parameters
    ----------
    stem : tuple of int
        Widths of the convolutional stem; empty for a plain patch tokenizer.
    hidden : int
        Width of the BiLSTM in each direction; 0 for none.
    tokenizer : str
        ``conv`` or ``unfold``, where there is no stem.
    encoder
        Fields of `EncoderSize`.
    """

    def __init__(
        self,
        n_wave: int,
        n_output: int,
        *,
        stem: tuple[int, ...] = (),
        hidden: int = 0,
        patch: int = 16,
        tokenizer: str = "conv",
        depth: int = 5,
        **encoder: Any,
    ):
        size = EncoderSize(depth=depth, **encoder)
        super().__init__()
        if stem:
            self.tokenizer: nn.Module = ConvStem(n_wave, (*stem, size.dim))
        else:
            self.tokenizer = patch_tokenizer(tokenizer, n_wave, size.dim, patch, patch)
        # without hidden units a pass-through
        self.context = RecurrentContext(size.dim, hidden) if hidden else nn.Identity()
        self.encoder = Encoder(self.tokenizer.n_token, n_output, size)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Predict standardised labels."""
        return self.encoder(self.context(self.tokenizer(flux_BP)))
