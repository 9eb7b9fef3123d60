"""Fresh stars under fresh noise, drawn as the coefficients of a `Compression`.

The variance of a pixel is a line in its flux, v = floor + slope m. Both are expanded in a few
modes over pixels, so that the covariance of z is a short sum of matrices known beforehand,

    C = Σ_k q_k B diag(V_k) Bᵀ,      w² v = Σ_k q_k V_k,

and a draw costs a Cholesky factor of its size; no pixel is touched. Beside the coefficients
stands the level of the honest error, the mean over pixels of w² e², with its own noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import covariance_of, variance_line
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.data_contract.random import DrawKey, normals
from starsmith.fisher.kernels.cholesky import factor_upper
from starsmith.fisher.posterior.basis import leading_modes, template_draws
from starsmith.fisher.posterior.compression import SAMPLE, Compression, residual_prior
from starsmith.fisher.posterior.frames import Frames
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import flux_of

__all__ = [
    "BLOCK",
    "BasisNoise",
    "DrawnStars",
    "blocks_of",
    "build_frame_noise",
    "build_noise",
    "draw_compressed",
]

N_SAMPLE = 600
CONDITIONS = SAMPLE + 2**20  # first of the draws whose conditions stars are observed under
N_CONDITION = 4096  # keyed conditions that stars are observed under, evaluated at all pixels once
BLOCK = 256  # stars at a time; those of a block are seen in the same frame
REMAINDER = 1e-4  # of the variance of a pixel, root mean square, that the modes may miss
JITTER = 1e-6  # of a variance; float32 rounding of its Cholesky factor


@dataclass(frozen=True)
class NoiseModes:
    """What the noise of a bank is expanded in.

    Attributes
    ----------
    variance : float64, shape (n_variance, n_wave)
        Orthonormal rows V for whitened variances w² v.
    slope : float64, shape (n_slope, n_wave)
        Orthonormal rows for w times the slope of v with flux.
    rows : float64, shape (n_mode + 1, n_wave)
        Those of the projection and, last, the one that gives the level its noise.
    """

    variance: np.ndarray
    slope: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Conditions:
    """Noise under keyed observing conditions, expanded.

    Attributes
    ----------
    floor : float64, shape (n_condition, n_variance)
        Object-free variance.
    slope : float64, shape (n_condition, n_slope)
        Growth of the variance with flux.
    gain : float64, shape (n_condition,)
        Of the level's noise.
    shared : float32, shape (n_condition, n_shared, n_row)
        Noise of many pixels at once.
    extra : float64, shape (n_condition,)
        What that adds to the level.
    """

    floor: np.ndarray
    slope: np.ndarray
    gain: np.ndarray
    shared: np.ndarray
    extra: np.ndarray

    def take(self, chosen: np.ndarray) -> "Conditions":
        """Return some of them, by number."""
        return Conditions(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class BasisNoise:
    """Noise of all conditions, as the coefficients see it.

    Attributes
    ----------
    conditions : Conditions
    modes : float64, shape (n_variance, n_wave)
        Variance modes V.
    gram : float32, shape (n_variance, n_row * n_row)
        B diag(V_k) Bᵀ of each variance mode.
    level : float64, shape (n_variance,)
        Mean of each variance mode over pixels.
    mix : float64, shape (n_slope * n_mode, n_variance)
        Variance modes of slope times flux.
    shapes : float32, shape (n_shape, n_mode, n_row)
        Noise of many pixels at once, in proportion to the flux; no honest error knows of it.
    """

    conditions: Conditions
    modes: np.ndarray
    gram: np.ndarray
    level: np.ndarray
    mix: np.ndarray
    shapes: np.ndarray

    def under(self, index: np.ndarray) -> Conditions:
        """Conditions of stars by their index."""
        return self.conditions.take(index % len(self.conditions.gain))

    def covariance(
        self, short: np.ndarray, under: Conditions
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Noise of stars from their noiseless coefficients (n_spec, n_mode).

        Returns
        -------
        covariance : float32 array, shape (n_spec, n_row, n_row)
            Of what errs pixel by pixel.
        shared : float32 array, shape (n_spec, n_shared + n_shape, n_row)
            Modes of what errs in many pixels at once.
        level : float64 array, shape (n_spec,)
            Mean over pixels of w² times the variance that the honest error knows of.
        """
        product = (under.slope[:, :, None] * short[:, None, :]).reshape(len(short), -1)
        weights = under.floor + product @ self.mix
        n_row = under.shared.shape[2]
        covariance = (weights.astype(np.float32) @ self.gram).reshape(-1, n_row, n_row)
        scaled = np.einsum("nm,smr->nsr", short.astype(np.float32), self.shapes)
        level = weights @ self.level + under.extra
        return covariance, np.concatenate([under.shared, scaled], axis=1), level


