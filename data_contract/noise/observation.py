"""Observing with noise terms of choice: every term from a random stream of its own."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.kernels.noise_terms import (
    Distortion,
    SkyResidual,
    add_distortion,
    add_sky_residual,
    fill_counts,
    fill_floor_modes,
    look_up,
)
from starsmith.data_contract.noise.coadd import Coadd
from starsmith.data_contract.noise.cosmic_rays import hit_mask, interpolate_lost
from starsmith.data_contract.noise.detector import observation
from starsmith.data_contract.noise.model import NoiseModel
from starsmith.data_contract.noise.modes import FLOOR_MODES, floor_amplitudes
from starsmith.data_contract.noise.noise_tables import NoiseTables
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.random import DrawKey, normals

__all__ = [
    "Drawing",
    "Realisation",
    "distortion_shapes",
    "observe_at_once",
    "observe_terms",
    "spectrum_mask",
]

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


def distortion_shapes(
    tables: NoiseTables, model: NoiseModel
) -> tuple[np.ndarray, np.ndarray] | None:
    """Fractional errors of the flux, None where a model has none.

    Returns
    -------
    shapes : float32 array, shape (n_mode, n_wave)
        For standard normal amplitudes, streams in turn.
    variance : float32 array, shape (n_wave,)
    """
    by_stream = model.shapes(tables)
    if not by_stream:
        return None
    if ("distortion", model) not in tables.remembered:
        shapes = np.concatenate(list(by_stream.values()))
        variance = np.square(shapes).sum(axis=0)
        both = shapes.astype(np.float32), variance.astype(np.float32)
        tables.remembered["distortion", model] = both
    return tables.remembered["distortion", model]


@dataclass(frozen=True)
class Drawing:
    """One realisation of a noise model's terms, of some spectra.

    Attributes
    ----------
    tables : NoiseTables
    model : NoiseModel
    key : DrawKey
    realisation : Realisation
    """

    tables: NoiseTables
    model: NoiseModel
    key: DrawKey
    realisation: Realisation

    def normals(self, out: np.ndarray | None = None) -> np.ndarray:
        """Numbers of the independent part, float32 (n_spec, n_wave)."""
        own = self.realisation
        return normals(self.key, own.stream, self.tables.wave.size, own.sub, out)

    def of_term(self, stream: str, n: int) -> np.ndarray:
        """Numbers of another part, float32 (n_spec, n)."""
        return normals(self.key, stream, n, self.realisation.of_terms)

    def distortion(self) -> Distortion | None:
        """Errors in proportion to the flux, None where the model has none."""
        found = distortion_shapes(self.tables, self.model)
        if found is None:
            return None
        by_stream = self.model.shapes(self.tables).items()
        amplitude = [self.of_term(stream, len(shape)) for stream, shape in by_stream]
        return Distortion(*found, np.hstack(amplitude))

    def residuals(self) -> list[SkyResidual]:
        """Correlated residual of the sky in every arm; empty where it is not correlated."""
        found, n_arm = [], len(self.tables.arms)
        for term, _ in self.model.active("modes"):
            # one amplitude a mode and star
            own = np.split(self.of_term(term.stream, FLOOR_MODES * n_arm), n_arm, axis=1)
            found += [
                SkyResidual(*floor_amplitudes(arm), part)
                for arm, part in zip(self.tables.by_arm, own, strict=True)
            ]
        return found


def observe_at_once(
    drawing: Drawing,
    flux_model: np.ndarray,
    conditions: np.ndarray,
    kind: str,
    out: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Draw the observed flux with terms that need one pass over the pixels (`in_one_pass`).

    Parameters are those of `observe_terms`; flux and error go to ``out``.

    Returns
    -------
    sigma : float32 array, shape (n_spec, n_wave)
        As of `observe_terms`.
    """
    tables, (flux, error) = drawing.tables, out
    drawing.normals(out=flux)
    residuals = drawing.residuals() or [None] * len(tables.arms)
    whole, added = drawing.distortion(), []
    for arm, residual in zip(tables.arms, residuals, strict=True):
        own = whole and whole._replace(
            shapes=whole.shapes[:, arm.pixels], variance=whole.variance[arm.pixels]
        )
        added.append((residual, own))
    sigma = np.empty_like(flux)
    applied = drawing.model.applied(tables)
    observation(applied, flux_model, conditions, (flux, error, sigma), kind, added)
    return sigma


