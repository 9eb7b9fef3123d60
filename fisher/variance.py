"""Noise variance as a straight line in the object's flux: v = floor + slope x flux."""

import numpy as np

from starsmith.data_contract.names import CONDITIONS
from starsmith.data_contract.noise import NoiseTables, background, sensitivity

__all__ = ["variance_line", "variance_of"]


def variance_line(tables: NoiseTables, conditions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Object-free variance and its growth with flux, for the coadd of all exposures.

    Parameters
    ----------
    tables : NoiseTables
    conditions : float64 array, shape (n_spec, 8)

    Returns
    -------
    floor : float64 array, shape (n_spec, n_wave) [flux²]
    slope : float64 array, shape (n_spec, n_wave) [flux]
    """
    electrons = sensitivity(tables, conditions)
    exposures = conditions[:, CONDITIONS.index("exp_count"), None]
    slope = tables.at_pixels("sample_factor") / (electrons * exposures)
    floor = background(tables, conditions) / (electrons**2 * exposures)
    return floor, slope


def variance_of(tables: NoiseTables, flux_model: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """Variance of the noise on spectra of known flux, float64 (n_spec, n_wave) [flux²].

    Negative flux counts as none, as in `starsmith.data_contract.noise.true_error`.
    """
    floor, slope = variance_line(tables, conditions)
    return floor + slope * np.maximum(flux_model, 0.0)
