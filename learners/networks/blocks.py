"""Parts shared by the networks: tokenizers, encoder, recurrent context, initialisation.

Shape legend: B spectra, P pixels, T tokens, D channels, H heads.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from starsmith.data_contract.errors import ConfigError

__all__ = [
    "TINY",
    "ConvStem",
    "ConvTokenizer",
    "Encoder",
    "EncoderBlock",
    "EncoderSize",
    "RecurrentContext",
    "UnfoldTokenizer",
    "linear_init",
    "patch_tokenizer",
    "read_both_ways",
    "readout_of_weights",
]

LAYER_NORM_EPS = 1e-6  # as in ViT (Dosovitskiy et al. 2021)
INIT_STD = 0.02  # as in BERT and ViT
READOUTS = ("summary", "mean", "tokens", "mean_with_summary")
"""What the head reads; the last is what ``mean`` was in earlier checkpoints."""


def linear_init(module: nn.Module) -> None:
    """Truncated normal weights of width 0.02 and zero biases, for every linear layer."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=INIT_STD)
            nn.init.zeros_(layer.bias)


def count_tokens(n_wave: int, patch: int, stride: int) -> int:
    """Return how many whole patches fit; raises ConfigError if none does."""
    if n_wave < patch:
        raise ConfigError(f"spectra of {n_wave} pixels hold no patch of {patch}; lower patch")
    return (n_wave - patch) // stride + 1  # pixels beyond the last whole patch are dropped


class ConvTokenizer(nn.Module):
    """Patches of a spectrum as tokens, by one strided convolution: (B, P) -> (B, T, D)."""

    def __init__(self, n_wave: int, dim: int, patch: int, stride: int):
        super().__init__()
        self.n_token = count_tokens(n_wave, patch, stride)
        self.embed = nn.Conv1d(1, dim, kernel_size=patch, stride=stride)
        # Standardised pixels then give tokens of unit variance, whatever the patch.
        nn.init.trunc_normal_(self.embed.weight, std=patch**-0.5)
        nn.init.zeros_(self.embed.bias)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Embed every patch."""
        (patch,), (stride,) = self.embed.kernel_size, self.embed.stride
        if patch != stride:
            return self.embed(flux_BP.unsqueeze(1)).transpose(1, 2)  # (B, T, D)
        # patches side by side: the same sums as one product, on a GPU with tensor cores
        patches = flux_BP[:, : self.n_token * patch].reshape(-1, self.n_token, patch)
        return functional.linear(patches, self.embed.weight.flatten(1), self.embed.bias)


class UnfoldTokenizer(nn.Module):
    """The same map as `ConvTokenizer`, written as sliding windows and a linear layer."""

    def __init__(self, n_wave: int, dim: int, patch: int, stride: int):
        super().__init__()
        self.n_token = count_tokens(n_wave, patch, stride)
        self.patch, self.stride = patch, stride
        self.embed = nn.Linear(patch, dim)
        nn.init.trunc_normal_(self.embed.weight, std=patch**-0.5)
        nn.init.zeros_(self.embed.bias)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Embed every patch."""
        return self.embed(flux_BP.unfold(1, self.patch, self.stride))  # (B, T, D)


TOKENIZERS = {"conv": ConvTokenizer, "unfold": UnfoldTokenizer}


def patch_tokenizer(kind: str, n_wave: int, dim: int, patch: int, stride: int) -> nn.Module:
    """Return a tokenizer: ``conv``, or ``unfold`` for sliding windows; ConfigError otherwise."""
    if kind not in TOKENIZERS:
        raise ConfigError(f"tokenizer {kind!r} is not one of {', '.join(TOKENIZERS)}")
    return TOKENIZERS[kind](n_wave, dim, patch, stride)


