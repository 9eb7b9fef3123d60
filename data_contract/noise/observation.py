"""Observing with noise terms of choice: every term from a random stream of its own."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.kernels.noise_terms import (
    add_distortion,
    add_sky_residual,
    fill_counts,
    fill_floor_modes,
    look_up,
    widen_error,
)
from starsmith.data_contract.noise.coadd import Coadd
from starsmith.data_contract.noise.cosmic_rays import hit_mask, interpolate_lost
from starsmith.data_contract.noise.model import NoiseModel
from starsmith.data_contract.noise.modes import FLOOR_MODES, floor_amplitudes
from starsmith.data_contract.noise.noise_tables import NoiseTables
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.random import DrawKey, normals

__all__ = ["Realisation", "observe_terms", "spectrum_mask", "total_error"]

# order is part of the keys: append only
NOISE_STREAMS = ("noise", "training", "fisher", "training_noise")


@dataclass(frozen=True)
class Realisation:
    """One realisation of the noise: of every term, not of the independent part alone.

    Attributes
    ----------
    stream, sub : str, int
        Of the independent part; ``"noise", 0`` is the draw of record.
    """

    stream: str = "noise"
    sub: int = 0

    @property
    def of_terms(self) -> int:
        """Realisation of the streams of the other terms."""
        # terms share streams; each realisation has numbers of its own
        return len(NOISE_STREAMS) * self.sub + NOISE_STREAMS.index(self.stream)


def spectrum_mask(
    model: NoiseModel,
    conditions: np.ndarray,
    key: DrawKey,
    n_wave: int,
    realisation: Realisation | None = None,
) -> np.ndarray:
    """Mask of observed spectra: what cosmic rays left.

    Parameters
    ----------
    model : NoiseModel
    conditions : float64 array, shape (n_spec, 8)
    key : DrawKey
    n_wave : int
    realisation : Realisation, optional
        The draw of record unless given.

    Returns
    -------
    mask : uint32 array, shape (n_spec, n_wave)
        Bits of `starsmith.data_contract.masks.MASK_BITS`; 0 everywhere without cosmic rays.
    """
    if not model.loses:
        return np.zeros((len(conditions), n_wave), dtype=np.uint32)
    lost = _lost(model, conditions, key, n_wave, realisation or Realisation())
    return hit_mask(lost, _count(conditions))


def total_error(
    coadd: Coadd, tables: NoiseTables, model: NoiseModel, flux_model: np.ndarray
) -> np.ndarray:
    """Standard deviation of all terms together, in a pixel no cosmic ray hit.

    Parameters
    ----------
    coadd : Coadd
    tables : NoiseTables
    model : NoiseModel
    flux_model : float32 array, shape (n_spec, n_wave)

    Returns
    -------
    sigma : float32 array, shape (n_spec, n_wave)
    """
    sigma = coadd.response.error(flux_model)
    if model.distorts:
        shapes = np.concatenate(list(model.shapes(tables).values()))
        widen_error(sigma, flux_model, np.square(shapes).sum(axis=0).astype(np.float32))
    return sigma


def observe_terms(
    tables: NoiseTables,
    model: NoiseModel,
    flux_model: np.ndarray,
    conditions: np.ndarray,
    key: DrawKey,
    kind: str,
    realisation: Realisation,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the observed flux with the terms of a noise model.

    Parameters
    ----------
    tables : NoiseTables
    model : NoiseModel
    flux_model : float32 array, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)
    key : DrawKey
    kind : str
        Of the honest error: ``observed`` or ``smooth``.
    realisation : Realisation

    Returns
    -------
    flux, error, sigma : float32 arrays, shape (n_spec, n_wave)
        The honest error counts photons, detector, floor and lost exposures; it knows nothing
        of calibration errors. ``sigma`` is that of `total_error`.
    """
    coadd = Coadd.of(tables, conditions, model, key)
    sigma = coadd.response.error(flux_model)
    kept, stretch = _count(conditions)[:, None], None
    if model.loses:
        lost = _lost(model, conditions, key, tables.wave.size, realisation)
        kept, stretch = _left(_count(conditions), lost)
    drawn = sigma if stretch is None else sigma * stretch  # fewer exposures, more noise
    flux = _noise(coadd, tables, model, flux_model, drawn, kept, key, realisation)
    flux += flux_model
    if model.distorts:
        _distort(flux, sigma, flux_model, tables, model, key, realisation)
    if model.loses:
        interpolate_lost(flux, lost, _count(conditions))
    error = coadd.response.honest_error(flux, kind)
    if stretch is not None:
        error *= stretch
    return flux, error, sigma


def _count(conditions: np.ndarray) -> np.ndarray:
    return conditions[:, CONDITIONS.index("exp_count")]


