"""Networks by name: create one, count its weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import LABELS
from starsmith.data_contract.spelling import suggestion
from starsmith.learners.estimators.registry import builder_of, list_estimators, list_models

if TYPE_CHECKING:
    from torch import nn

__all__ = ["count_parameters", "create_model"]


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
    build = builder_of(name)
    if build is None:
        known = list_models()
        raise ConfigError(
            f"unknown model {name!r}{suggestion(name, known)}; choose one of {', '.join(known)}"
        )
    if unknown := sorted(set(labels) - set(LABELS)):
        raise ConfigError(f"unknown label(s) {unknown}; choose from {', '.join(LABELS)}")
    if not labels:
        raise ConfigError("a model needs at least one label, e.g. labels=['logg']")
    import torch

    n_output = len(labels) * (2 if uncertainty else 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return build(n_wave, n_output, **options)
        except TypeError as problem:
            raise ConfigError(f"model {name!r} does not take these options: {problem}") from problem


def count_parameters(model: "nn.Module") -> int:
    """Number of trainable numbers in a network."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
