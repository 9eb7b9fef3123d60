"""Likelihood of labels from all pixels of a spectrum: nothing compressed, no basis.

ln L = A Σ y m / e² - A² Σ m² / 2 e², with m the noiseless spectrum of a star of the middle
magnitude; its amplitude A is integrated out over the prior's magnitudes.
"""

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.fisher.kernels.posterior import fill_log_marginal
from starsmith.fisher.posterior.basis_likelihood import amplitude_reach
from starsmith.simulator.rendering.interpolate import interpolate, samples_of
from starsmith.simulator.rendering.velocity_shift import shift_to_pixels, tables_for

__all__ = ["moving_sums", "pixel_log_likelihood"]

AT_ONCE = 256  # draws whose samples are held


def pixel_log_likelihood(
    bank: Bank,
    flux: np.ndarray,
    error: np.ndarray,
    good: np.ndarray,
    labels: np.ndarray,
    mags: tuple[float, float],
) -> np.ndarray:
    """Log-likelihood of draws of labels, up to a constant of each star.

    Parameters
    ----------
    bank : Bank
    flux, error : float arrays, shape (n_spec, n_wave)
        Finite where ``good``.
    good : bool array, shape (n_spec, n_wave)
    labels : float64 array, shape (n_spec, n_draw, n_label)
        All labels of the bank, inside it.
    mags : (float, float)
        Range of the prior's magnitudes.

    Returns
    -------
    log_likelihood : float64 array, shape (n_spec, n_draw)
    """
    n_spec, n_draw = labels.shape[:2]
    middle = np.full(n_draw, 0.5 * sum(mags))
    cross, square = np.empty((n_spec, n_draw)), np.empty((n_spec, n_draw))
    weight = np.where(good, np.asarray(error, dtype=np.float64), np.inf) ** -2.0
    value = np.where(good, flux, 0.0).astype(np.float64)
    for k in range(n_spec):
        model = interpolate(bank, labels[k], middle).astype(np.float64)
        cross[k], square[k] = model @ (weight[k] * value[k]), model**2 @ weight[k]
    log = np.empty((n_spec, n_draw))
    fill_log_marginal(log, cross, square, amplitude_reach(cross, square, mags))
    return log


def moving_sums(
    bank: Bank,
    value: np.ndarray,
    weight: np.ndarray,
    labels: np.ndarray,
    mag: np.ndarray,
    rv: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Sums over all pixels of one star, of draws rendered at several velocities.

    Parameters
    ----------
    bank : Bank
    value, weight : float64 arrays, shape (n_wave,)
        Flux, and 1 / σ² of it; both 0 where bad.
    labels : float64 array, shape (n_draw, n_label)
        All labels of the bank, inside it.
    mag : float64 array, shape (n_draw,)
    rv : float64 array, shape (n_node,)
        [km/s]

    Returns
    -------
    cross, square : float64 arrays, shape (n_draw, n_node)
        S1 = Σ flux m / σ² and S2 = Σ m² / σ².

    Raises
    ------
    DataError
        If the bank has no velocity tables, or they do not reach as far.
    """
    tables = tables_for(bank, rv)
    cross, square = np.empty((2, len(labels), len(rv)))
    pull = weight * value
    for start in range(0, len(labels), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        samples = samples_of(bank, labels[some], mag[some])
        for k, velocity in enumerate(rv):
            model = shift_to_pixels(tables, samples, np.full(len(samples), velocity))
            model = model.astype(np.float64)
            cross[some, k], square[some, k] = model @ pull, model**2 @ weight
    return cross, square
