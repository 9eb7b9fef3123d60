"""How much of the noise each term makes, pixel by pixel."""

import numpy as np

from starsmith.data_contract.exposures import Coadd
from starsmith.data_contract.noise import CALCULATOR
from starsmith.data_contract.noise_model import NoiseModel
from starsmith.data_contract.noise_modes import distortion_shapes, floor_modes
from starsmith.data_contract.noise_tables import NoiseTables

__all__ = ["error_budget"]


def error_budget(
    tables: NoiseTables,
    flux_model: np.ndarray,
    conditions: np.ndarray,
    model: NoiseModel = CALCULATOR,
    key: tuple[int, str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Split the standard deviation of the noise into its terms, which add up in quadrature.

    Parameters
    ----------
    tables : NoiseTables
    flux_model : float32 array, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)
    model : NoiseModel, optional
    key : (seed, split, index), optional
        Needed where conditions drift.

    Returns
    -------
    terms : dict of str to float64 array, shape (n_spec, n_wave)
        ``photons_and_detector``; ``floor_independent`` and ``floor_correlated``, ``telluric``
        and ``flux_calibration`` where the model has them. Their squares add up to that of
        `starsmith.data_contract.noise.true_error` with the same arguments.
    """
    flux = np.ascontiguousarray(flux_model, dtype=np.float32)
    quiet = NoiseModel(**{**model.recorded(), "sky_floor": "none"})
    without = Coadd.of(tables, conditions, quiet, key).response.error(flux).astype(np.float64)
    terms = {"photons_and_detector": without}
    if model.sky_floor != "none":
        with_floor = Coadd.of(tables, conditions, model, key).response.error(flux)
        floor = np.maximum(np.square(with_floor.astype(np.float64)) - np.square(without), 0.0)
        modes = np.zeros_like(floor)
        if model.sky_floor == "correlated":
            modes = np.square(floor_modes(tables, conditions)).sum(axis=2)
            modes = np.minimum(modes, floor)
            terms["floor_correlated"] = np.sqrt(modes)
        terms["floor_independent"] = np.sqrt(floor - modes)
    for name, shape in distortion_shapes(tables, model).items():
        terms[name] = np.abs(flux) * np.sqrt(np.square(shape).sum(axis=0))
    return terms
