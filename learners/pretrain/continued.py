"""A pretrained run that goes on with other spectra: every weight, or low-rank changes."""

import hashlib
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError
from starsmith.learners.pretrain.alignment import AlignedPair
from starsmith.learners.pretrain.encoder import Encoder, open_encoder
from starsmith.learners.pretrain.networks import add_changes
from starsmith.learners.pretrain.sources import View
from starsmith.learners.recipe import PretrainRecipe
from starsmith.learners.transfer.target_views import choose_stars, mapped, take

__all__ = ["as_begun", "begin_from", "brought", "changing", "take_heads"]

BACKBONE = ".backbone."


def begin_from(model: str, recipe: PretrainRecipe) -> Encoder | None:
    """The run that a recipe goes on from, None if it begins anew.

    Raises
    ------
    ConfigError
        If it is of another network.
    DataError, ContractError
        If it is no pretrained run.
    """
    if not recipe.initial:
        return None
    begun = open_encoder(recipe.initial, device="cpu")
    if begun.card["model"] != model:
        raise ConfigError(
            f"{recipe.initial}: a run of {begun.card['model']!r}, not of {model!r}, which it is to "
            "go on as; choose that network, or another run"
        )
    return begun


def as_begun(begun: Encoder, recipe: PretrainRecipe) -> PretrainRecipe:
    """A recipe with the options and the scaling of the run that it goes on from.

    Raises
    ------
    ConfigError
        If it asks for other options.
    """
    own = begun.card["options"]
    if recipe.options and recipe.options != own:
        raise ConfigError(
            f"options {recipe.options}: {recipe.initial} has {own}, and goes on with them; drop "
            "--set options"
        )
    scaling = begun.card["recipe"].get("scaling", recipe.scaling)
    return replace(recipe, options=own, scaling=scaling)


def changing(network: nn.Module, recipe: PretrainRecipe) -> nn.Module:
    """The network with low-rank changes, if a recipe has any; half of them begin at random."""
    if not recipe.rank:
        return network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return add_changes(network, recipe.rank, recipe.alpha, recipe.targets)


def take_heads(network: AlignedPair, begun: Encoder) -> None:
    """Give a pair the heads and decoders of another run; its backbones stay.

    Raises
    ------
    ConfigError
        If they are of other sizes.
    """
    heads = {k: v for k, v in begun.pair.state_dict().items() if BACKBONE not in k}
    try:
        network.load_state_dict(heads, strict=False)
    except RuntimeError as problem:
        reason = " ".join(str(problem).split())[:160]
        raise ConfigError(
            f"initial: its heads do not fit these runs ({reason}); choose runs like its own"
        ) from None


def brought(
    view: View, wave: np.ndarray | None, how: str = "exact", n: int | None = None, seed: int = 0
) -> View:
    """Some spectra of a view, on the pixels of a run.

    Parameters
    ----------
    view : TrainingView or OnlineView
    wave : float64 array, shape (n_wave,), or None
        Of the run; None leaves the pixels as they are.
    how : str
        ``exact``, ``interpolate`` or ``pixel``, as of `mapped`.
    n : int, optional
        Training spectra to learn from, chosen by ``seed``; all by default.
    seed : int

    Raises
    ------
    ConfigError
        If there are fewer, or the view draws its stars.
    DataError
        If the pixels cannot be had.
    """
    if n is None and (wave is None or how == "exact"):
        return view
    if not isinstance(view, TrainingView):
        raise ConfigError("--n and --wave-map choose from a data set; drop them, or --online")
    found = view if wave is None or how == "exact" else mapped(view, wave, how)
    if n is not None:
        found = replace(found, train=take(found.train, choose_stars(found.train, n, seed, None)))
    told = f"{view.digest}\n{how}\n{n}\n{seed}"
    return replace(found, digest=hashlib.sha256(told.encode()).hexdigest())
