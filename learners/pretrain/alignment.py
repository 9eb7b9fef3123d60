"""Two pretrained networks whose vectors of one star are brought together.

SpecCLIP's three variants: ``base`` compares vectors; ``split`` compares their shared part, restores
each spectrum from both parts and the other spectrum from the shared one; ``pr`` restores and
predicts from the whole vector.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.preprocess import LabelScale, Normaliser, Statistics
from starsmith.learners.pretrain.autoencoder import SpectralAutoencoder
from starsmith.learners.pretrain.contrastive import contrastive_loss, gathered
from starsmith.learners.pretrain.heads import (
    DROPOUT,
    AttentionHead,
    JointDecoder,
    LatentHead,
    SplitAttentionHead,
    SplitLatentHead,
    plain_decoder,
)
from starsmith.learners.pretrain.transformer import MaskedTransformer
from starsmith.learners.training.distributed import share_of_process

__all__ = ["SIDES", "VARIANTS", "AlignedPair"]

VARIANTS = ("base", "split", "pr")
SIDES = ("first", "second")
INPUTS = ("second_wave", "second_mean", "second_std")
"""Buffers: wavelengths [Å] and statistics of the second kind of spectra."""
WIDE, NARROWING = (4.0, 4.0, 4.0), (4.0, 2.0, 1.0)  # hidden layers over the vector's length

Backbone = MaskedTransformer | SpectralAutoencoder


class Side(nn.Module):
    """A pretrained network that no longer learns, and its head."""

    def __init__(self, backbone: Backbone, variant: str, dim: int, n_head: int, dropout: float):
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        latent = isinstance(backbone, SpectralAutoencoder)
        if variant == "split":
            kind = SplitLatentHead if latent else SplitAttentionHead
            sizes = {"shared": 2 * dim // 3, "private": dim - 2 * dim // 3}
        else:
            kind, sizes = (LatentHead if latent else AttentionHead), {"dim": dim}
        # between: in proportion to the vector, 1160 of 768
        own = {"between": round(1160 * dim / 768)} if latent else {"n_head": n_head}
        self.head = kind(backbone.dim, **sizes, **own, dropout=dropout)

    def train(self, mode: bool = True) -> "Side":
        """Train the head; the backbone never drops anything out."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, flux_BP: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Vector, or shared and private vectors, of spectra."""
        with torch.no_grad():
            tokens = self.backbone(flux_BP)
        found = self.head(tokens)
        return found if isinstance(found, tuple) else (found,)