@dataclass(frozen=True)
class DrawnStars:
    """Keyed stars as coefficients.

    Attributes
    ----------
    index : int64, shape (n_spec,)
        That their conditions follow from.
    frame : int64, shape (n_spec,)
        Number of the frame each is seen in; 0 at rest.
    labels : float64, shape (n_spec, n_label)
        In the bank's order; of stars that move, then the residual velocity [km/s].
    mag : float64, shape (n_spec,)
    noiseless : float64, shape (n_spec, n_mode)
    coefficients : float32, shape (n_spec, n_noise, n_mode)
        Observed: under so many realisations of the noise.
    level : float32, shape (n_spec, n_noise)
        Mean over pixels of w² e², e the honest error.
    """

    index: np.ndarray
    frame: np.ndarray
    labels: np.ndarray
    mag: np.ndarray
    noiseless: np.ndarray
    coefficients: np.ndarray
    level: np.ndarray


def build_noise(
    bank: Bank,
    prior: Prior,
    compression: Compression,
    noise: NoiseModel = CALCULATOR,
    seed: int = 0,
    n_condition: int = N_CONDITION,
) -> BasisNoise:
    """Expand the noise of a bank under the prior's conditions, as stars at rest are seen.

    Raises
    ------
    ConfigError
        If the noise has no covariance that is known beforehand.
    """
    modes = _noise_modes(bank, prior, compression, noise, seed)
    conditions = _conditions(bank, prior, compression, noise, modes, seed, n_condition)
    shapes = np.concatenate([np.empty((0, bank.wave.size)), *noise.shapes(bank.noise).values()])
    return _as_seen(modes, conditions, shapes, compression.modes, compression.modes)


def build_frame_noise(
    bank: Bank,
    prior: Prior,
    compression: Compression,
    frames: Frames,
    noise: NoiseModel = CALCULATOR,
    seed: int = 0,
    n_condition: int = N_CONDITION,
) -> tuple[BasisNoise, ...]:
    """Expand the noise as stars that move are seen, each frame's.

    Raises
    ------
    ConfigError
        If the noise has no covariance that is known beforehand, or errs in many pixels at once.
    """
    modes = _noise_modes(bank, prior, compression, noise, seed)
    conditions = _conditions(bank, prior, compression, noise, modes, seed, n_condition)
    if conditions.shared.shape[1] or any(map(len, noise.shapes(bank.noise).values())):
        raise ConfigError(
            "stars that move are drawn in their basis under noise that pixels have each for "
            "themselves; this noise errs in many at once: train a network, e.g. --model "
            "specvit_tiny"
        )
    none = np.empty((0, bank.wave.size))
    return tuple(
        _as_seen(modes, conditions, none, frames.rows(k), frames.projector(k))
        for k in range(len(frames))
    )


def _conditions(
    bank: Bank,
    prior: Prior,
    compression: Compression,
    noise: NoiseModel,
    modes: NoiseModes,
    seed: int,
    n_condition: int,
) -> Conditions:
    found = [
        _expanded(bank, noise, compression.weight, modes, draws)
        for draws in _condition_draws(bank, prior, seed, n_condition)
    ]
    joined = (
        np.concatenate([getattr(part, field.name) for part in found])
        for field in fields(Conditions)
    )
    return Conditions(*joined)


def _as_seen(
    modes: NoiseModes,
    conditions: Conditions,
    shapes: np.ndarray,
    spectra: np.ndarray,
    projector: np.ndarray,
) -> BasisNoise:
    """Noise of coefficients ``projector`` (n_mode, n_wave) takes from whitened flux.

    Stars are coefficients times ``spectra``, of the same shape.
    """
    rows = np.vstack([projector, modes.rows[-1]])
    mix = np.concatenate([(row * spectra) @ modes.variance.T for row in modes.slope])
    grams = [((rows * mode) @ rows.T).ravel() for mode in modes.variance]
    scaled = [(spectra * shape) @ rows.T for shape in shapes]
    return BasisNoise(
        conditions=conditions,
        modes=modes.variance,
        gram=np.array(grams, dtype=np.float32),
        level=modes.variance.mean(axis=1),
        mix=mix,
        shapes=np.array(scaled, dtype=np.float32).reshape(-1, len(spectra), len(rows)),
    )


