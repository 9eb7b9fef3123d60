"""Transformers behind a convolutional stem, a recurrent layer, or both."""

import torch
from torch import nn

from starsmith.learners.networks.blocks import (
    ConvStem,
    Encoder,
    RecurrentContext,
    patch_tokenizer,
)
from starsmith.learners.networks.registry import register_model

__all__ = ["HybridViT"]


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
    """

    def __init__(
        self,
        n_wave: int,
        n_output: int,
        *,
        stem: tuple[int, ...] = (),
        hidden: int = 0,
        patch: int = 16,
        dim: int = 256,
        depth: int = 5,
        n_head: int = 8,
        dropout: float = 0.1,
        readout: str = "summary",
        tokenizer: str = "conv",
    ):
        super().__init__()
        if stem:
            self.tokenizer: nn.Module = ConvStem(n_wave, (*stem, dim))
        else:
            self.tokenizer = patch_tokenizer(tokenizer, n_wave, dim, patch, patch)
        self.context = RecurrentContext(dim, hidden) if hidden else nn.Identity()
        self.encoder = Encoder(
            self.tokenizer.n_token, dim, depth, n_head, n_output, dropout, readout
        )

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Predict standardised labels."""
        return self.encoder(self.context(self.tokenizer(flux_BP)))


PAPER_STEM = (32, 64, 128)
TINY_STEM = (8, 16, 24, 32, 48)
TINY = {"dim": 64, "depth": 1, "n_head": 4, "dropout": 0.0, "readout": "tokens"}


@register_model("convstem_vit")
def convstem_vit(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return six encoder blocks behind a convolutional stem, 4.94 M parameters."""
    return HybridViT(n_wave, n_output, **({"stem": PAPER_STEM, "depth": 6} | options))


@register_model("convstem_vit_tiny")
def convstem_vit_tiny(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return the small version of ``convstem_vit``: 64 pixels per token."""
    return HybridViT(n_wave, n_output, **(TINY | {"stem": TINY_STEM} | options))


@register_model("convstem_lstm")
def convstem_lstm(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return stem, BiLSTM and five encoder blocks, 4.61 M parameters."""
    return HybridViT(n_wave, n_output, **({"stem": PAPER_STEM, "hidden": 128} | options))


@register_model("convstem_lstm_tiny")
def convstem_lstm_tiny(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return the small version of ``convstem_lstm``."""
    return HybridViT(n_wave, n_output, **(TINY | {"stem": TINY_STEM, "hidden": 32} | options))


@register_model("lstmformer")
def lstmformer(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return patch tokenizer, BiLSTM and five encoder blocks, 4.81 M parameters."""
    return HybridViT(n_wave, n_output, **({"hidden": 192} | options))


@register_model("lstmformer_tiny")
def lstmformer_tiny(n_wave: int, n_output: int, **options: object) -> nn.Module:
    """Return the small version of ``lstmformer``."""
    return HybridViT(n_wave, n_output, **(TINY | {"patch": 64, "hidden": 32} | options))
