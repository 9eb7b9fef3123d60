"""What a survey of stars also holds: pairs, fast rotators, emission stars, white dwarfs, galaxies.

Pairs and rotators are made of the domain's own spectra; white dwarfs and galaxies are blackbodies
with Gaussian lines. They test whether a model says that it does not know such spectra. Figures
without a source are assumed.
"""

from collections.abc import Callable

import numpy as np

from starsmith.data_contract.constants import FWHM_TO_SIGMA, LIGHT_SPEED_KM_S
from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.domains.domain import Domain, Stars
from starsmith.simulator.synthesis.radiative_transfer import planck

__all__ = ["CONTAMINANTS", "contaminants"]

LIMB = 0.6  # limb darkening of a rotating star; Gray (2005), ch. 18
H_ALPHA = 6564.6  # vacuum [Å]
CALCIUM = (8500.35, 8544.44, 8664.52)  # vacuum [Å]
PASCHEN = (8600.8, 8667.4, 8752.9, 8865.2)  # vacuum [Å]
BLENDS = (5176.0, 5270.0, 5335.0, 5893.0, 6500.0, 7080.0, *CALCIUM)  # of old stars, vacuum [Å]
NEBULAR = {H_ALPHA: 1.0, 6549.9: 0.12, 6585.3: 0.35, 6718.3: 0.2, 6732.7: 0.15}
NEBULAR |= {4862.7: 0.35, 5008.2: 0.5}
"""Lines of ionised gas, vacuum [Å], and their strength over that of Hα."""


def _pair(domain: Domain, labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A second star of the same [M/H], 10 to 100 % as bright, 30 to 200 km/s away."""
    low, high = domain.box
    other = draw.uniform(low, high)
    k = domain.label_names.index("m_h")
    other[k] = labels[k]
    first, second = domain.spectra(np.array([labels, other]))
    speed = draw.uniform(30.0, 200.0) * draw.choice([-1.0, 1.0])
    wave = domain.survey.wave
    moved = np.interp(wave / (1.0 + speed / LIGHT_SPEED_KM_S), wave, second)
    return first + draw.uniform(0.1, 1.0) * moved


def _rotator(domain: Domain, labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Lines broadened by v sin i of 50 to 300 km/s."""
    return rotated(domain.survey.wave, domain.spectra(labels[None])[0], draw.uniform(50.0, 300.0))


def rotated(wave: np.ndarray, flux: np.ndarray, v_sin_i: float) -> np.ndarray:
    """Spectrum of a rotating star, Gray (2005), eq. 18.14, limb darkening 0.6.

    Parameters
    ----------
    wave, flux : float64 arrays, shape (n_wave,)
    v_sin_i : float
        [km/s]
    """
    step = np.diff(np.log(wave)).min()
    even = np.arange(np.log(wave[0]), np.log(wave[-1]), step)
    reach = int(np.ceil(v_sin_i / LIGHT_SPEED_KM_S / step))
    x = np.arange(-reach, reach + 1) * step * LIGHT_SPEED_KM_S / v_sin_i
    inside = np.maximum(1.0 - x**2, 0.0)
    kernel = 2.0 * (1.0 - LIMB) * np.sqrt(inside) + 0.5 * np.pi * LIMB * inside
    padded = np.pad(np.interp(even, np.log(wave), flux), reach, mode="edge")
    smooth = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return np.interp(np.log(wave), even, smooth)


def _emission(domain: Domain, labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Hα and the Ca II triplet in emission, of 1 to 10 Å and 2 to 5 Å width."""
    wave = domain.survey.wave
    width, strength = draw.uniform(2.0, 5.0), draw.uniform(1.0, 10.0)
    lines = {H_ALPHA: strength} | {line: 0.3 * strength for line in CALCIUM}
    return domain.spectra(labels[None])[0] * (1.0 + gaussians(wave, lines, width))


def gaussians(wave: np.ndarray, lines: dict[float, float], fwhm: float) -> np.ndarray:
    """Sum of Gaussian lines by centre, of some equivalent width and FWHM [Å]."""
    sigma = FWHM_TO_SIGMA * fwhm
    total = np.zeros(wave.size)
    for centre, strength in lines.items():
        total += strength * np.exp(-0.5 * np.square((wave - centre) / sigma))
    return total / (np.sqrt(2.0 * np.pi) * sigma)


def _white_dwarf(domain: Domain, labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A blackbody of 8,000 to 30,000 K with hydrogen lines 40 to 120 Å wide."""
    wave = domain.survey.wave
    black = planck(wave, draw.uniform(8000.0, 30_000.0))
    depth, width = draw.uniform(0.2, 0.6), draw.uniform(40.0, 120.0)
    lines = {H_ALPHA: depth * width} | {line: 0.3 * depth * width for line in PASCHEN}
    return black * (1.0 - np.minimum(gaussians(wave, lines, width), 0.9))


def _galaxy(domain: Domain, labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A blackbody of 4,000 to 6,500 K, redshift 0.01 to 0.4, blends of old stars, half with gas."""
    wave = domain.survey.wave
    rest = wave / (1.0 + draw.uniform(0.01, 0.4))
    width = 6500.0 * draw.uniform(150.0, 350.0) / LIGHT_SPEED_KM_S / FWHM_TO_SIGMA
    old = dict.fromkeys(BLENDS, draw.uniform(2.0, 5.0))
    flux = planck(rest, draw.uniform(4000.0, 6500.0)) * (1.0 - gaussians(rest, old, width))
    gas = draw.uniform(5.0, 60.0) * (draw.uniform() < 0.5)
    lines = {line: gas * share for line, share in NEBULAR.items()}
    return flux * (1.0 + gaussians(rest, lines, 0.5 * width))


CONTAMINANTS: dict[str, Callable[[Domain, np.ndarray, np.random.Generator], np.ndarray]] = {
    "pair": _pair,
    "rotator": _rotator,
    "emission": _emission,
    "white_dwarf": _white_dwarf,
    "galaxy": _galaxy,
}
"""Kind -> function of (domain, labels of a star, generator) that returns flux, (n_wave,)."""


def contaminants(domain: Domain, kind: str, n: int) -> Stars:
    """Objects of a kind as the survey sees them, with S/N and noise of its stars.

    Parameters
    ----------
    domain : Domain
    kind : str
        One of `CONTAMINANTS`.
    n : int
        Each is a function of the domain's seed, the kind and its number.

    Returns
    -------
    Stars
        Labels are those of the (first) star, NaN where there is none.

    Raises
    ------
    ConfigError
        For an unknown kind.
    """
    if kind not in CONTAMINANTS:
        raise ConfigError(f"contaminant {kind!r}: choose one of {', '.join(CONTAMINANTS)}")
    place = 7 + list(CONTAMINANTS).index(kind)
    plain = domain.draw(n, "test")
    flux = np.empty(plain.model.shape)
    for k in range(n):
        draw = np.random.default_rng([domain.knobs.seed, 45, place, k])
        flux[k] = CONTAMINANTS[kind](domain, plain.labels[k], draw)
    flux /= flux.mean(axis=1, keepdims=True)
    starless = kind in ("white_dwarf", "galaxy")
    labels = np.full(plain.labels.shape, np.nan) if starless else plain.labels
    return Stars(
        labels=labels,
        pipeline=labels,
        model=flux,
        sigma=domain.sigma_of(flux, plain.snr),
        snr=plain.snr,
        seed=domain.knobs.seed + place,
        split="test",
        mixing=plain.mixing,
    )