def _noise_modes(
    bank: Bank, prior: Prior, compression: Compression, noise: NoiseModel, seed: int
) -> NoiseModes:
    """Modes that the noise of a sample of stars needs, to `REMAINDER`."""
    draws = template_draws(bank, prior, seed, SAMPLE, N_SAMPLE)
    weight, tolerance = compression.weight, REMAINDER * np.sqrt(bank.wave.size)
    flux = flux_of(bank, draws)
    variance = covariance_of(bank.noise, noise, flux, draws.conditions)[0] * weight**2
    slope = variance_line(noise.applied(bank.noise), draws.conditions)[1] * weight
    row = slope.mean(axis=0)
    return NoiseModes(
        variance=leading_modes(variance / variance.mean(axis=1)[:, None], tolerance),
        slope=leading_modes(slope / slope.mean(axis=1)[:, None], tolerance),
        rows=np.vstack([compression.modes, row / np.linalg.norm(row)]),
    )


def _condition_draws(bank: Bank, prior: Prior, seed: int, n: int) -> Iterator[Draws]:
    for start in range(0, n, BLOCK):
        yield template_draws(bank, prior, seed, CONDITIONS + start, min(BLOCK, n - start))


def _expanded(
    bank: Bank, noise: NoiseModel, weight: np.ndarray, modes: NoiseModes, draws: Draws
) -> Conditions:
    """Noise under the conditions of some draws."""
    dark = np.zeros((len(draws), weight.size))
    floor, shared = covariance_of(bank.noise, noise, dark, draws.conditions)
    slope = variance_line(noise.applied(bank.noise), draws.conditions)[1] * weight
    n_shape = sum(map(len, noise.shapes(bank.noise).values()))
    shared = shared[:, : shared.shape[1] - n_shape] * weight
    return Conditions(
        floor=(floor * weight**2) @ modes.variance.T,
        slope=slope @ modes.slope.T,
        gain=slope @ modes.rows[-1] / weight.size,
        shared=(shared @ modes.rows.T).astype(np.float32),
        extra=np.sum(shared**2, axis=(1, 2)) / weight.size,
    )


def draw_compressed(
    bank: Bank,
    prior: Prior,
    compression: Compression,
    noise: BasisNoise | tuple[BasisNoise, ...],
    rows: range,
    seed: int = 0,
    n_noise: int = 1,
) -> DrawnStars:
    """Draw stars of the prior's template sequence and observe them, no spectrum formed.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Stars behind no dust.
    compression : Compression
    noise : BasisNoise, or one a frame
    rows : range
        Of the sequence; what a star is, and its noise, depends on its number alone.
    seed : int
    n_noise : int
        Realisations of the noise of each star.
    """
    draws = template_draws(bank, residual_prior(prior), seed, rows.start, len(rows))
    labels, seen_as = compression.labels_of(draws), noise if isinstance(noise, tuple) else (noise,)
    frame = np.asarray(draws.index) // BLOCK % len(seen_as)
    noiseless = compression.templates(labels, draws.mag)
    seen = np.empty((len(rows), n_noise, noiseless.shape[1]), dtype=np.float32)
    level = np.empty((len(rows), n_noise), dtype=np.float32)
    for some in blocks_of(draws.index):
        own, index = seen_as[frame[some][0]], draws.index[some]
        key = DrawKey(seed, "train", index)
        seen[some], level[some] = _observed(own, noiseless[some], own.under(index), key, n_noise)
    return DrawnStars(draws.index, frame, labels, draws.mag, noiseless, seen, level)


def blocks_of(index: np.ndarray) -> Iterator[slice]:
    """Stars of consecutive indices that are seen in the same frame, `BLOCK` at most."""
    edges = np.flatnonzero(np.diff(np.asarray(index) // BLOCK)) + 1
    for start, stop in pairwise([0, *edges.tolist(), len(index)]):
        yield slice(start, stop)


def _observed(
    noise: BasisNoise, noiseless: np.ndarray, under: Conditions, key: DrawKey, n_noise: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (n_spec, n_noise, n_mode) and level (n_spec, n_noise) under keyed noise."""
    factor, shared, level = noise.covariance(noiseless, under)
    n_row, n_shared = factor.shape[1], shared.shape[1]
    np.einsum("nrr->nr", factor)[:] *= 1.0 + JITTER
    factor_upper(factor)
    numbers = np.stack(
        [normals(key, "training_noise", n_row + n_shared, sub) for sub in range(n_noise)], axis=1
    )
    drawn = numbers[:, :, :n_row] @ factor + numbers[:, :, n_row:] @ shared
    seen = noiseless[:, None] + drawn[:, :, :-1]
    return seen, level[:, None] + under.gain[:, None] * drawn[:, :, -1]