def _lost(
    model: NoiseModel, conditions: np.ndarray, key: DrawKey, n_wave: int, realisation: Realisation
) -> np.ndarray:
    lost = [
        term.lost(rate, conditions, key, n_wave, realisation.of_terms)
        for term, rate in model.active("lost")
    ]
    return lost[0] if len(lost) == 1 else np.maximum.reduce(lost)


def _left(count: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exposures left in every pixel, one at least, and how much noisier it is for that."""
    # a pixel without exposures keeps the noise of one
    left = np.maximum(count[:, None] - np.arange(lost.max() + 1), 1.0)
    kept, stretch = np.empty(lost.shape), np.empty(lost.shape, dtype=np.float32)
    look_up(kept, left, lost)
    look_up(stretch, np.sqrt(count[:, None] / left), lost)
    return kept, stretch


def _distort(
    flux: np.ndarray,
    sigma: np.ndarray,
    flux_model: np.ndarray,
    tables: NoiseTables,
    model: NoiseModel,
    key: DrawKey,
    realisation: Realisation,
) -> None:
    """Add errors in proportion to the flux, and their variance to that of sigma; in place."""
    by_stream = model.shapes(tables)
    amplitude = [
        normals(key, stream, len(shape), realisation.of_terms)
        for stream, shape in by_stream.items()
    ]
    shapes = np.concatenate(list(by_stream.values()))
    add_distortion(flux, flux_model, shapes.astype(np.float32), np.hstack(amplitude))
    widen_error(sigma, flux_model, np.square(shapes).sum(axis=0).astype(np.float32))


def _noise(
    coadd: Coadd,
    tables: NoiseTables,
    model: NoiseModel,
    flux_model: np.ndarray,
    sigma: np.ndarray,
    kept: np.ndarray,
    key: DrawKey,
    realisation: Realisation,
) -> np.ndarray:
    """Everything but distortions of the flux, float32 (n_spec, n_wave)."""
    n_wave = tables.wave.size
    noise = normals(key, realisation.stream, n_wave, realisation.sub)
    residual = None
    for term, _ in model.active("modes"):
        n_mode = FLOOR_MODES * len(tables.arms)
        # one amplitude a mode and star
        residual = normals(key, term.stream, n_mode, realisation.of_terms)
    if model.counts == "poisson":
        # what is not counted in photons
        rest = normals(key, "read_noise", n_wave, realisation.of_terms)
        kept = np.ascontiguousarray(np.broadcast_to(kept, noise.shape))
        _count_photons(coadd, tables, flux_model, sigma, kept, (noise, rest), residual)
    elif residual is not None:
        _add_residual(coadd, tables, sigma, noise, residual)
    else:
        noise *= sigma
    return noise


def _add_residual(
    coadd: Coadd, tables: NoiseTables, sigma: np.ndarray, noise: np.ndarray, residual: np.ndarray
) -> None:
    """Turn normals into noise with a correlated sky residual, in place and arm by arm."""
    for k, (arm, own) in enumerate(zip(tables.arms, tables.by_arm, strict=True)):
        parts = (noise, sigma, coadd.sky, coadd.response.sensitivity)
        amplitude = residual[:, FLOOR_MODES * k : FLOOR_MODES * (k + 1)]
        add_sky_residual(*(x[:, arm.pixels] for x in parts), *floor_amplitudes(own), amplitude)


def _count_photons(
    coadd: Coadd,
    tables: NoiseTables,
    flux_model: np.ndarray,
    sigma: np.ndarray,
    kept: np.ndarray,
    numbers: tuple[np.ndarray, np.ndarray],
    residual: np.ndarray | None,
) -> None:
    """Turn the first of two arrays of normals into counted noise, in place and arm by arm."""
    for k, (arm, own) in enumerate(zip(tables.arms, tables.by_arm, strict=True)):
        parts = (*numbers, flux_model, coadd.response.sensitivity, coadd.photons, sigma, kept)
        noise, rest, flux, electrons, photons, drawn, count = (x[:, arm.pixels] for x in parts)
        added = np.zeros_like(noise)
        if residual is not None:
            modes = np.empty((*noise.shape, FLOOR_MODES))
            fill_floor_modes(modes, coadd.sky[:, arm.pixels], electrons, *floor_amplitudes(own))
            amplitude = residual[:, None, FLOOR_MODES * k : FLOOR_MODES * (k + 1)]
            added += (modes * amplitude).sum(axis=2)
            # modes took their part of the variance
            drawn = np.sqrt(np.maximum(np.square(drawn) - np.square(modes).sum(axis=2), 0.0))
        factors = (own.sample_factor, own.variance_factor)
        fill_counts(noise, rest, flux, electrons, photons, factors, drawn, count)
        noise += added
