"""Noise of observed spectra: the view computed on reading, its terms, its tables."""

from starsmith.data_contract.noise.view import (
    CALCULATOR,
    ERROR_KINDS,
    NoiseModel,
    NoiseTables,
    Response,
    background,
    honest_error,
    median_snr,
    observe_spectra,
    sensitivity,
    true_error,
)

__all__ = [
    "CALCULATOR",
    "ERROR_KINDS",
    "NoiseModel",
    "NoiseTables",
    "Response",
    "background",
    "honest_error",
    "median_snr",
    "observe_spectra",
    "sensitivity",
    "true_error",
]
