"""Pretrained networks by name, as published and small ones that a CPU can train."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.spelling import suggestion
from starsmith.learners.pretrain.alignment import AlignedPair
from starsmith.learners.pretrain.autoencoder import SpectralAutoencoder
from starsmith.learners.pretrain.transformer import MaskedTransformer
from starsmith.learners.transfer.low_rank import add_low_rank

__all__ = [
    "CHANGED",
    "KINDS",
    "NETWORKS",
    "add_changes",
    "build_pair",
    "build_pretrained",
    "kind_of_network",
    "merge_changes",
]

TINY = {"dim": 64, "depth": 2, "n_head": 4}
SMALL = {"dim": 128, "depth": 4, "n_head": 4}
WIDE_PATCHES = {"patch": 64, "stride": 64, "chunk": 0, "statistics": ("mean", "log_std")}
XP_TOKENS = {"patch": 1, "stride": 1, "statistics": ("mean", "std"), "chunk": 20}

NETWORKS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "lrs_masked": (MaskedTransformer, {"n_position": 150}),  # 42,677,013 parameters at 1462 pixels
    "xp_masked": (MaskedTransformer, XP_TOKENS | {"n_position": 350}),
    "masked_small": (MaskedTransformer, SMALL | WIDE_PATCHES),  # 0.8 M
    "masked_tiny": (MaskedTransformer, TINY | WIDE_PATCHES),  # 0.1 M
    "xp_autoencoder": (SpectralAutoencoder, {}),  # 42,846,129 at 343 pixels
    # 0.7 M and 0.1 M at 343 pixels
    "autoencoder_small": (SpectralAutoencoder, {"width": 256, "dim": 64, "depth": 1, "expand": 2}),
    "autoencoder_tiny": (SpectralAutoencoder, {"width": 80, "dim": 32, "depth": 1, "expand": 2}),
}
"""Name -> class and options, of the networks that learn from one spectrum."""

ALIGNED = ("base", "split", "pr")
KINDS = {"masked": MaskedTransformer, "autoencoder": SpectralAutoencoder, "align": AlignedPair}
"""Ways to pretrain -> class."""

CHANGED = {
    "masked": "attention",
    "autoencoder": "all",
    "align": "first.head.*mlp.encoder,first.head.*mlp.decoder,first.head.*out_proj",
}
"""Layers that change by default, by kind: those of the LoRA note on SpecCLIP (LoRA1, LoRA3)."""


def kind_of_network(name: str) -> str:
    """The way a network is pretrained: ``masked``, ``autoencoder`` or ``align``.

    Raises
    ------
    ConfigError
        If no network has this name.
    """
    if name in ALIGNED:
        return "align"
    if name not in NETWORKS:
        known = [*NETWORKS, *ALIGNED]
        raise ConfigError(
            f"no network to pretrain is called {name!r}{suggestion(name, known)}; choose one of "
            f"{', '.join(known)}"
        )
    return next(kind for kind, cls in KINDS.items() if NETWORKS[name][0] is cls)


def build_pretrained(
    name: str, n_wave: int, options: Mapping[str, Any] | None = None, seed: int = 0
) -> MaskedTransformer | SpectralAutoencoder:
    """Build a network with fresh weights.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    n_wave : int
        Pixels of its spectra.
    options : mapping, optional
        Of its class; they win over those of the name.
    seed : int
        Of the weights; the global generator is left as it was.

    Raises
    ------
    ConfigError
        If name or options are not understood, or spectra too short for them.
    """
    if kind_of_network(name) == "align":
        raise ConfigError(f"{name!r} aligns two pretrained networks; build it with build_pair")
    cls, own = NETWORKS[name]
    return _built(lambda: cls(n_wave, **(own | dict(options or {}))), name, seed)


def build_pair(
    backbones: tuple[nn.Module, nn.Module],
    variant: str,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> AlignedPair:
    """Build the heads, and decoders, that align two pretrained networks.

    Parameters and errors as of `build_pretrained`; ``variant`` is ``base``, ``split`` or ``pr``.
    """
    wanted = {"variant": variant} | dict(options or {})
    return _built(lambda: AlignedPair(backbones, **wanted), variant, seed)


def add_changes(network: nn.Module, rank: int, alpha: float = 0.0, targets: str = "") -> nn.Module:
    """Freeze a network and give layers of it low-rank changes, in place.

    Parameters
    ----------
    network : torch.nn.Module
    rank : int
    alpha : float
        alpha / rank is their scale; 0 for twice the rank.
    targets : str
        As of `target_weights`; empty for those of its kind, `CHANGED`.

    Raises
    ------
    ConfigError
        If the network has no such layers.
    """
    kind = next(kind for kind, cls in KINDS.items() if isinstance(network, cls))
    network.requires_grad_(False)
    add_low_rank(network, targets or CHANGED[kind], rank, alpha or 2.0 * rank)
    return network


def merge_changes(network: nn.Module) -> nn.Module:
    """Add the changes of `add_changes` to the weights, in place: plain layers are left."""
    for layer in network.modules():
        if parametrize.is_parametrized(layer):
            for name in list(layer.parametrizations):
                parametrize.remove_parametrizations(layer, name)
    return network


def _built(build: Any, name: str, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return build()
        except TypeError as problem:
            raise ConfigError(f"network {name!r} does not take these options: {problem}") from None
