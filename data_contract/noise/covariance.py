"""Noise of known flux: variance as a line, v = floor + slope x flux, and modes beside it."""

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.view import NoiseModel, NoiseTables, background, sensitivity
from starsmith.data_contract.quantities import CONDITIONS

__all__ = ["check_noise", "covariance_of", "noise_modes", "variance_line", "variance_of"]


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


def noise_modes(
    tables: NoiseTables, model: NoiseModel, flux_model: np.ndarray, conditions: np.ndarray
) -> np.ndarray:
    """All correlated modes of a noise model: U of C = D + U Uᵀ.

    Parameters
    ----------
    tables : NoiseTables
    model : NoiseModel
    flux_model : float array, shape (n_spec, n_wave)
        Noiseless flux [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)

    Returns
    -------
    modes : float64 array, shape (n_spec, n_wave, n_mode)
        [1e-17 erg/s/cm²/Å]; no column where every term is independent. D is the square of
        `starsmith.data_contract.noise.true_error` with the same model, less their squares.
    """
    modes = [np.zeros((*np.shape(flux_model), 0))]
    modes += [term.modes(tables, conditions) for term, _ in model.active("modes")]
    for shape in model.shapes(tables).values():
        modes.append(np.asarray(flux_model)[:, :, None] * shape.T)
    return np.concatenate(modes, axis=2)


def check_noise(model: NoiseModel) -> None:
    """Refuse noise that has no Gaussian covariance known beforehand.

    Raises
    ------
    ConfigError
        Naming the option that ceilings cannot follow.
    """
    for term, value in model.active("refusal"):
        raise ConfigError(term.refusal(value))


def covariance_of(
    tables: NoiseTables, model: NoiseModel, flux_model: np.ndarray, conditions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of the noise on spectra of known flux, as C = v + U' U of each spectrum.

    Counted photons have the variance of Gaussian ones.

    Parameters
    ----------
    tables : NoiseTables
    model : NoiseModel
    flux_model : float array, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)

    Returns
    -------
    variance : float64 array, shape (n_spec, n_wave) [flux²]
        Of what errs in each pixel by itself.
    shared : float64 array, shape (n_spec, n_shared, n_wave) [flux]
        U, what errs in many pixels at once; n_shared is 0 for independent noise.

    Raises
    ------
    ConfigError
        As `check_noise`.
    """
    check_noise(model)
    variance = variance_of(model.applied(tables), flux_model, conditions)
    for term, _ in model.active("modes"):
        variance -= np.sum(term.modes(tables, conditions) ** 2, axis=2)
    modes = noise_modes(tables, model, flux_model, conditions)
    return variance, np.ascontiguousarray(modes.transpose(0, 2, 1))
