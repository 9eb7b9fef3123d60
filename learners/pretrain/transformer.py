"""A transformer that learns by guessing hidden parts of a spectrum.

The network of SpecCLIP's LRS branch (which follows AstroCLIP, Parker et al. 2024): patches that
overlap, one token of the spectrum's own statistics, learned positions, blocks normalised first.
Names of its weights are those of the public models.
"""

import torch
from torch import nn
from torch.nn import functional

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.networks.blocks import count_tokens
from starsmith.learners.pretrain.masking import check_chunks, hidden_pixels, hidden_tokens

__all__ = ["Attention", "Block", "MaskedTransformer"]

STATISTICS = {
    "log_std": lambda mean, std: torch.log10(std),
    "mean": lambda mean, std: mean,
    "std": lambda mean, std: std,
}
HIDDEN = 60 / 146  # of the tokens
LEAST_STD = 1e-6  # of a spectrum that is flat: nothing is divided by zero


def narrow_normal(weight: torch.Tensor, std: float) -> None:
    """Fill with normal numbers that stay within three standard deviations."""
    nn.init.trunc_normal_(weight, std=std, a=-3 * std, b=3 * std)


class Attention(nn.Module):
    """Self-attention: (B, T, D) -> (B, T, D).

    Logits are scaled once, by d^-1/2 of a head's d numbers. The public networks were trained
    with the scale applied twice; ``double_scale`` computes what they compute.
    """

    def __init__(self, dim: int, n_head: int, dropout: float = 0.0, double_scale: bool = False):
        super().__init__()
        if dim % n_head:
            raise ConfigError(
                f"dim = {dim} does not divide among n_head = {n_head}; choose a multiple"
            )
        self.n_head, self.dropout = n_head, dropout
        self.scale = (dim // n_head) ** (-1.0 if double_scale else -0.5)
        self.q_proj = nn.Linear(dim, dim)
        self.kv_proj = nn.Linear(dim, 2 * dim)
        self.out_proj = nn.Linear(dim, dim)

    def _heads(self, tokens_BTD: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Query, key and value, each (B, H, T, D/H)."""
        parts = self.q_proj(tokens_BTD), *self.kv_proj(tokens_BTD).chunk(2, dim=-1)
        return tuple(part.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for part in parts)

    def maps(self, tokens_BTD: torch.Tensor) -> torch.Tensor:
        """Weights that ``forward`` gives every token (last axis) for every other, (B, H, T, T)."""
        query, key, _ = self._heads(tokens_BTD)
        return torch.softmax(self.scale * query @ key.transpose(-2, -1), dim=-1)

    def forward(self, tokens_BTD: torch.Tensor) -> torch.Tensor:
        """Mix the tokens."""
        query, key, value = self._heads(tokens_BTD)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0, scale=self.scale
        )
        mixed = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return functional.dropout(mixed, self.dropout, self.training)


class Block(nn.Module):
    """Pre-normalised attention and MLP, each with a residual connection."""

    def __init__(self, dim: int, n_head: int, dropout: float, double_scale: bool):
        super().__init__()
        self.attention = Attention(dim, n_head, dropout, double_scale)
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim), nn.Dropout(dropout)
        )

    def forward(self, tokens_BTD: torch.Tensor) -> torch.Tensor:
        """Return tokens of the same shape."""
        tokens_BTD = tokens_BTD + self.attention(self.ln1(tokens_BTD))
        return tokens_BTD + self.mlp(self.ln2(tokens_BTD))


class MaskedTransformer(nn.Module):
    """Spectra to tokens, and hidden tokens guessed from the others.

    Parameters
    ----------
    n_wave : int
    dim, depth, n_head : int
    patch, stride : int
        Pixels of a patch, and from one to the next; pixels beyond the last whole patch are left
        out, which of 1462 are the last two.
    statistics : sequence of str
        What the first token holds, ``log_std``, ``mean`` or ``std`` of a spectrum: it is then
        shifted to mean zero and scaled to variance one. Of an empty one there is no such token,
        and spectra are taken as they are.
    n_position : int
        Rows of the table of positions; 0 for one each token.
    n_chunk, chunk : int
        Chunks of tokens that are hidden, and their width; 0 for two fifths of all, as published.
    leaky : bool
        Hide the chosen tokens alone, as published: pixels that they share with their neighbours
        are then shown there. Otherwise a hidden pixel is hidden in every patch that holds it.
    double_scale : bool
        See `Attention`.
    """

    def __init__(
        self,
        n_wave: int,
        *,
        dim: int = 768,
        depth: int = 6,
        n_head: int = 6,
        patch: int = 20,
        stride: int = 10,
        statistics: tuple[str, ...] = ("log_std",),
        n_position: int = 0,
        n_chunk: int = 6,
        chunk: int = 10,
        dropout: float = 0.0,
        leaky: bool = False,
        double_scale: bool = False,
    ):
        super().__init__()
        if unknown := set(statistics) - set(STATISTICS):
            raise ConfigError(f"statistics {sorted(unknown)} are not among {', '.join(STATISTICS)}")
        self.n_wave, self.patch, self.stride = n_wave, patch, stride
        self.statistics, self.leaky, self.n_chunk = statistics, leaky, n_chunk
        self.n_patch = count_tokens(n_wave, patch, stride)
        self.n_token = self.n_patch + bool(statistics)
        self.chunk = chunk or max(1, round(HIDDEN * self.n_token / n_chunk))
        check_chunks(self.n_token, n_chunk, self.chunk)
        n_position = n_position or self.n_token
        if n_position < self.n_token:
            raise ConfigError(
                f"spectra of {n_wave} pixels are {self.n_token} tokens, options.n_position = "
                f"{n_position}; raise it, or 0 for as many as needed"
            )
        width = patch + len(statistics)
        self.dim = dim
        self.data_embed = nn.Linear(width, dim)
        self.position_embed = nn.Embedding(n_position, dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, n_head, dropout, double_scale) for _ in range(depth))
        self.final_layernorm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, width)
        for part in (self.data_embed, self.position_embed, self.head):
            narrow_normal(part.weight, dim**-0.5)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):  # narrower with depth, as in AstroCLIP
                narrow_normal(layer.weight, (2 * layer.in_features * depth) ** -0.5)
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.head.bias)

    @property
    def n_uniform(self) -> int:
        """Random numbers that hide parts of one spectrum."""
        return self.n_chunk

    def tokens(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Tokens of spectra, (B, T, C): patches behind one of statistics, zeros around it."""
        if not self.statistics:
            return flux_BP.unfold(1, self.patch, self.stride)
        mean = flux_BP.mean(dim=1, keepdim=True)
        std = flux_BP.std(dim=1, keepdim=True).clamp_min(LEAST_STD)
        patches = ((flux_BP - mean) / std).unfold(1, self.patch, self.stride)
        own = torch.cat([STATISTICS[name](mean, std) for name in self.statistics], dim=1)
        n_own = len(self.statistics)
        first = functional.pad(own, (0, self.patch))[:, None]  # (B, 1, C)
        return torch.cat([first, functional.pad(patches, (n_own, 0))], dim=1)

    def hidden(self, uniform: torch.Tensor) -> torch.Tensor:
        """Which elements of the tokens are hidden, bool (B, T, C); zeros around them never are.

        Parameters
        ----------
        uniform : float tensor, shape (B, n_uniform)
        """
        chosen = hidden_tokens(uniform, self.n_token, self.chunk)
        patches = chosen[:, 1:] if self.statistics else chosen
        if self.leaky:
            inside = patches[:, :, None].expand(-1, -1, self.patch)
        else:
            pixels = hidden_pixels(patches, self.n_wave, self.patch, self.stride)
            inside = pixels.unfold(1, self.patch, self.stride)
        if not self.statistics:
            return inside
        own = chosen[:, :1].expand(-1, len(self.statistics))
        first = functional.pad(own, (0, self.patch))[:, None]
        return torch.cat([first, functional.pad(inside, (len(self.statistics), 0))], dim=1)

    def contextual(self, tokens_BTC: torch.Tensor) -> torch.Tensor:
        """Tokens that know each other, (B, T, D)."""
        place = torch.arange(tokens_BTC.shape[1], device=tokens_BTC.device)
        mixed = self.dropout(self.data_embed(tokens_BTC) + self.position_embed(place))
        for block in self.blocks:
            mixed = block(mixed)
        return self.final_layernorm(mixed)

    def attention_maps(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Weights of every block, (B, depth, H, T, T): those that the network computes with."""
        tokens = self.tokens(flux_BP)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        mixed, maps = self.data_embed(tokens) + self.position_embed(place), []
        for block in self.blocks:
            maps.append(block.attention.maps(block.ln1(mixed)))
            mixed = block(mixed)
        return torch.stack(maps, dim=1)

    def forward(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """Embed every token of spectra, none hidden: (B, P) -> (B, T, D)."""
        return self.contextual(self.tokens(flux_BP))

    def embed(self, flux_BP: torch.Tensor) -> torch.Tensor:
        """One vector a spectrum, the mean over its tokens: (B, P) -> (B, D)."""
        return self.forward(flux_BP).mean(dim=1)

    def number(self, flux_BP: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """How many elements a batch hides: what its summed loss is divided by."""
        return self.hidden(uniform).sum()

    def teach(self, flux_BP: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """Squared error of the guesses, summed over hidden elements.

        Over their number it is the published loss MSE(out m, target m) / mean(m); an element
        that is exactly zero is not left out.
        """
        tokens, hidden = self.tokens(flux_BP), self.hidden(uniform)
        guess = self.head(self.contextual(tokens.masked_fill(hidden, 0.0))).float()
        return torch.where(hidden, (guess - tokens) ** 2, 0.0).sum()
