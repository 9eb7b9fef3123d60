"""Networks by name: register, list, create."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import LABELS
from starsmith.learners.estimators.registry import list_estimators

if TYPE_CHECKING:
    from torch import nn

__all__ = ["count_parameters", "create_model", "list_models", "register_model"]

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


def _is_built(name: str) -> bool:
    """Whether a builder is known, after its family was imported."""
    if name in _MODULE:
        import_module(f"starsmith.learners.networks.{_MODULE[name]}")
    return name in _BUILDERS


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
    if _is_built(name) or name in list_estimators():
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


def create_model(
    name: str,
    labels: Sequence[str],
    n_wave: int = 4096,
    uncertainty: bool = False,
    seed: int = 0,
    **options: object,
) -> "nn.Module":
    """Build a network with freshly initialised weights.

    Parameters
    ----------
    name : str
        One of `list_models`, except the classical ones.
    labels : sequence of str
        What it predicts, e.g. ``["logg"]``.
    n_wave : int
        Pixels of its input spectra.
    uncertainty : bool
        Also predict a log variance for each label (doubles the outputs).
    seed : int
        Of the initial weights; the global generator is left as it was.
    options
        Passed to the network's builder, e.g. ``dropout=0.0``.

    Returns
    -------
    model : torch.nn.Module
        float32 ``(n_spec, n_wave)`` -> ``(n_spec, n_label)``, or ``(n_spec, 2 n_label)``
        with means first and log variances second.

    Raises
    ------
    ConfigError
        If the name, a label or an option is unknown.

    Examples
    --------
    >>> network = starsmith.create_model("mlp", ["logg"], n_wave=bank.wave.size)
    >>> type(network).__name__
    'MLP'
    """
    if name in list_estimators():
        raise ConfigError(f"{name!r} is not a network; train it with fit({name!r}, ...)")
    if not _is_built(name):
        raise ConfigError(f"unknown model {name!r}; choose one of {', '.join(list_models())}")
    if unknown := sorted(set(labels) - set(LABELS)):
        raise ConfigError(f"unknown label(s) {unknown}; choose from {', '.join(LABELS)}")
    if not labels:
        raise ConfigError("a model needs at least one label, e.g. labels=['logg']")
    import torch

    n_output = len(labels) * (2 if uncertainty else 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return _BUILDERS[name](n_wave, n_output, **options)
        except TypeError as problem:
            raise ConfigError(f"model {name!r} does not take these options: {problem}") from problem


def count_parameters(model: "nn.Module") -> int:
    """Number of trainable numbers in a network."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
