"""The noise view: errors and noisy flux computed from a noiseless flux and its conditions.

A dataset stores noiseless flux, conditions and keys; everything random is computed here
when it is read, from the noise tables stored beside it.
"""

from dataclasses import replace

import numpy as np

from starsmith.data_contract.kernels.noise_terms import widen_error
from starsmith.data_contract.kernels.order import median_and_p95
from starsmith.data_contract.noise.coadd import Coadd
from starsmith.data_contract.noise.detector import (
    ERROR_KINDS,
    Response,
    background,
    expected_error,
    expected_snr,
    observation,
    sensitivity,
)
from starsmith.data_contract.noise.model import NoiseModel
from starsmith.data_contract.noise.noise_tables import NoiseTables
from starsmith.data_contract.noise.observation import (
    Drawing,
    Realisation,
    distortion_shapes,
    observe_at_once,
    observe_terms,
)
from starsmith.data_contract.random import DrawKey

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
    "observe_flux",
    "observe_spectra",
    "sensitivity",
    "signal_to_noise",
    "snr_statistics",
    "true_error",
]

CALCULATOR = NoiseModel()
"""Noise of the PFS exposure-time calculator: the default everywhere."""

BLOCK = 64  # spectra at a time: working arrays stay in the caches
RECORD = Realisation()
"""The draw of record."""


def true_error(
    tables: NoiseTables,
    flux_model: np.ndarray,
    conditions: np.ndarray,
    model: NoiseModel = CALCULATOR,
    key: DrawKey | None = None,
) -> np.ndarray:
    """Standard deviation of the noise actually drawn; never shown to a learner.

    Parameters
    ----------
    tables : NoiseTables
    flux_model : float32 array, shape (n_spec, n_wave)
        Noiseless flux density [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)
    model : NoiseModel, optional
        Terms of the noise; the calculator's unless given.
    key : DrawKey, optional
        Needed where the model's conditions drift.

    Returns
    -------
    sigma : float32 array, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å], for the coadd of ``exp_count`` exposures, all terms together, in
        a pixel that no cosmic ray hit.
    """
    flux_model = np.ascontiguousarray(flux_model, dtype=np.float32)
    if model.in_one_pass:
        sigma = expected_error(model.applied(tables), flux_model, conditions)
    else:
        sigma = Coadd.of(tables, conditions, model, key).response.error(flux_model)
    if distortion := distortion_shapes(tables, model):
        widen_error(sigma, flux_model, distortion[1])
    return sigma


