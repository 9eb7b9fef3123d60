"""From labels to a spectrum: the one public function of the synthesizer."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.constants import FWHM_TO_SIGMA, LIGHT_SPEED_KM_S
from starsmith.simulator.kernels.synthesis_escape import E4_MAX, flux_from_opacity
from starsmith.simulator.kernels.synthesis_transfer import (
    HYDROGEN_STRIDE,
    Bands,
    Lines,
    Smooth,
    convolved,
    emergent_flux,
)
from starsmith.simulator.synthesis.atmosphere import Atmosphere, build_atmosphere
from starsmith.simulator.synthesis.continuum import continuum_opacity
from starsmith.simulator.synthesis.hydrogen import hydrogen_line_opacity
from starsmith.simulator.synthesis.line_list import LineList, layer_cut, line_list, line_opacity
from starsmith.simulator.synthesis.molecular.bands import (
    TYPICAL_WAVENUMBER,
    band_opacity,
    band_tables,
    molecules_of,
)
from starsmith.simulator.synthesis.radiative_transfer import planck
from starsmith.simulator.synthesis.sampling import LINES_COVER, Sampling, wavelength_grid
from starsmith.simulator.synthesis.scattering import scattered_excess
from starsmith.simulator.synthesis.wide.wide_lines import wide_line_list

__all__ = ["Spectrum", "synthesize"]

SMOOTH_STRIDE = 512  # fine steps between points of the continuum
LINE_MARGIN = 120.0  # lines up to this far outside the range act inside it [Å]
CONVOLVED = 60.0  # the convolution reaches less far beyond the range [Å]
N_SIGMA = 5.0  # half-width of the convolution kernel


@dataclass(frozen=True)
class Spectrum:
    """A star's surface flux.

    Attributes
    ----------
    wave : float64, shape (n_wave,)
        Vacuum wavelength [Å], uniform in ln λ.
    flux, continuum : float64, shape (n_wave,)
        π times the mean intensity of the disc, with and without lines [erg/s/cm²/Å].
    resolution : float
        λ/FWHM of the Gaussian line-spread function.
    """

    wave: np.ndarray
    flux: np.ndarray
    continuum: np.ndarray
    resolution: float


def synthesize(
    teff: float,
    logg: float,
    m_h: float = 0.0,
    a_m: float = 0.0,
    c_m: float = 0.0,
    vturb: float | None = None,
    sampling: Sampling | None = None,
    structure: str = "atlas9",
) -> Spectrum:
    """Synthesize a star's spectrum in LTE.

    Parameters
    ----------
    teff : float
        Effective temperature [K].
    logg : float
        Surface gravity [dex(cm/s²)].
    m_h, a_m, c_m : float
        [M/H], [α/M], [C/M] [dex].
    vturb : float, optional
        Microturbulence [km/s]; by default that of ``sampling``.
    sampling : Sampling, optional
        640-900 nm at R = 20,000 by default.
    structure : str
        Of `build_atmosphere`.

    Returns
    -------
    Spectrum
        A demonstration, not for science.
    """
    sampling = sampling or Sampling()
    speed = sampling.microturbulence if vturb is None else vturb
    atmosphere = build_atmosphere(teff, logg, m_h, a_m, c_m, structure, speed)
    return synthesize_atmosphere(atmosphere, sampling)


def synthesize_atmosphere(
    atmosphere: Atmosphere,
    sampling: Sampling,
    lines_as: Callable[[LineList], LineList] = lambda lines: lines,
) -> Spectrum:
    """Spectrum of a given atmosphere, with atomic lines as another physics has them."""
    wave = wavelength_grid(sampling)
    step = math.log1p(sampling.step_km_s / LIGHT_SPEED_KM_S)
    kernel = gaussian_kernel(sampling)  # of the resolution asked for, on fine steps
    pad = (kernel.size // 2 // SMOOTH_STRIDE + 1) * SMOOTH_STRIDE  # fine steps on either side
    first = wave[0] * math.exp(-pad * step)  # the convolution must not feel the ends
    n_fine = (wave.size - 1) * sampling.stride + 2 * pad + 1
    smooth, continuum_flux = smooth_parts(atmosphere, first, step, n_fine)
    atmosphere, smooth = seen_layers(atmosphere, smooth)
    lines, bands, hydrogen = spectral_parts(atmosphere, smooth, (first, step, n_fine), lines_as)
    fine = emergent_flux(atmosphere.tau, smooth, hydrogen, lines, bands, n_fine)
    # wavelengths of the continuum [Å]
    coarse = first * fixed.exp(step * SMOOTH_STRIDE * np.arange(continuum_flux.size))
    return Spectrum(
        wave=wave,
        flux=convolved(fine, kernel, pad, sampling.stride, wave.size),
        continuum=fixed.exp(
            np.interp(fixed.log(wave), fixed.log(coarse), fixed.log(continuum_flux))
        ),
        resolution=sampling.resolution,
    )


def seen_layers(atmosphere: Atmosphere, smooth: Smooth) -> tuple[Atmosphere, Smooth]:
    """Atmosphere and continuum without the layers that no light leaves: the same flux to the bit.

    Lines only add optical depth, so where the continuum alone hides a layer at every wavelength
    its E4 and that of all layers below is zero.
    """
    half = 0.5 * np.diff(atmosphere.tau)[:, None]
    steps = half * (smooth.opacity[1:] + smooth.opacity[:-1])
    depth = smooth.opacity[0] * atmosphere.tau[0] + np.cumsum(steps, axis=0)
    hidden = np.flatnonzero(depth.min(axis=1) > E4_MAX * (1.0 + 1e-9))
    if not hidden.size:
        return atmosphere, smooth
    kept = slice(0, int(hidden[0]) + 2)  # the first hidden layer bounds the last that is seen
    gas = atmosphere.gas
    layers = {
        item.name: np.ascontiguousarray(getattr(gas, item.name)[..., kept])
        for item in fields(gas)
        if item.name != "composition"
    }
    upper = replace(
        atmosphere,
        tau=np.ascontiguousarray(atmosphere.tau[kept]),
        opacity=np.ascontiguousarray(atmosphere.opacity[kept]),
        gas=replace(gas, **layers),
    )
    excess = smooth.excess[kept] if smooth.excess.shape[1] > 1 else smooth.excess
    return upper, smooth._replace(
        opacity=smooth.opacity[kept], source=smooth.source[kept], excess=excess
    )


def gaussian_kernel(sampling: Sampling) -> np.ndarray:
    """Line-spread function on the fine grid, unit sum, odd length."""
    # [fine steps]
    sigma = LIGHT_SPEED_KM_S / sampling.resolution * FWHM_TO_SIGMA / sampling.step_km_s
    offset = np.arange(-math.ceil(N_SIGMA * sigma), math.ceil(N_SIGMA * sigma) + 1)
    kernel = fixed.exp(-0.5 * (offset / sigma) ** 2)
    return kernel / kernel.sum()


def smooth_parts(
    atmosphere: Atmosphere, first: float, step: float, n_fine: int
) -> tuple[Smooth, np.ndarray]:
    """Continuum and source function on the coarse grid, and the line-free flux there."""
    n_coarse = (n_fine - 1) // SMOOTH_STRIDE + 2  # one cell beyond the end
    wave = first * fixed.exp(step * SMOOTH_STRIDE * np.arange(n_coarse))
    gas = atmosphere.gas
    standard = atmosphere.opacity * gas.density  # of the τ scale [1/cm]
    opacity = np.ascontiguousarray((continuum_opacity(wave, gas) / standard).T)
    source = planck(wave[None, :], gas.temperature[:, None])
    flux = np.empty(n_coarse)
    if _is_usual(wave[0], wave[-2]):
        flux_from_opacity(flux, atmosphere.tau, opacity, source)
        return Smooth(opacity=opacity, source=source, stride=SMOOTH_STRIDE), flux
    excess = scattered_excess(atmosphere, wave, opacity, source)
    flux_from_opacity(flux, atmosphere.tau, opacity, source + excess / opacity)
    return Smooth(opacity=opacity, source=source, stride=SMOOTH_STRIDE, excess=excess), flux


def _is_usual(first: float, last: float) -> bool:
    """Whether a range with its margins [Å] is that of ``lines.csv``."""
    return LINES_COVER[0] - CONVOLVED < first and last < LINES_COVER[1] + CONVOLVED


def spectral_parts(
    atmosphere: Atmosphere,
    smooth: Smooth,
    fine: tuple[float, float, int],
    lines_as: Callable[[LineList], LineList],
) -> tuple[Lines, Bands, np.ndarray]:
    """Atomic lines, molecular bands and hydrogen lines; first wavelength, step and size of fine."""
    first, step, n_fine = fine
    last = first * math.exp(step * (n_fine - 1))
    usual = _is_usual(first, last)
    listed = line_list if usual else wide_line_list
    lines = lines_as(listed(first - LINE_MARGIN, last + LINE_MARGIN))
    systems = tuple(molecules_of(*(LINES_COVER if usual else (first, last))))
    cell = fixed.log(lines.wave / first) / (step * SMOOTH_STRIDE)
    # continuum point beside each line
    nearest = np.clip(np.rint(cell).astype(int), 0, smooth.opacity.shape[1] - 1)
    beside = np.ascontiguousarray(smooth.opacity.T)[nearest]
    # mid-range continuum: decides only which lines are kept
    typical = smooth.opacity[:, smooth.opacity.shape[1] // 2]
    depth = scipy.integrate.cumulative_trapezoid(typical, atmosphere.tau, initial=0.0)
    cut = layer_cut(depth + typical[0] * atmosphere.tau[0])
    n_hydrogen = (n_fine - 1) // HYDROGEN_STRIDE + 2
    wave = first * fixed.exp(step * HYDROGEN_STRIDE * np.arange(n_hydrogen))
    hydrogen = hydrogen_line_opacity(atmosphere, wave, typical * cut)
    return (
        line_opacity(lines, atmosphere, beside * cut, (first, step)),
        band_opacity(
            atmosphere,
            band_tables(first, step, n_fine, systems),
            typical,
            systems,
            TYPICAL_WAVENUMBER if usual else 2e8 / (first + last),
        ),
        hydrogen,
    )
