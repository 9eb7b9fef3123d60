"""Models by name: what each kind needs, how it is fitted and opened, who builds a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.data_contract.quantities import DUST, LABELS, NOT_EVERYWHERE
from starsmith.learners.recipe import register_recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from starsmith.data_contract.bank.bank_file import Bank

__all__ = [
    "SIMPLEST",
    "Forward",
    "ForwardEstimator",
    "ForwardView",
    "Kind",
    "Task",
    "builder_of",
    "default_model",
    "kind_of",
    "list_estimators",
    "list_models",
    "register_estimator",
    "register_model",
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
    noise : NoiseModel
        Terms of the noise of the spectra.
    drawn_from : str
        What the stars are drawn from that is no uniform prior: a table, a preset; else empty.
    """

    bank: "Bank"
    ranges: Mapping[str, tuple[float, float]]
    noise: NoiseModel = CALCULATOR
    drawn_from: str = ""

    def __post_init__(self):
        strangers = set(LABELS) & set(NOT_EVERYWHERE) - set(self.bank.label_names)
        acting = {name: span for name, span in self.ranges.items() if name not in strangers}
        object.__setattr__(self, "ranges", acting)


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


def default_model(header: DatasetHeader) -> str:
    """Model to train where none is named: one that draws its stars, if it can draw such data.

    Parameters
    ----------
    header : DatasetHeader
        Of the data set.
    """
    config = header.config
    dusty = any(header.prior.get(DUST, ()))
    odd = header.population or config.get("preset") or any(header.noise_terms.active("refusal"))
    at_hand = Path(config["bank"]).exists() if config.get("bank") else "grid" in config
    return "compressed" if at_hand and not dusty and not odd else "specvit_tiny"


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
    header = dataset.header
    prior = {name: tuple(span) for name, span in header.prior.items()}
    drawn_from = str(header.population.get("path") or header.config.get("preset") or "")
    bank = bank_of(dataset.path)
    return ForwardView(view, Forward(bank, prior, header.noise_terms, drawn_from))


class ForwardEstimator(Protocol):
    """Maps observed spectra to labels in label units."""

    def estimate(
        self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
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
    draws_stars : bool
        Whether it draws its training stars from the bank, and needs data to validate only.
    any_pixels : bool
        Whether it reads spectra on pixels it was not trained on: its estimator has
        ``on(wave, fwhm)``, and its view may have ``others``.
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
    draws_stars: bool = False
    any_pixels: bool = False


NETWORK = "training.network"
SIMPLEST = "ridge"
"""Model of who names none and has no data set: fitted in a moment, without torch."""
_HOME = {
    "any_instrument": "any_instrument.estimator",
    "compressed": "compressed.estimator",
    "gridposterior": "estimators.grid_posterior",
    "lightgbm": "estimators.trees",
    "ridge": "estimators.ridge",
    "template": "estimators.template",
}
"""Estimator -> module whose ``KIND`` it is; imported on first use, as are torch and lightgbm."""

_ADDED: dict[str, Kind] = {}

FAMILY = {
    "bilstm": ("bilstm", "bilstm_tiny"),
    "deep_cnn": ("deep_cnn", "deep_cnn_tiny"),
    "hybrids": (
        "convstem_lstm",
        "convstem_lstm_tiny",
        "convstem_vit",
        "convstem_vit_tiny",
        "lstmformer",
        "lstmformer_tiny",
    ),
    "mlp": ("mlp",),
    "resnet18": ("resnet18", "resnet18_tiny"),
    "specvit": ("overlap_vit", "overlap_vit_tiny", "specvit", "specvit_tiny"),
}
"""Module -> networks it registers: imported, with torch, when one of them is built."""

_MODULE = {name: module for module, names in FAMILY.items() for name in names}
_BUILDERS: dict[str, "Callable[..., nn.Module]"] = {}


def list_estimators() -> list[str]:
    """Names of the estimators that are no networks, sorted."""
    return sorted((*_HOME, *_ADDED))


def builder_of(name: str) -> "Callable[..., nn.Module] | None":
    """Builder of a network, whose family is imported first; None if no network has the name."""
    if name in _MODULE:
        import_module(f"starsmith.learners.networks.{_MODULE[name]}")
    return _BUILDERS.get(name)


def register_model(name: str, **sizes: object) -> Callable:
    """Make a builder available to `create_model` under a name.

    The builder is called as ``builder(n_wave, n_output, **options)`` and returns a module
    that maps float32 ``(n_spec, n_wave)`` standardised flux to ``(n_spec, n_output)``; ``sizes``
    are options of this name, which a call may replace.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> @starsmith.register_model("mean")
    ... def mean(n_wave, n_output, **options):
    ...     from torch import nn
    ...     return nn.Linear(n_wave, n_output)
    >>> "mean" in starsmith.list_models()
    True
    """
    if builder_of(name) is not None or name in list_estimators():
        raise ConfigError(f"a model named {name!r} is registered already; choose another name")

    def register(builder: "Callable[..., nn.Module]") -> "Callable[..., nn.Module]":
        _BUILDERS[name] = partial(builder, **sizes)
        return builder

    return register


def list_models(pattern: str = "*") -> list[str]:
    """Names of every model that can be fitted, sorted; ``pattern`` as in ``*_tiny``.

    Examples
    --------
    >>> "specvit_tiny" in starsmith.list_models()
    True
    """
    return sorted(n for n in {*_MODULE, *_BUILDERS, *list_estimators()} if fnmatchcase(n, pattern))


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
    if name in list_models():
        raise ConfigError(f"a model named {name!r} is registered already; choose another name")
    register_recipe(name, kind.recipe)
    _ADDED[name] = kind
