"""Estimators by name: what each kind of model needs, how it is fitted, how it is opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError
from starsmith.learners.recipe import register_recipe

if TYPE_CHECKING:
    import torch

    from starsmith.data_contract.bank.bank_file import Bank

__all__ = [
    "Forward",
    "ForwardEstimator",
    "ForwardView",
    "Kind",
    "Task",
    "kind_of",
    "list_estimators",
    "register_estimator",
    "with_forward",
]


@dataclass(frozen=True)
class Forward:
    """What spectra are made from.

    Attributes
    ----------
    bank : Bank
    ranges : mapping of str to (min, max)
        The prior's range of every label, ``mag`` and condition.
    """

    bank: "Bank"
    ranges: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class ForwardView:
    """Training data together with what their spectra are made from.

    Attributes
    ----------
    view : TrainingView
    forward : Forward
    """

    view: TrainingView
    forward: Forward


def with_forward(
    model: str, view: TrainingView, dataset: Dataset, bank_of: Callable[[Path], "Bank"]
) -> TrainingView | ForwardView:
    """Training view, with bank and prior of its data set for the models that compare with them.

    Parameters
    ----------
    model : str
    view : TrainingView
    dataset : Dataset
        Which the view is of.
    bank_of : callable
        Opens the bank of the data set at a path; asked only where it is needed.
    """
    if not kind_of(model).needs_forward:
        return view
    prior = {name: tuple(span) for name, span in dataset.header.prior.items()}
    return ForwardView(view, Forward(bank_of(dataset.path), prior))


class ForwardEstimator(Protocol):
    """Maps observed spectra to labels in label units."""

    def estimate(
        self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values and 1σ, float64 (n_spec, n_label); NaN where the estimate failed."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be fitted to what.

    Attributes
    ----------
    model : str
    view : TrainingView or OnlineView
    labels : tuple of str
    recipe : Recipe
    out : Path
        Checkpoint folder, prepared.
    forward : Forward or None
        Bank and prior of the data, for the kinds that need them.
    progress : callable or None
    device : torch.device or None
        Of a network.
    """

    model: str
    view: TrainingView
    labels: tuple[str, ...]
    recipe: Any
    out: Path
    forward: Forward | None = None
    progress: Callable[[dict], None] | None = None
    device: "torch.device | None" = None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of model.

    Attributes
    ----------
    recipe : type
        Dataclass of its recipe.
    fit : callable
        ``fit(task)`` leaves a checkpoint in ``task.out``.
    load : callable
        ``load(folder, card, weights, device)`` returns the estimator: a function of
        standardised flux, or, with ``needs_error``, a `ForwardEstimator`.
    check : callable, optional
        ``check(task)`` raises before anything is written if the task cannot be done.
    layer : callable, optional
        ``layer(estimator)`` returns a torch module and whether it knows uncertainties.
    needs_error : bool
        Whether it compares observed spectra, weighted by their error.
    needs_forward : bool
        Whether it needs bank and prior of the data.
    needs_known_labels : bool
        Whether every training label must be known.
    is_network : bool
        Whether it learns by epochs: online, from a checkpoint's weights, on a device.
    uses_seed : bool
        Whether a benchmark's seed changes it.
    """

    recipe: type
    fit: Callable[[Task], None]
    load: Callable[[Path, dict, dict[str, np.ndarray], str | None], Callable | ForwardEstimator]
    check: Callable[[Task], None] | None = None
    layer: Callable | None = None
    needs_error: bool = False
    needs_forward: bool = False
    needs_known_labels: bool = True
    is_network: bool = False
    uses_seed: bool = True


NETWORK = "training.network"
_HOME = {
    "gridposterior": "estimators.grid_posterior",
    "lightgbm": "estimators.trees",
    "ridge": "estimators.ridge",
    "template": "estimators.template",
}
"""Estimator -> module whose ``KIND`` it is; imported on first use, as are torch and lightgbm."""

_ADDED: dict[str, Kind] = {}


def list_estimators() -> list[str]:
    """Names of the estimators that are no networks, sorted."""
    return sorted((*_HOME, *_ADDED))


def kind_of(model: str) -> Kind:
    """Return the kind of a model; a name that is no estimator's is a network's."""
    if model in _ADDED:
        return _ADDED[model]
    return import_module(f"starsmith.learners.{_HOME.get(model, NETWORK)}").KIND


def register_estimator(name: str, kind: Kind) -> None:
    """Make an estimator known to `fit`, `load_checkpoint` and `list_models` under a name.

    Its default recipe is ``kind.recipe()``.

    Raises
    ------
    ConfigError
        If the name is taken.
    """
    if name in import_module("starsmith.learners.networks.registry").list_models():
        raise ConfigError(f"a model named {name!r} is registered already; choose another name")
    register_recipe(name, kind.recipe)
    _ADDED[name] = kind