class ConvStem(nn.Module):
    """Four strided convolutions, 16 pixels per token, each seeing 31: (B, P) -> (B, T, D)."""

    def __init__(self, n_wave: int, widths: tuple[int, ...]):
        super().__init__()
        layers: list[nn.Module] = []
        n_token, below = n_wave, 1
        for width in widths:
            layers += [
                nn.Conv1d(below, width, kernel_size=3, stride=2, padding=1),
                nn.BatchNorm1d(width),
                nn.GELU(),
            ]
            n_token, below = (n_token + 1) // 2, width  # stride 2 halves the length
        self.layers = nn.Sequential(*layers)
        self.n_token = n_token
        for layer in self.layers:
            if isinstance(layer, nn.Conv1d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Embed overlapping windows."""
        return self.layers(flux_BP.unsqueeze(1)).transpose(1, 2)  # (B, T, D)


def read_both_ways(lstm: nn.LSTM, tokens_BTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs (B, T, 2 H) and last states (2 depth, B, H) of an LSTM, in the type of the tokens.

    Autocast on CUDA runs an LSTM in float16, and cannot join that with bfloat16 again.
    """
    context, (hidden, _) = lstm(tokens_BTD)
    return context.to(tokens_BTD.dtype), hidden.to(tokens_BTD.dtype)


class RecurrentContext(nn.Module):
    """Tokens told about their neighbours: e + projected BiLSTM(e), normalised."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * hidden, dim)
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        linear_init(self.project)

    def forward(self, tokens_BTD: torch.Tensor) -> torch.Tensor:
        """Return tokens of the same shape."""
        context, _ = read_both_ways(self.lstm, tokens_BTD)
        return self.norm(tokens_BTD + self.project(context))


@dataclass(frozen=True)
class EncoderSize:
    """Size of an `Encoder`, and what its head reads; the defaults are the paper's (Sec. 3.4).

    ``attention_dropout`` is that of the attention weights; below zero, ``dropout``.
    """

    dim: int = 256
    depth: int = 6
    n_head: int = 8
    dropout: float = 0.1
    readout: str = "summary"
    attention_dropout: float = -1.0


class EncoderBlock(nn.Module):
    """Pre-normalised self-attention and MLP, each with a residual connection."""

    def __init__(self, size: EncoderSize):
        super().__init__()
        dim, self.n_head, self.dropout = size.dim, size.n_head, size.dropout
        own = size.attention_dropout
        self.attention_dropout = size.dropout if own < 0 else own
        self.attention_norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.mlp_norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.expand = nn.Linear(dim, 4 * dim)  # four times as wide inside, as in ViT
        self.contract = nn.Linear(4 * dim, dim)

    def _drop(self, values: torch.Tensor) -> torch.Tensor:
        return functional.dropout(values, self.dropout, self.training)

    def _attend(self, tokens_BTD: torch.Tensor) -> torch.Tensor:
        batch, n_token, dim = tokens_BTD.shape
        # (B, T, 3, H, D/H)
        heads = self.query_key_value(tokens_BTD).view(batch, n_token, 3, self.n_head, -1)
        # views, each (B, H, T, D/H): their gradients are written side by side, without a copy
        query, key, value = (part.transpose(1, 2) for part in heads.unbind(2))
        # (B, H, T, D/H); never holds (T, T) in full
        mixed = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.attention_dropout if self.training else 0.0
        )
        # heads side by side again, (B, T, D)
        return self.project(mixed.transpose(1, 2).reshape(batch, n_token, dim))

    def forward(self, tokens_BTD: torch.Tensor) -> torch.Tensor:
        """Return tokens of the same shape."""
        # pre-norm: the sum itself is never normalised
        tokens_BTD = tokens_BTD + self._drop(self._attend(self.attention_norm(tokens_BTD)))
        hidden = functional.gelu(self.expand(self.mlp_norm(tokens_BTD)))
        return tokens_BTD + self._drop(self.contract(hidden))


TINY = {"dim": 64, "depth": 1, "n_head": 4, "dropout": 0.0, "readout": "tokens"}
"""Sizes that learn in minutes on two CPU cores.

The head reads every token with weights of its own. A linear estimator is thereby within reach
from the first step, and some tens of thousands of spectra suffice.
"""


class Encoder(nn.Module):
    """Summary token, learned positions, encoder blocks, linear head: (B, T, D) -> (B, n_output).

    The head reads the summary token; with ``readout="mean"`` the average of all tokens, none of
    them a summary (256 of 4096 pixels, a whole number of a kernel's tiles); with
    ``readout="tokens"`` all of them side by side, each with its own weights.

    Attributes
    ----------
    n_recompute : int
        Blocks, from the first, whose activations are computed again in the backward pass rather
        than kept: the same bits, less memory, more time.
    """

    def __init__(self, n_token: int, n_output: int, size: EncoderSize):
        super().__init__()
        if size.readout not in READOUTS:
            raise ConfigError(f"readout {size.readout!r} is not one of {', '.join(READOUTS)}")
        dim, self.dropout, self.readout = size.dim, size.dropout, size.readout
        self.n_recompute = 0
        if size.readout == "mean":
            self.summary = None
        else:
            n_token += 1
            self.summary = nn.Parameter(torch.empty(1, 1, dim))
        # learned: pixels have fixed wavelengths
        self.positions = nn.Parameter(torch.empty(1, n_token, dim))
        self.blocks = nn.ModuleList(EncoderBlock(size) for _ in range(size.depth))
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        # all tokens side by side, or one
        self.head = nn.Linear(dim * (n_token if size.readout == "tokens" else 1), n_output)
        linear_init(self)
        if self.summary is not None:
            nn.init.trunc_normal_(self.summary, std=INIT_STD)
        nn.init.trunc_normal_(self.positions, std=INIT_STD)

    def forward(self, tokens_BTD: torch.Tensor) -> torch.Tensor:
        """Read the labels off a sequence of tokens."""
        if self.summary is not None:
            summary = self.summary.expand(tokens_BTD.shape[0], -1, -1)
            tokens_BTD = torch.cat([summary, tokens_BTD], dim=1)  # (B, T + 1, D)
        tokens_BTD = functional.dropout(tokens_BTD + self.positions, self.dropout, self.training)
        for number, block in enumerate(self.blocks):
            if self.training and number < self.n_recompute:
                tokens_BTD = checkpoint(block, tokens_BTD, use_reentrant=False)
            else:
                tokens_BTD = block(tokens_BTD)
        normed = self.norm(tokens_BTD)
        if self.readout == "tokens":
            return self.head(normed.flatten(1))
        # token 0 is the summary
        return self.head(normed[:, 0] if self.readout == "summary" else normed.mean(dim=1))


def readout_of_weights(options: dict, weights: dict) -> dict:
    """Options of a network as its weights need them.

    Checkpoints of earlier versions average over a summary token too.
    """
    summarised = any(name.endswith("encoder.summary") for name in weights)
    averaged = options.get("readout") == "mean" and summarised
    return options | ({"readout": "mean_with_summary"} if averaged else {})
