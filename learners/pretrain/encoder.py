"""A pretrained run read back: spectra in, vectors out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.errors import ConfigError, ContractError, DataError
from starsmith.learners.checkpoint import read_checkpoint
from starsmith.learners.device import pick_device
from starsmith.learners.preprocess import Statistics, iterate_blocks
from starsmith.learners.pretrain.alignment import SIDES, AlignedPair
from starsmith.learners.pretrain.networks import (
    add_changes,
    build_pair,
    build_pretrained,
    kind_of_network,
    merge_changes,
)

__all__ = ["EMBEDDINGS", "Encoder", "open_encoder"]

EMBEDDINGS = ("token", "mean", "projected", "split")
"""Kinds of vectors: the token of a spectrum's own statistics, once it knows the others; mean over
tokens (or a latent); what two kinds of spectra are compared by; shared and private part."""

ROWS = 256
PREFIX = "model."
LEAST_STD = 1e-6


@dataclass(frozen=True, eq=False)
class Encoder:
    """Spectra on a network's pixels to vectors.

    Attributes
    ----------
    card : dict
        Of its run.
    network : torch.nn.Module
        That embeds; of an aligned pair that of one side.
    statistics : Statistics
        Of its input: ``wave`` [Å] and how it is scaled.
    pair : AlignedPair or None
    side : str
        Of the pair: ``first`` or ``second``.
    device : torch.device
    pair_statistics : (Statistics, Statistics), or empty
        Of both sides of a pair.
    """

    card: dict
    network: nn.Module
    statistics: Statistics
    pair: AlignedPair | None
    side: str
    device: torch.device
    pair_statistics: tuple[Statistics, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of vectors it can give, the one it gives by default last."""
        if self.pair is None:
            return (*(["token"] if getattr(self.network, "statistics", ()) else []), "mean")
        return ("mean", "projected", *(["split"] if self.pair.variant == "split" else []))

    @property
    def backbone(self) -> dict:
        """Name, options and pixels of the network, from which it is built again."""
        if self.pair is not None:
            return self.card["backbones"][SIDES.index(self.side)]
        return {
            "model": self.card["model"],
            "options": self.card["options"],
            "n_wave": self.card["wave"]["n_wave"],
        }

    def check_wave(self, wave: np.ndarray, name: str) -> None:
        """Raise DataError if ``wave`` [Å] are not the pixels of the run in folder ``name``."""
        own = self.statistics.wave
        if wave.shape != own.shape or not np.allclose(wave, own, rtol=0, atol=1e-3):
            raise DataError(
                f"{name}: reads {own.size} pixels, {own[0]:.1f}-{own[-1]:.1f} Å, found "
                f"{wave.size} of {wave[0]:.1f}-{wave[-1]:.1f} Å; bring the spectra to its pixels "
                "or pretrain on theirs"
            )

    def scaled(self, flux: np.ndarray, error: np.ndarray | None = None) -> np.ndarray:
        """Network input, float32 (n_spec, n_wave): parameters of `encode`.

        A pixel that is not finite, or whose error is not finite and positive, counts as masked:
        it becomes the mean of the training spectra.
        """
        flux = np.atleast_2d(np.asarray(flux, dtype=np.float32))
        if flux.shape[1] != self.statistics.wave.size:
            raise DataError(
                f"spectra have {flux.shape[1]} pixels, the network reads "
                f"{self.statistics.wave.size}; bring them to its pixels"
            )
        bad = ~np.isfinite(flux)
        if error is not None:
            error = np.atleast_2d(np.asarray(error))
            bad |= ~(np.isfinite(error) & (error > 0))
        mask = bad.astype(np.uint32)
        return self.statistics.normaliser.apply(np.where(bad, 0.0, flux).astype(np.float32), mask)

    def encode(
        self, flux: np.ndarray, error: np.ndarray | None = None, kind: str | None = None
    ) -> np.ndarray:
        """Vectors of spectra.

        Parameters
        ----------
        flux : float array, shape (n_spec, n_wave)
            Observed, on the pixels ``statistics.wave``; any linear unit.
        error : float array, shape (n_spec, n_wave), optional
            1σ; where it is not finite and positive the pixel is masked.
        kind : str, optional
            One of `EMBEDDINGS`; by default the last of ``kinds``.

        Returns
        -------
        vectors : float32 array, shape (n_spec, dim)

        Raises
        ------
        ConfigError
            If the network gives no vectors of that kind.
        DataError
            If the spectra have another number of pixels.
        """
        embed = self._embedder(kind or self.kinds[-1])
        scaled = self.scaled(flux, error)
        parts = []
        with torch.no_grad():
            for rows in iterate_blocks(len(scaled), ROWS):
                part = torch.from_numpy(scaled[rows]).to(self.device)
                parts.append(embed(part).float().cpu().numpy())
        return np.concatenate(parts) if parts else np.empty((0, self.network.dim), np.float32)

    @property
    def other(self) -> Statistics:
        """Input of the other side of an aligned pair; ConfigError where there is none."""
        if self.pair is None:
            raise ConfigError(
                f"{self.card['model']!r} reads one kind of spectra; predict the other kind with a "
                "run of `speclearn pretrain align --variant split` or pr"
            )
        return self.pair_statistics[1 - SIDES.index(self.side)]

    def cross(self, flux: np.ndarray, error: np.ndarray | None = None) -> np.ndarray:
        """Spectra of the other side of an aligned pair, of the same stars.

        Parameters
        ----------
        flux, error : float arrays, shape (n_spec, n_wave)
            As of `encode`.

        Returns
        -------
        predicted : float32 array, shape (n_spec, n_other)
            Of the second side: flux over its median, on the pixels ``other.wave``. Of the first:
            what the network is shown of a spectrum, at mean zero and variance one, unless
            ``scaled_targets`` is off; see `shown`.

        Raises
        ------
        ConfigError
            If there is no other side, or the pair predicts none.
        """
        other, pair = self.other, self.pair
        scaled, parts = self.scaled(flux, error), []
        with torch.no_grad():
            for rows in iterate_blocks(len(scaled), ROWS):
                part = torch.from_numpy(scaled[rows]).to(self.device)
                parts.append(pair.predict(part, self.side).float().cpu().numpy())
        found = np.concatenate(parts)
        if self.side == "second" and pair.scaled_targets:
            return found
        return (found * other.normaliser.std + other.normaliser.mean).astype(np.float32)

    def shown(self, flux: np.ndarray, error: np.ndarray | None = None) -> np.ndarray:
        """Spectra of this side in the unit that `cross` of the other side predicts them in."""
        scaled = self.scaled(flux, error)
        if self.side == "first" and self.pair.scaled_targets:
            spread = scaled.std(axis=1, ddof=1, keepdims=True)
            return (scaled - scaled.mean(axis=1, keepdims=True)) / np.maximum(spread, LEAST_STD)
        normaliser = self.statistics.normaliser
        return (scaled * normaliser.std + normaliser.mean).astype(np.float32)

    def _embedder(self, kind: str) -> Callable[[torch.Tensor], torch.Tensor]:
        if kind not in self.kinds:
            raise ConfigError(
                f"--kind {kind}: {self.card['model']!r} gives {', '.join(self.kinds)}"
            )
        if kind == "token":
            return lambda flux: self.network(flux)[:, 0]
        if self.pair is None or kind == "mean":
            return self.network.embed
        pair, side = self.pair, self.side
        if kind == "split":
            return lambda flux: pair.embed(flux, side)
        return lambda flux: pair(flux, side)


