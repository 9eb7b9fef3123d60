"""any_instrument: one network that reads spectra of instruments it has never seen."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from starsmith.data_contract.errors import ContractError, DataError
from starsmith.learners.any_instrument.basis import line_widths_of
from starsmith.learners.any_instrument.field import Field
from starsmith.learners.any_instrument.pooling import Tokens, n_feature
from starsmith.learners.any_instrument.training import plain_sight, train_network
from starsmith.learners.checkpoint import make_card, write_checkpoint
from starsmith.learners.compressed.has_posterior import HasPosterior
from starsmith.learners.compressed.network import CompressedNetwork, build_network
from starsmith.learners.compressed.posterior import Box
from starsmith.learners.estimators.forward_model import plain_statistics
from starsmith.learners.estimators.registry import Kind, Task
from starsmith.learners.recipe import AnyInstrumentRecipe, recipe_from_table

__all__ = ["KIND", "AnyInstrumentEstimator"]

NETWORK_PARTS = ("layers.", "head.")
NORMALISATION = (
    "native pixels, pooled by keys of their wavelength and line width with inverse variance as "
    "weight; the amplitude is fitted with them"
)


@dataclass(frozen=True)
class KeyModes:
    """Keys of an instrument as spectra of stars: what radial velocities are measured against.

    Attributes
    ----------
    weight : float64 array, shape (n_wave,)
    modes : float64 array, shape (n_key + 1, n_wave)
    centre : float64 array, shape (n_key + 1,)
    covariance : float64 array, shape (n_key + 1, n_key + 1)
    """

    weight: np.ndarray
    modes: np.ndarray
    centre: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class AnyInstrumentEstimator(HasPosterior):
    """A trained network, the field its keys come from, and the pixels it looks at now.

    Attributes
    ----------
    network : CompressedNetwork
    field : Field
    box : Box
    labels : tuple of str
    tokens : Tokens
        Of the pixels of the spectra to come.
    """

    network: CompressedNetwork
    field: Field
    box: Box
    labels: tuple[str, ...]
    tokens: Tokens

    def on(self, wave: np.ndarray, fwhm: np.ndarray) -> "AnyInstrumentEstimator":
        """The same for spectra on other pixels.

        Parameters
        ----------
        wave, fwhm : float64 arrays, shape (n_wave,)
            Centres [vacuum Å] in the star's frame and width of lines there [Å].
        """
        return replace(self, tokens=Tokens.of(self.field, wave, fwhm))

    @property
    def has_posterior(self) -> bool:
        """Whether its head knows more than the mean."""
        return self.network.head.has_posterior

    @property
    def stars_at_rest(self) -> KeyModes:
        """Its keys as spectra, by which velocities are measured."""
        n_key = self.tokens.keys.shape[1]
        spread = np.ones(n_key)
        spread[0] = 0.0
        return KeyModes(
            np.ones(len(self.tokens.keys)),
            self.tokens.keys.T.astype(np.float64),
            1.0 - spread,
            np.diag(spread),
        )

    def embed(self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Posterior means of what stars differ by, float32 (n_spec, n_key); see `Tokens`."""
        n_key = self.tokens.keys.shape[1] - 1
        return self.tokens.features(flux, error, mask)[:, :n_key]

    def posterior(self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray) -> Any:
        """Posterior of spectra; see `HasPosterior.estimate` for the arguments."""
        seen = plain_sight(self.tokens.features(flux, error, mask), len(self.labels))
        return self.network.answer(seen, self.box)


def check_any(task: Task) -> None:
    """Refuse data whose pixels have no line width; DataError naming the data set."""
    for view in task.view.all:
        line_widths_of(view.train)
        if missing := [name for name in task.labels if name not in view.train.label_names]:
            raise DataError(
                f"data set {view.digest[:12]} has no {', '.join(missing)}; it has "
                f"{', '.join(view.train.label_names)}"
            )


def train_any(task: Task) -> None:
    """Train, and write the checkpoint of the best round."""
    start = time.perf_counter()
    trained, field, box = train_network(task, start)
    views, split = task.view.all, task.view.train
    card = make_card(task.model, task.labels, task.recipe, task.view)
    limits = {
        name: [float(low), float(high)]
        for name, low, high in zip(task.labels, box.low, box.high, strict=True)
    }
    card |= {
        "limits": card["limits"] | {"labels": limits},
        "instruments": [_seen(view.train) for view in views],
        "n_parameters": sum(p.numel() for p in trained.network.parameters()) + field.table.size,
        "normalisation": NORMALISATION,
        "metrics": trained.metrics,
        "finished": {
            "reason": f"{trained.n_round} rounds of {task.recipe.epoch_size} stars of "
            f"{len(views)} instruments",
            "seconds": round(time.perf_counter() - start, 3),
        },
    }
    weights = {name: value.numpy() for name, value in trained.network.state_dict().items()}
    weights |= {f"field.{name}": getattr(field, name) for name in ("nodes", "own", "table")}
    weights |= {"box.low": box.low, "box.high": box.high}
    statistics = plain_statistics(split.wave, len(task.labels)).typical_of(task.view)
    write_checkpoint(task.out, card, weights, statistics)


def _seen(split: Any) -> dict:
    """What a card says of an instrument that was trained on."""
    power = np.median(split.wave / split.fwhm)
    return {
        "n_wave": int(split.wave.size),
        "wave": [float(split.wave[0]), float(split.wave[-1])],
        "resolving_power": round(float(power), 1),
        "n_train": len(split),
    }


def load_any(
    folder: Path, card: dict, weights: dict[str, np.ndarray], device: str | None
) -> AnyInstrumentEstimator:
    """Rebuild the estimator of a checkpoint folder; ContractError if its arrays do not fit."""
    import torch

    from starsmith.learners.checkpoint import read_checkpoint
    from starsmith.learners.preprocess import Statistics

    recipe = recipe_from_table(card["recipe"], str(folder))
    if not isinstance(recipe, AnyInstrumentRecipe):
        raise ContractError(f"{folder}: its card is not that of such a model; fit the model again")
    try:
        field = Field(*(weights[f"field.{name}"] for name in ("nodes", "own", "table")))
        own = {n: torch.from_numpy(v) for n, v in weights.items() if n.startswith(NETWORK_PARTS)}
        network = build_network(n_feature(field.table.shape[1] - 1), len(card["labels"]), recipe)
        network.load_state_dict(own)
        box = Box(weights["box.low"], weights["box.high"])
    except (KeyError, IndexError, RuntimeError, ValueError) as problem:
        raise ContractError(
            f"{folder}: its arrays are not those of its recipe ({str(problem).splitlines()[0]}); "
            "fit the model again"
        ) from None
    statistics = Statistics.from_tensors(read_checkpoint(folder)[1])
    tokens = Tokens.of(field, statistics.wave, statistics.fwhm)
    return AnyInstrumentEstimator(network.eval(), field, box, tuple(card["labels"]), tokens)


KIND = Kind(
    recipe=AnyInstrumentRecipe,
    fit=train_any,
    load=load_any,
    check=check_any,
    needs_error=True,
    any_pixels=True,
)
