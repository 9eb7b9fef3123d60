"""Heads that turn what a pretrained network says of a spectrum into a vector to compare.

Names of their weights are those of the public SpecCLIP models.
"""

import itertools

import torch
from torch import nn

__all__ = [
    "AttentionHead",
    "JointDecoder",
    "LatentHead",
    "ResidualMLP",
    "SplitAttentionHead",
    "SplitLatentHead",
    "plain_decoder",
]

DROPOUT = 0.1
BETWEEN = 1160  # hidden units: a head on a latent is then as large as one on tokens


class CrossAttention(nn.Module):
    """One learned query that reads all tokens: (B, T, K) -> (B, dim)."""

    def __init__(self, dim: int, n_head: int, n_key: int, dropout: float):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, dim))
        self.multihead_attn = nn.MultiheadAttention(
            dim, n_head, batch_first=True, kdim=n_key, vdim=n_key
        )
        self.layernorm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens_BTK: torch.Tensor) -> torch.Tensor:
        """Read the tokens."""
        query = self.query.expand(len(tokens_BTK), -1, -1)
        found, _ = self.multihead_attn(query, tokens_BTK, tokens_BTK, need_weights=False)
        return self.layernorm(self.dropout(found))[:, 0]

    def maps(self, tokens_BTK: torch.Tensor) -> torch.Tensor:
        """Weight of every token in every head, (B, H, T)."""
        query = self.query.expand(len(tokens_BTK), -1, -1)
        return self.multihead_attn(query, tokens_BTK, tokens_BTK, average_attn_weights=False)[1][
            :, :, 0
        ]


class ResidualMLP(nn.Module):
    """Four times as wide inside; the caller adds what comes out to what went in."""

    def __init__(self, dim: int, dropout: float):
        super().__init__()
        self.encoder = nn.Linear(dim, 4 * dim)
        self.decoder = nn.Linear(4 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the change of the values."""
        hidden = nn.functional.gelu(self.encoder(values))
        return self.dropout(self.decoder(hidden))


def feature_mlp(dim: int, between: int, dropout: float) -> nn.Sequential:
    """Hidden layer between two norms: (B, dim) -> (B, dim)."""
    return nn.Sequential(
        nn.Linear(dim, between),
        nn.LayerNorm(between),
        nn.GELU(),
        nn.Linear(between, dim),
        nn.LayerNorm(dim),
        nn.Dropout(dropout),
    )


class AttentionHead(nn.Module):
    """Tokens to a vector: (B, T, n_key) -> (B, dim)."""

    def __init__(self, n_key: int, dim: int = 768, n_head: int = 4, dropout: float = DROPOUT):
        super().__init__()
        self.cross_attention = CrossAttention(dim, n_head, n_key, dropout)
        self.mlp = ResidualMLP(dim, dropout)

    def forward(self, tokens_BTK: torch.Tensor) -> torch.Tensor:
        """Vectors of spectra."""
        read = self.cross_attention(tokens_BTK)
        return read + self.mlp(read)


class LatentHead(nn.Module):
    """A latent, the only token, to a vector: (B, 1, n_key) -> (B, dim)."""

    def __init__(
        self, n_key: int, dim: int = 768, between: int = BETWEEN, dropout: float = DROPOUT
    ):
        super().__init__()
        self.projection = nn.Linear(n_key, dim)
        self.feature_mlp = feature_mlp(dim, between, dropout)
        self.mlp = ResidualMLP(dim, dropout)

    def forward(self, tokens_B1K: torch.Tensor) -> torch.Tensor:
        """Vectors of spectra."""
        read = self.feature_mlp(self.projection(tokens_B1K[:, 0]))
        return read + self.mlp(read)


class SplitAttentionHead(nn.Module):
    """Tokens to what both spectra of a star share and what is one's own.

    Returns ``(B, shared)`` and ``(B, private)``.
    """

    def __init__(
        self,
        n_key: int,
        shared: int = 512,
        private: int = 256,
        n_head: int = 4,
        dropout: float = DROPOUT,
    ):
        super().__init__()
        self.shared_attention = CrossAttention(shared, n_head, n_key, dropout)
        self.shared_mlp = ResidualMLP(shared, dropout)
        self.private_attention = CrossAttention(private, max(n_head // 2, 1), n_key, dropout)
        self.private_mlp = ResidualMLP(private, dropout)

    def forward(self, tokens_BTK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both vectors of spectra."""
        shared = self.shared_attention(tokens_BTK)
        private = self.private_attention(tokens_BTK)
        return shared + self.shared_mlp(shared), private + self.private_mlp(private)


class SplitLatentHead(nn.Module):
    """`SplitAttentionHead` of a latent, the only token."""

    def __init__(
        self,
        n_key: int,
        shared: int = 512,
        private: int = 256,
        between: int = BETWEEN,
        dropout: float = DROPOUT,
    ):
        super().__init__()
        self.shared_projection = nn.Linear(n_key, shared)
        self.shared_feature_mlp = feature_mlp(shared, between, dropout)
        self.private_projection = nn.Linear(n_key, private)
        self.private_feature_mlp = feature_mlp(private, between, dropout)
        self.shared_mlp = ResidualMLP(shared, dropout)
        self.private_mlp = ResidualMLP(private, dropout)

    def forward(self, tokens_B1K: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both vectors of spectra."""
        latent = tokens_B1K[:, 0]
        shared = self.shared_feature_mlp(self.shared_projection(latent))
        private = self.private_feature_mlp(self.private_projection(latent))
        return shared + self.shared_mlp(shared), private + self.private_mlp(private)


class PlainDecoder(nn.Module):
    """Hidden layers with batch norms, then pixels: (B, dim) -> (B, P)."""

    def __init__(self, widths: tuple[int, ...], n_wave: int, dropout: float):
        super().__init__()
        layers: list[nn.Module] = []
        for below, width in itertools.pairwise(widths):
            layers += [nn.Linear(below, width), nn.GELU(), nn.BatchNorm1d(width)]
            layers += [nn.Dropout(dropout)]
        self.decoder = nn.Sequential(*layers, nn.Linear(widths[-1], n_wave))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Spectra."""
        return self.decoder(vectors)


def plain_decoder(
    dim: int, n_wave: int, narrowing: tuple[float, ...], dropout: float = DROPOUT
) -> PlainDecoder:
    """Decoder whose hidden layers are so many times ``dim`` wide."""
    return PlainDecoder((dim, *(round(k * dim) for k in narrowing)), n_wave, dropout)


class JointDecoder(nn.Module):
    """Pixels from a shared and a private vector."""

    def __init__(self, shared: int, private: int, n_wave: int):
        super().__init__()
        self.shared_proj = nn.Linear(shared, n_wave)
        self.private_proj = nn.Linear(private, n_wave)
        self.final_layer = nn.Sequential(
            nn.Linear(2 * n_wave, 2 * n_wave), nn.GELU(), nn.Linear(2 * n_wave, n_wave)
        )

    def forward(self, shared: torch.Tensor, private: torch.Tensor) -> torch.Tensor:
        """Spectra."""
        both = torch.cat([self.shared_proj(shared), self.private_proj(private)], dim=-1)
        return self.final_layer(both)