def observe_terms(
    drawing: Drawing, flux_model: np.ndarray, conditions: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the observed flux with the terms of a noise model.

    Parameters
    ----------
    drawing : Drawing
    flux_model : float32 array, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)
    kind : str
        Of the honest error: ``observed`` or ``smooth``.

    Returns
    -------
    flux, error, sigma : float32 arrays, shape (n_spec, n_wave)
        The honest error counts photons, detector, floor and lost exposures; it knows nothing
        of calibration errors. ``sigma`` is that of all terms together, in a pixel no cosmic
        ray hit.
    """
    tables, model, key = drawing.tables, drawing.model, drawing.key
    coadd = Coadd.of(tables, conditions, model, key)
    sigma = coadd.response.error(flux_model)
    kept, stretch = _count(conditions)[:, None], None
    if model.loses:
        lost = _lost(model, conditions, key, tables.wave.size, drawing.realisation)
        kept, stretch = _left(_count(conditions), lost)
    drawn = sigma if stretch is None else sigma * stretch  # fewer exposures, more noise
    flux = _noise(drawing, coadd, flux_model, drawn, kept)
    flux += flux_model
    if distortion := drawing.distortion():
        add_distortion(flux, sigma, flux_model, distortion)
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


def _noise(
    drawing: Drawing, coadd: Coadd, flux_model: np.ndarray, sigma: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """Everything but distortions of the flux, float32 (n_spec, n_wave)."""
    tables, noise, residuals = drawing.tables, drawing.normals(), drawing.residuals()
    if drawing.model.counts == "poisson":
        # what is not counted in photons
        rest = drawing.of_term("read_noise", tables.wave.size)
        kept = np.ascontiguousarray(np.broadcast_to(kept, noise.shape))
        _count_photons(coadd, tables, flux_model, sigma, kept, (noise, rest), residuals)
    elif residuals:
        parts = (noise, sigma, coadd.sky, coadd.response.sensitivity)
        for arm, residual in zip(tables.arms, residuals, strict=True):
            add_sky_residual(*(x[:, arm.pixels] for x in parts), residual)
    else:
        noise *= sigma
    return noise


def _count_photons(
    coadd: Coadd,
    tables: NoiseTables,
    flux_model: np.ndarray,
    sigma: np.ndarray,
    kept: np.ndarray,
    numbers: tuple[np.ndarray, np.ndarray],
    residuals: list[SkyResidual],
) -> None:
    """Turn the first of two arrays of normals into counted noise, in place and arm by arm."""
    for k, (arm, own) in enumerate(zip(tables.arms, tables.by_arm, strict=True)):
        parts = (*numbers, flux_model, coadd.response.sensitivity, coadd.photons, sigma, kept)
        noise, rest, flux, electrons, photons, drawn, count = (x[:, arm.pixels] for x in parts)
        added = np.zeros_like(noise)
        if residuals:
            scale, shift, amplitude = residuals[k]
            modes = np.empty((*noise.shape, FLOOR_MODES))
            fill_floor_modes(modes, coadd.sky[:, arm.pixels], electrons, scale, shift)
            added += (modes * amplitude[:, None]).sum(axis=2)
            # modes took their part of the variance
            drawn = np.sqrt(np.maximum(np.square(drawn) - np.square(modes).sum(axis=2), 0.0))
        factors = (own.sample_factor, own.variance_factor)
        fill_counts(noise, rest, flux, electrons, photons, factors, drawn, count)
        noise += added
