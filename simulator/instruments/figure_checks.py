"""Checks on the figures of an instrument file; each names the key, the value and the bound."""

import numpy as np

from starsmith.data_contract.errors import ConfigError

__all__ = ["covers", "fraction", "increasing", "one_of", "positive", "same_length"]


def positive(owner: object, *names: str, zero: bool = False) -> None:
    """Refuse fields with values below zero, or not above it unless ``zero``."""
    for name in names:
        value = np.asarray(getattr(owner, name), dtype=np.float64)
        if not np.all(value >= 0 if zero else value > 0) or not np.all(np.isfinite(value)):
            bound = "at least 0" if zero else "above 0"
            raise ConfigError(f"{name} is {getattr(owner, name)}, expected {bound}")


def fraction(owner: object, *names: str) -> None:
    """Refuse fields with values outside 0..1."""
    for name in names:
        value = np.asarray(getattr(owner, name), dtype=np.float64)
        if not np.all((value >= 0) & (value <= 1)):
            raise ConfigError(f"{name} is {getattr(owner, name)}, expected 0 to 1")


def increasing(owner: object, name: str) -> None:
    """Refuse a list that does not increase or has fewer than two values."""
    value = np.asarray(getattr(owner, name), dtype=np.float64)
    if value.size < 2 or not np.all(np.diff(value) > 0):
        raise ConfigError(f"{name} is {getattr(owner, name)}, expected increasing values")


def one_of(owner: object, name: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is none of the choices."""
    if getattr(owner, name) not in choices:
        raise ConfigError(f"{name} is {getattr(owner, name)!r}; choose one of {choices}")


def same_length(owner: object, *names: str) -> None:
    """Refuse lists that should run in parallel and do not."""
    lengths = {name: len(getattr(owner, name)) for name in names}
    if len(set(lengths.values())) > 1:
        raise ConfigError(f"lists of different lengths: {lengths}")


def covers(owner: object, name: str, low: float, high: float) -> None:
    """Refuse a list of wavelengths that would have to be extrapolated over low..high [nm]."""
    value = getattr(owner, name)
    if value[0] > low or value[-1] < high:
        raise ConfigError(
            f"{name} spans {value[0]:g}-{value[-1]:g} nm, expected to cover {low:g}-{high:g} nm"
        )
