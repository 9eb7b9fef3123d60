"""A trained network as the base of a transfer: its card, its tensors, networks of its kind."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.adapter import is_adapter, of_labels, read_model
from starsmith.learners.estimators.registry import kind_of
from starsmith.learners.networks import create_model
from starsmith.learners.recipe import UNCERTAIN_LOSSES

__all__ = ["Base", "load_base", "open_base"]

PREFIX = "model."


@dataclass(frozen=True, kw_only=True)
class Base:
    """A trained network to begin with.

    Attributes
    ----------
    path : Path or None
    card : dict
    tensors : dict of arrays
    """

    path: Path | None
    card: dict
    tensors: dict[str, np.ndarray]

    @property
    def uncertain(self) -> bool:
        """Whether the second half of its outputs are log variances."""
        return self.card["recipe"].get("loss") in UNCERTAIN_LOSSES

    @property
    def wave(self) -> np.ndarray:
        """Its pixels [vacuum Å]."""
        return self.tensors["wave"]

    def network(self, labels: tuple[str, ...], seed: int) -> nn.Module:
        """A network of its kind for some labels, with fresh weights."""
        return create_model(
            self.card["model"],
            labels,
            n_wave=self.card["wave"]["n_wave"],
            uncertainty=self.uncertain,
            seed=seed,
            **self.card["options"],
        )


def open_base(path: Path | str) -> Base:
    """Read the checkpoint of a network, whose weights are to begin with.

    Raises
    ------
    ConfigError
        If it is no network: there is nothing that a strategy could change.
    """
    path = Path(path)
    if is_adapter(path):
        raise ConfigError(f"{path}: an adapter; `speclearn merge` it first, and fine-tune that")
    card, tensors = read_model(path)
    if not kind_of(card["model"]).is_network:
        raise ConfigError(
            f"{path}: {card['model']!r} is no network that can be fine-tuned; train one of "
            "`speclearn models` with epochs, e.g. mlp or specvit_tiny"
        )
    if card.get("residual"):
        raise ConfigError(f"{path}: has a residual head already; fine-tune the base it was made of")
    return Base(path=path, card=card, tensors=tensors)


def load_base(network: nn.Module, base: Base, labels: tuple[str, ...], new_head: bool) -> None:
    """Fill a network with the weights of its base; of a new head only what has the same shape."""
    tensors = base.tensors
    if not new_head:
        tensors = of_labels(base.card, tensors, labels)[1]
    held = {n.removeprefix(PREFIX): v for n, v in tensors.items() if n.startswith(PREFIX)}
    state = network.state_dict()
    if new_head:
        last = [n for n, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]
        held = {n: v for n, v in held.items() if not n.startswith(f"{last}.")}
    weights = {n: torch.from_numpy(v).reshape(state[n].shape) for n, v in held.items()}
    network.load_state_dict(weights, strict=not new_head)
