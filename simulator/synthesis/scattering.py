"""Scattering apart from absorption: the continuum's source function S = (κB + σJ) / (κ + σ).

J is the mean intensity of the continuum, J(τ) = ½ ∫ S(t) E₁(|t - τ|) dt (Mihalas 1978, eq. 2-52),
exact for an S linear in τ between depths. Λ-iteration converges fast, as σ/(κ + σ) stays below a
half where light comes from. Lines absorb and emit as B. J of the continuum is brighter than the
true one where lines block much of it.
"""

import numpy as np
from scipy.special import expn

from starsmith.simulator.synthesis.atmosphere import Atmosphere
from starsmith.simulator.synthesis.continuum import scattering_opacity

__all__ = ["lambda_matrix", "scattered_excess"]

N_SWEEP = 40
EVERY = 4  # of the wavelengths given are solved; the ratio S/B is interpolated between


def lambda_matrix(depth: np.ndarray) -> np.ndarray:
    """J at each depth of an S given there, shape (..., n, n), for optical depths (..., n).

    S is constant above the first depth and keeps its last slope below the last one.
    """
    n = depth.shape[-1]
    distance = np.abs(depth[..., :, None] - depth[..., None, :])  # [i, k] = |τ_k - τ_i|
    e2, e3 = expn(2, distance), expn(3, distance)
    step = np.diff(depth, axis=-1)[..., None, :]
    # ∫ S E1 over a cell, by parts: S E2 at the near end, less that at the far end, and the slope of
    # S from near to far times the fall of E3
    fall = np.abs(e3[..., :-1] - e3[..., 1:]) / step
    side = np.where(np.tri(n, n - 1, -1) > 0, -1.0, 1.0)  # -1: the cell lies above the point
    matrix = np.zeros(distance.shape)
    matrix[..., :-1] += side * (e2[..., :-1] - fall)
    matrix[..., 1:] -= side * (e2[..., 1:] - fall)
    matrix[..., 0] += e2[..., 0] - expn(2, depth)  # from the surface to the first depth
    last = e3[..., -1] / step[..., 0, -1:]
    matrix[..., -1] += e2[..., -1] + last
    matrix[..., -2] -= last
    return 0.5 * matrix


def scattered_excess(
    atmosphere: Atmosphere, wave: np.ndarray, opacity: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """What scattering adds to the continuum's emission, opacity times S - B, (n_depth, n_wave).

    Parameters
    ----------
    atmosphere : Atmosphere
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    opacity : float64, shape (n_depth, n_wave)
        Of the continuum, scattering included, over the standard opacity.
    source : float64, shape (n_depth, n_wave)
        Planck function.
    """
    gas = atmosphere.gas
    chosen = np.unique(np.append(np.arange(0, wave.size, EVERY), wave.size - 1))
    standard = atmosphere.opacity * gas.density
    share = (scattering_opacity(wave[chosen], gas) / standard).T / opacity[:, chosen]
    layers = 0.5 * (opacity[1:, chosen] + opacity[:-1, chosen]) * np.diff(atmosphere.tau)[:, None]
    depth = np.concatenate([opacity[:1, chosen] * atmosphere.tau[0], layers]).cumsum(axis=0)
    matrix = lambda_matrix(depth.T)  # (n_chosen, n_depth, n_depth)
    planck, share = source[:, chosen].T, share.T
    emitted = planck
    for _ in range(N_SWEEP):
        mean = np.sum(matrix * emitted[:, None, :], axis=-1)
        emitted = (1.0 - share) * planck + share * mean
    ratio = emitted / planck - 1.0
    every = np.array([np.interp(wave, wave[chosen], row) for row in ratio.T])
    return opacity * source * every
