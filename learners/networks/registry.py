"""Networks by name: register, list, create."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import LABELS

__all__ = ["CLASSICAL", "count_parameters", "create_model", "list_models", "register_model"]

CLASSICAL = ("gridposterior", "lightgbm", "ridge", "template")
"""Estimators `starsmith.learners.fit` knows that are not networks."""

_BUILDERS: dict[str, Callable[..., nn.Module]] = {}


def register_model(name: str) -> Callable:
    """Make a builder available to `create_model` under a name.

    The builder is called as ``builder(n_wave, n_output, **options)`` and returns a module
    that maps float32 ``(n_spec, n_wave)`` standardised flux to ``(n_spec, n_output)``.

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
    if name in _BUILDERS or name in CLASSICAL:
        raise ConfigError(f"a model named {name!r} is registered already; choose another name")

    def register(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        _BUILDERS[name] = builder
        return builder

    return register


def list_models(pattern: str = "*") -> list[str]:
    """Names of every model that can be fitted, sorted; ``pattern`` as in ``*_tiny``.

    Examples
    --------
    >>> "specvit_tiny" in starsmith.list_models()
    True
    """
    return sorted(n for n in (*_BUILDERS, *CLASSICAL) if fnmatchcase(n, pattern))


def create_model(
    name: str,
    labels: Sequence[str],
    n_wave: int = 4096,
    uncertainty: bool = False,
    seed: int = 0,
    **options: object,
) -> nn.Module:
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
    if name in CLASSICAL:
        raise ConfigError(f"{name!r} is not a network; train it with fit({name!r}, ...)")
    if name not in _BUILDERS:
        raise ConfigError(f"unknown model {name!r}; choose one of {', '.join(list_models())}")
    if unknown := sorted(set(labels) - set(LABELS)):
        raise ConfigError(f"unknown label(s) {unknown}; choose from {', '.join(LABELS)}")
    if not labels:
        raise ConfigError("a model needs at least one label, e.g. labels=['logg']")
    n_output = len(labels) * (2 if uncertainty else 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return _BUILDERS[name](n_wave, n_output, **options)
        except TypeError as problem:
            raise ConfigError(f"model {name!r} does not take these options: {problem}") from problem


def count_parameters(model: nn.Module) -> int:
    """Number of trainable numbers in a network."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
