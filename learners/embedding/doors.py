"""What turns spectra into vectors: a pretrained run, a trained model, or any callable."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.rest_frame import shift_to_rest
from starsmith.data_contract.surveys.spectrum import SurveySpectrum, Velocity
from starsmith.data_contract.surveys.standardise.recipe import StandardRecipe
from starsmith.data_contract.surveys.standardise.standardise import standardise
from starsmith.learners.checkpoint import CARD
from starsmith.learners.estimators.registry import kind_of
from starsmith.learners.prediction.own_pixels import check_wave, same_wave
from starsmith.learners.prediction.predict import Predictor, load_checkpoint
from starsmith.learners.preprocess import iterate_blocks

__all__ = ["Door", "bring", "door_of", "function_door", "open_door"]

Encode = Callable[[np.ndarray, np.ndarray | None, np.ndarray], np.ndarray]
BLOCK = 512


@dataclass(frozen=True)
class Door:
    """Any callable from spectra to vectors, and what is to be known of it.

    Attributes
    ----------
    encode : callable
        ``encode(flux, error, mask)`` returns float (n_spec, dim); error may be None, mask 0 = good.
    name : str
        In words.
    wave : float64 array, shape (n_wave,), or None
        Pixels that it reads [vacuum Å]; None for any.
    """

    encode: Encode
    name: str
    wave: np.ndarray | None = None

    def vectors(self, seen: Observed, what: str = "spectra") -> np.ndarray:
        """Vectors of spectra (n_spec, n_wave), float32 (n_spec, dim).

        Raises
        ------
        DataError
            If they are on other pixels, or vectors are not finite or of another number.
        """
        if self.wave is not None:
            check_wave(self.wave, seen.wave, what)
        usable = seen.usable
        flux = np.where(usable, seen.flux, 0.0).astype(np.float32)
        error = None if seen.error is None else np.where(usable, seen.error, 1.0)
        found = np.asarray(self.encode(flux, error, (~usable).astype(np.uint32)), dtype=np.float32)
        if found.ndim != 2 or len(found) != len(flux) or not np.isfinite(found).all():
            raise DataError(
                f"{self.name}: gave an array of shape {found.shape} for {len(flux)} spectra, or "
                "numbers that are not finite; expected a vector of finite numbers for each"
            )
        return found

    def of_split(self, split: Any, rows: slice | None = None) -> np.ndarray:
        """Vectors of a split's spectra under their noise of record, float32 (n_spec, dim)."""
        stop = len(split) if rows is None else rows.stop
        parts = [
            self.vectors(split.observe(some), f"split {split.name!r}")
            for some in iterate_blocks(stop, BLOCK)
        ]
        return np.concatenate(parts)


