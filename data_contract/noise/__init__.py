"""Noise of observed spectra: the view computed on reading, its terms, its tables."""

from importlib import import_module

__all__ = [
    "CALCULATOR",
    "ERROR_KINDS",
    "NoiseModel",
    "NoiseTables",
    "Realisation",
    "Response",
    "background",
    "honest_error",
    "median_snr",
    "observe_spectra",
    "sensitivity",
    "true_error",
]


def __getattr__(name: str) -> object:
    # on first use: the options of a command read the terms and must not wait for the kernels
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.view"), name)