def open_encoder(folder: Path | str, side: str = "first", device: str | None = None) -> Encoder:
    """Read a run of `pretrain` or `align`.

    Parameters
    ----------
    folder : path
    side : str
        Of an aligned pair, whose spectra are read: ``first`` or ``second``.
    device : str, optional
        torch device; a GPU by default where there is one.

    Returns
    -------
    encoder : Encoder
        ``encoder.encode(flux, error)`` gives vectors, float32 (n_spec, dim).

    Raises
    ------
    ConfigError
        If there is no such side.
    DataError, ContractError
        If the folder holds no pretrained run, or one that is damaged.
    """
    if side not in SIDES:
        raise ConfigError(f"side {side!r} is not one of {', '.join(SIDES)}")
    folder, where = Path(folder), pick_device(device)
    card, tensors = read_checkpoint(folder)
    if card["labels"]:
        raise DataError(
            f"{folder}: a model of {', '.join(card['labels'])}, no pretrained network; give the "
            "folder that `speclearn pretrain --out` wrote"
        )
    weights = {
        name.removeprefix(PREFIX): torch.from_numpy(values)
        for name, values in tensors.items()
        if name.startswith(PREFIX)
    }
    network = merge_changes(_network(folder, card, weights)).to(where).eval()
    statistics = Statistics.from_tensors(tensors)
    if not isinstance(network, AlignedPair):
        return Encoder(card, network, statistics, None, side, where)
    both = (statistics, network.second_statistics())
    own = both[SIDES.index(side)]
    return Encoder(card, getattr(network, side).backbone, own, network, side, where, both)


def _network(folder: Path, card: dict, weights: dict[str, torch.Tensor]) -> nn.Module:
    """Network of a card with its weights; ContractError if they do not fit."""

    def plain() -> nn.Module:
        if kind_of_network(card["model"]) != "align":
            return build_pretrained(card["model"], card["wave"]["n_wave"], card["options"])
        parts = [build_pretrained(b["model"], b["n_wave"], b["options"]) for b in card["backbones"]]
        return build_pair((parts[0], parts[1]), card["model"], card["options"])

    def create() -> nn.Module:
        changes = {name: card["recipe"].get(name, 0) or 0 for name in ("rank", "alpha")}
        if not changes["rank"]:
            return plain()
        return add_changes(plain(), **changes, targets=card["recipe"].get("targets", ""))

    try:
        with torch.device("meta"):  # no memory: options of a damaged card may ask for any
            planned = {name: tuple(v.shape) or (1,) for name, v in create().state_dict().items()}
        if planned != {name: tuple(v.shape) or (1,) for name, v in weights.items()}:
            raise ValueError("their shapes differ")
        network = create()
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, ValueError, ArithmeticError, LookupError) as problem:
        raise ContractError(
            f"{folder}: the weights do not fit network {card['model']!r} ({problem}); pretrain it "
            "again"
        ) from None
    return network
