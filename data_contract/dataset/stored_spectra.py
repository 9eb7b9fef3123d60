"""Spectra as a store keeps them: rounded mantissas, and where asked for steps of the noise."""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract.dataset.precision import STEPS_PER_SIGMA, stored_bits
from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.split_columns import rounded
from starsmith.data_contract.kernels.rounding import round_to_steps
from starsmith.data_contract.noise.view import true_error
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.random import DrawKey

__all__ = ["as_stored", "background_sigma", "rounding_step"]

MOST_SIGMA = 6.0  # of a noisy flux about its own, one pixel in 5e8 beyond


def as_stored(
    header: DatasetHeader, split: str, name: str, columns: Mapping[str, np.ndarray]
) -> np.ndarray:
    """A column as the store keeps it; twice is once.

    Fluxes of precision ``noise`` are whole multiples of a step: the largest power of two up to
    1/32 (of a noisy flux 1/16) of the σ that the pixel would have without a star. That is never
    above the star's own σ, and conditions alone decide it.

    Parameters
    ----------
    header : DatasetHeader
    split, name : str
        Of the column.
    columns : dict of str to array
        All columns of some rows.

    Returns
    -------
    values : array
        The column itself where there is nothing to round.
    """
    if not header.columns[name].is_flux:
        return columns[name]
    values = rounded(columns[name], header.kept_bits(name))
    if not header.in_steps(name):
        return values
    values = values.copy()
    sigma = background_sigma(header, split, columns)
    round_to_steps(values, sigma, np.float32(STEPS_PER_SIGMA[header.store]))
    return values


def background_sigma(
    header: DatasetHeader, split: str, columns: Mapping[str, np.ndarray]
) -> np.ndarray:
    """1σ of every pixel if there were no star in it, float32 (n_spec, n_wave)."""
    conditions = np.stack([columns[name] for name in CONDITIONS], axis=1)
    dark = np.zeros((len(conditions), header.wave.size), dtype=np.float32)
    key = DrawKey(header.seed, split, columns["index"])
    return true_error(header.noise, dark, conditions, header.noise_terms, key)


def rounding_step(
    header: DatasetHeader, split: str, name: str, columns: Mapping[str, np.ndarray]
) -> np.ndarray:
    """How far a stored spectrum may move where rounding falls to the other side."""
    size = np.abs(columns[name].astype(np.float64))
    step = 2.0 ** -header.kept_bits(name) * size
    if name == "flux":  # the flux that noise was drawn about was rounded before
        most = size + MOST_SIGMA * columns["error"]
        step += 2.0 ** -stored_bits("noiseless")["keep_bits"] * most
    if not header.in_steps(name):
        return step
    sigma = background_sigma(header, split, columns)
    return np.maximum(step, sigma / STEPS_PER_SIGMA[header.store])
