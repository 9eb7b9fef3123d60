"""Single exposures: the spectra that a coadd was added up from."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.coadd import EXP_COUNT, Coadd, exposure_conditions
from starsmith.data_contract.noise.detector import Response
from starsmith.data_contract.noise.model import NoiseModel
from starsmith.data_contract.noise.noise_tables import NoiseTables
from starsmith.data_contract.noise.view import CALCULATOR, observe_spectra
from starsmith.data_contract.random import DrawKey, normals

__all__ = ["Exposures", "observe_exposures"]


@dataclass(frozen=True)
class Exposures:
    """Every exposure of some spectra.

    Attributes
    ----------
    conditions : float64, shape (n_exposure, n_spec, 8)
        Of each exposure, ``exp_count`` 1.
    sensitivity : float64, shape (n_exposure, n_spec, n_wave)
        [electron / (1e-17 erg/s/cm²/Å)].
    flux, error : float32, shape (n_exposure, n_spec, n_wave)
        Observed flux and honest 1σ error [1e-17 erg/s/cm²/Å].
    """

    conditions: np.ndarray
    sensitivity: np.ndarray
    flux: np.ndarray
    error: np.ndarray

    def __len__(self) -> int:
        return len(self.flux)

    def coadd(self) -> np.ndarray:
        """Electrons of all exposures over their sensitivity, float32 (n_spec, n_wave)."""
        electrons = (self.sensitivity * self.flux).sum(axis=0)
        return (electrons / self.sensitivity.sum(axis=0)).astype(np.float32)


def observe_exposures(
    tables: NoiseTables,
    flux_model: np.ndarray,
    conditions: np.ndarray,
    key: DrawKey,
    model: NoiseModel = CALCULATOR,
) -> Exposures:
    """Draw the single exposures behind the coadd of record, which they add up to.

    Gaussian noise of every exposure is drawn for itself, then moved by what the coadd of
    record has more or less than their sum, in proportion to their variances: the law of
    independent exposures, given their sum. The residual of sky subtraction, which does not
    average down, is thereby the same in all.

    Parameters
    ----------
    tables : NoiseTables
    flux_model : float32 array, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)
        The same number of exposures for all spectra.
    key : DrawKey
    model : NoiseModel, optional
        Of the coadd; without cosmic rays.

    Returns
    -------
    exposures : Exposures

    Raises
    ------
    ConfigError
        If numbers of exposures differ, or cosmic rays are asked for.
    """
    count = np.unique(conditions[:, EXP_COUNT])
    if count.size != 1:
        raise ConfigError(f"single exposures need one number of exposures, found {count}")
    for term, _ in model.active("lost"):
        raise ConfigError(f"single exposures know no {term.switches[0].option}; set it to 0")
    flux, _, _ = observe_spectra(tables, flux_model, conditions, key, model=model)
    singles = [some for _, some in exposure_conditions(model, conditions, key)]
    for some in singles:
        some[:, EXP_COUNT] = 1.0
    quiet = tables.without_floor
    shape = (len(singles), *flux.shape)
    electrons, variance, sensitivity = (np.empty(shape) for _ in range(3))
    star = np.maximum(flux_model, 0.0) * tables.at_pixels("sample_factor")
    for number, some in enumerate(singles):
        response = Response.of(quiet, some)
        sensitivity[number] = response.sensitivity
        variance[number] = response.sensitivity * star + response.background
        noise = normals(key, "exposures", flux.shape[1], number)
        electrons[number] = response.sensitivity * flux_model + np.sqrt(variance[number]) * noise
    total = len(singles) * Coadd.of(tables, conditions, model, key).response.sensitivity
    short = total * flux - electrons.sum(axis=0)
    electrons += variance / variance.sum(axis=0) * short
    seen = (electrons / sensitivity).astype(np.float32)
    noisy = model.applied(tables)
    error = [
        Response.of(noisy, some).honest_error(one, "observed")
        for some, one in zip(singles, seen, strict=True)
    ]
    return Exposures(np.stack(singles), sensitivity, seen, np.stack(error))