class AlignedPair(nn.Module):
    """Networks of two kinds of spectra of the same stars.

    Parameters
    ----------
    backbones : (network, network)
        Pretrained; their weights are frozen.
    variant : str
        ``base``, ``split`` or ``pr``.
    dim : int
        Of the vectors; of ``split`` two thirds are shared.
    n_head : int
        Of the query that reads tokens.
    scaled_targets : bool
        Spectra of the first kind are restored and predicted at mean zero and variance one. As
        published (False) they are restored so, and predicted unscaled.
    dropout : float
    """

    n_uniform = 0

    def __init__(
        self,
        backbones: Sequence[Backbone],
        *,
        variant: str = "base",
        dim: int = 768,
        n_head: int = 4,
        scaled_targets: bool = True,
        dropout: float = DROPOUT,
    ):
        super().__init__()
        if variant not in VARIANTS:
            raise ConfigError(f"variant {variant!r} is not one of {', '.join(VARIANTS)}")
        if variant == "split" and dim % 3:
            raise ConfigError(f"dim = {dim} of variant split must be a multiple of 3")
        self.variant, self.dim, self.scaled_targets = variant, dim, scaled_targets
        self.first, self.second = (Side(b, variant, dim, n_head, dropout) for b in backbones)
        self._add_decoders(dropout)
        n_wave = self.second.backbone.n_wave
        for name in INPUTS:
            self.register_buffer(name, torch.ones(n_wave, dtype=torch.float64))

    def remember(self, statistics: Statistics) -> None:
        """Keep what the second network knows of its input, beside the weights."""
        normaliser = statistics.normaliser
        values = (statistics.wave, normaliser.mean, normaliser.std)
        for name, value in zip(INPUTS, values, strict=True):
            getattr(self, name).copy_(torch.from_numpy(value))

    def second_statistics(self) -> Statistics:
        """Inverse of `remember`."""
        wave, mean, std = (getattr(self, name).cpu().numpy() for name in INPUTS)
        return Statistics(wave, Normaliser(mean, std), LabelScale(np.empty(0), np.empty(0)))

    def _add_decoders(self, dropout: float) -> None:
        n_wave = {name: getattr(self, name).backbone.n_wave for name in SIDES}
        own, cross = {}, {}
        if self.variant == "split":
            shared = 2 * self.dim // 3
            for name, size in n_wave.items():
                own[name] = JointDecoder(shared, self.dim - shared, size)
                shape = WIDE if size > shared else NARROWING
                cross[name] = plain_decoder(shared, size, shape, dropout)
        elif self.variant == "pr":
            for name, size in n_wave.items():
                shape = WIDE if size > self.dim else NARROWING
                own[name] = plain_decoder(self.dim, size, shape, dropout)
                cross[name] = plain_decoder(self.dim, size, shape, dropout)
        self.decoder, self.cross_decoder = nn.ModuleDict(own), nn.ModuleDict(cross)

    def embed(self, flux_BP: torch.Tensor, side: str = "first") -> torch.Tensor:
        """One vector a spectrum; of ``split`` its shared part, then its private one."""
        return torch.cat(getattr(self, side)(flux_BP), dim=-1)

    def forward(self, flux_BP: torch.Tensor, side: str = "first") -> torch.Tensor:
        """The part of `embed` that both sides can be compared by: shared, or all of it."""
        return getattr(self, side)(flux_BP)[0]

    def predict(self, flux_BP: torch.Tensor, side: str = "first") -> torch.Tensor:
        """The other spectrum of stars, from the one of ``side``; ConfigError for ``base``."""
        other = SIDES[1 - SIDES.index(side)]
        if other not in self.cross_decoder:
            raise ConfigError("variant base predicts no spectra; align with split or pr")
        return self.cross_decoder[other](self.forward(flux_BP, side))

    def number(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Part that one process has in a loss of all."""
        return torch.tensor(1.0 / share_of_process().n_process, device=first.device)

    def teach(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Contrastive loss of a batch over all processes, and what is restored amiss.

        Value and gradient are this process's part of both: parts add up.
        """
        share = share_of_process() if self.training else None
        one, other = self.first(first), self.second(second)
        if share is None or share.n_process == 1:
            return contrastive_loss(one[0].float(), other[0].float()) + self._amiss(
                first, second, one, other
            )
        whole = contrastive_loss(gathered(one[0].float(), share), gathered(other[0].float(), share))
        part = whole.detach() / share.n_process + (whole - whole.detach())
        return part + self._amiss(first, second, one, other) / share.n_process

    def _amiss(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        one: tuple[torch.Tensor, ...],
        other: tuple[torch.Tensor, ...],
    ) -> torch.Tensor | float:
        """Mean absolute errors of spectra restored, and of spectra predicted from the other."""
        if self.variant == "base":
            return 0.0
        scaled = (first - first.mean(1, keepdim=True)) / first.std(1, keepdim=True).clamp_min(1e-6)
        predicted = scaled if self.scaled_targets else first
        decoder, cross = self.decoder, self.cross_decoder
        pairs = (
            (decoder["first"](*one), scaled),
            (decoder["second"](*other), second),
            (cross["first"](other[0]), predicted),
            (cross["second"](one[0]), second),
        )
        return sum(functional.l1_loss(guess.float(), target) for guess, target in pairs)