def observe_spectra(
    tables: NoiseTables,
    flux_model: np.ndarray,
    conditions: np.ndarray,
    key: DrawKey,
    kind: str = "observed",
    drawn: Realisation = RECORD,
    model: NoiseModel = CALCULATOR,
    out: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the observed flux and estimate its error as an observer would.

    Parameters
    ----------
    tables : NoiseTables
    flux_model : float32 array, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)
    key : DrawKey
    kind : str
        Of the honest error: ``observed`` or ``smooth``.
    drawn : Realisation, optional
        The draw of record unless given; ``Realisation("training", epoch)`` is a fresh one.
    model : NoiseModel, optional
        Terms of the noise; the calculator's unless given. Pixels lost to cosmic rays are told
        by `starsmith.data_contract.noise.observation.spectrum_mask` with the same arguments.
    out : (flux, error), optional
        Float32 arrays of shape (n_spec, n_wave) that those two go to.

    Returns
    -------
    flux, error, sigma : float32 arrays, shape (n_spec, n_wave)
        Observed flux, honest error, and the standard deviation the noise was drawn with,
        which stays inside the simulator.
    """
    flux, error = out or np.empty((2, *np.shape(flux_model)), dtype=np.float32)
    drawing = Drawing(tables, model, key, drawn)
    if model.in_one_pass:
        return flux, error, observe_at_once(drawing, flux_model, conditions, kind, (flux, error))
    flux[:], error[:], sigma = observe_terms(drawing, flux_model, conditions, kind)
    return flux, error, sigma


def observe_flux(
    tables: NoiseTables,
    flux_model: np.ndarray,
    conditions: np.ndarray,
    key: DrawKey,
    drawn: Realisation,
    out: np.ndarray,
) -> None:
    """Draw the observed flux of `observe_spectra` alone, under the calculator's noise.

    Parameters
    ----------
    out : float32 array, shape (n_spec, n_wave)
        Overwritten. Other arguments are as there.
    """
    Drawing(tables, CALCULATOR, key, drawn).normals(out=out)
    observation(tables, flux_model, conditions, (out, None, None))


def honest_error(
    tables: NoiseTables, flux: np.ndarray, conditions: np.ndarray, kind: str = "observed"
) -> np.ndarray:
    """One-sigma error as an observer would estimate it, from the noisy flux alone.

    Parameters
    ----------
    tables : NoiseTables
    flux : float32 array, shape (n_spec, n_wave)
        Observed flux [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)
    kind : str
        ``observed``: object photons from each noisy pixel (negative counts as none);
        ``smooth``: object photons from means over 801 pixels, 400 apart, so that no line
        of the spectrum leaves a trace in its error.

    Returns
    -------
    error : float32 array, shape (n_spec, n_wave)

    Raises
    ------
    ValueError
        If ``kind`` is not one of `ERROR_KINDS`.
    """
    return expected_error(tables, flux, conditions, kind)


def signal_to_noise(
    tables: NoiseTables,
    flux_model: np.ndarray,
    conditions: np.ndarray,
    model: NoiseModel = CALCULATOR,
    key: DrawKey | None = None,
) -> dict[str, np.ndarray]:
    """`snr_statistics` of a noiseless flux over its `true_error`; parameters as in that."""
    if model.plain:
        both = expected_snr(tables, flux_model, conditions)
        return {"snr": both[:, 0].copy(), "snr_p95": both[:, 1].copy()}
    parts = []
    for start in range(0, len(flux_model), BLOCK):
        rows = slice(start, start + BLOCK)
        own = key and replace(key, index=key.index[rows])
        sigma = true_error(tables, flux_model[rows], conditions[rows], model, own)
        parts.append(snr_statistics(flux_model[rows], sigma))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def median_snr(flux_model: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Signal-to-noise of each spectrum: median over pixels of flux_model / sigma.

    Parameters
    ----------
    flux_model, sigma : arrays, shape (n_spec, n_wave)

    Returns
    -------
    snr : float64 array, shape (n_spec,) [per pixel]
    """
    return snr_statistics(flux_model, sigma)["snr"]


def snr_statistics(flux_model: np.ndarray, sigma: np.ndarray) -> dict[str, np.ndarray]:
    """Median and 95th percentile over pixels of flux_model / sigma, of each spectrum.

    Parameters
    ----------
    flux_model, sigma : arrays, shape (n_spec, n_wave)
        The kernel is for float32; double precision goes through numpy.

    Returns
    -------
    statistics : dict of str to float64 array, shape (n_spec,) [per pixel]
        ``snr`` and ``snr_p95``, as a data set stores them.
    """
    flux, error = np.broadcast_arrays(flux_model, sigma)
    both = np.empty((len(flux), 2))
    if flux.dtype == error.dtype == np.float32:
        median_and_p95(np.ascontiguousarray(flux), np.ascontiguousarray(error), both)
    else:
        ratio = flux / error
        last = ratio.shape[1] - 1
        for k, percent in enumerate((50, 95)):
            rank, part = divmod(percent * last, 100)  # linear between ranks, as np.percentile
            ratio.partition(rank, axis=1)  # O(n): only one rank is wanted
            low, high = ratio[:, rank], ratio[:, min(rank + 1, last) :].min(axis=1)
            both[:, k] = low + part / 100.0 * (high - low)
    return {"snr": both[:, 0].copy(), "snr_p95": both[:, 1].copy()}