def open_door(
    folder: Path | str, kind: str | None = None, side: str = "first", device: str | None = None
) -> Door:
    """Encoder of a run folder.

    Parameters
    ----------
    folder : path
        Of `speclearn pretrain`: its vectors of a kind. Of `speclearn train`: what its last layer
        reads; the amounts of its keys for ``any_instrument``.
    kind : str, optional
        ``mean``, ``projected`` or ``split`` of a pretrained run.
    side : str
        Of an aligned pair: ``first`` or ``second``.
    device : str, optional

    Raises
    ------
    ConfigError
        If a trained model is asked for a kind, or has no layers.
    DataError, ContractError
        If the folder is no run.
    """
    place = Path(folder) / CARD
    if place.is_file() and read_json(place).get("kind") == "pretrain":
        from starsmith.learners.pretrain.encoder import open_encoder

        encoder = open_encoder(folder, side, device)
        card, kind = encoder.card, kind or encoder.kinds[-1]

        def encode(flux: np.ndarray, error: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
            """Vectors, bad pixels masked by an error of 0."""
            bad = np.where(mask == 0, 1.0 if error is None else error, 0.0)
            return encoder.encode(flux, bad, kind)

        if kind not in encoder.kinds:
            raise ConfigError(f"--kind {kind}: {card['model']!r} gives {', '.join(encoder.kinds)}")
        name = f"{card['model']} {card['weights_sha256'][:12]}, {kind}"
        return Door(encode, name, encoder.statistics.wave)
    predictor = load_checkpoint(folder, device)
    if kind is not None:
        raise ConfigError(
            f"--kind {kind}: {folder} is a model of {', '.join(predictor.labels)}, whose vectors "
            "are what its last layer reads; drop --kind"
        )
    return door_of(predictor)


def function_door(text: str, wave: np.ndarray | None = None) -> Door:
    """Encoder of a function, ``package.module:function``.

    It is called as ``function(flux, error, mask)``; one that has a parameter ``wave`` [vacuum Å] is
    given all four by name. See `Door`.

    Parameters
    ----------
    text : str
    wave : float64 array, shape (n_wave,), optional
        Pixels of the spectra that it will see [vacuum Å].

    Raises
    ------
    ConfigError
        If there is no such module or function.
    """
    module, _, name = text.partition(":")
    try:
        encode = reduce(getattr, name.split("."), import_module(module))
    except (ImportError, ValueError) as problem:
        raise ConfigError(
            f"encoder {text}: {problem}; install the package, or put its folder on PYTHONPATH"
        ) from None
    except AttributeError as problem:
        raise ConfigError(f"encoder {text}: {problem}; expected package.module:function") from None
    if not callable(encode):
        raise ConfigError(f"encoder {text}: is no function; expected package.module:function")
    if "wave" not in signature(encode).parameters:
        return Door(encode, text, wave)

    def named(flux: np.ndarray, error: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
        """Vectors, of a function that wants to know the pixels."""
        return encode(flux=flux, error=error, mask=mask, wave=wave)

    return Door(named, text, wave)


def door_of(predictor: Predictor) -> Door:
    """Encoder of a trained model: what its last layer reads; ConfigError if it has no layers."""
    model, estimator = predictor.card["model"], predictor.estimator
    name = f"{model} {predictor.card['weights_sha256'][:12]}"
    if model == "any_instrument":
        return Door(estimator.embed, f"{name}, amounts", predictor.wave)
    if model == "compressed":

        def hidden(flux: np.ndarray, error: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
            """Last hidden layer."""
            import torch

            if error is None:
                raise DataError("compressed weighs pixels by their error; the spectra have none")
            seen = estimator.eye.project(flux, error.astype(np.float32))
            with torch.no_grad():
                return estimator.network(estimator.eye.see(*seen).numbers).numpy()

        return Door(hidden, f"{name}, hidden layer", predictor.wave)
    if not kind_of(model).is_network:
        raise ConfigError(
            f"{model!r} has no layers, so no vectors; choose a network, compressed, any_instrument "
            "or a pretrained run"
        )
    return Door(_before_last(predictor), f"{name}, last layer's input", predictor.wave)


def bring(door: Door, spectrum: SurveySpectrum) -> Observed:
    """A spectrum on the pixels of a door, at rest if its velocity is known, (1, n_wave).

    Raises
    ------
    DataError
        If none of its pixels is among the door's.
    """
    if door.wave is None or (
        len(spectrum.arms) == 1 and same_wave(door.wave, spectrum.arms[0].wave)
    ):
        arm = spectrum.arms[0]
        seen = Observed(arm.wave, arm.flux, arm.error, arm.mask)
        return shift_to_rest(seen, spectrum.velocity.shift or 0.0)[None]
    still = replace(spectrum, velocity=Velocity(rv=spectrum.velocity.shift or 0.0))
    return standardise(still, StandardRecipe(snr=False), door.wave)[None]


def _before_last(predictor: Predictor) -> Encode:
    """What the last linear layer of a network reads."""
    import torch

    network = predictor.estimator.model
    last = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]

    def encode(flux: np.ndarray, error: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
        """Its input."""
        seen: list[torch.Tensor] = []
        handle = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            predictor.estimator(predictor.statistics.normaliser.apply(flux, mask))
        finally:
            handle.remove()
        return torch.cat(seen).flatten(1).float().cpu().numpy()

    return encode
