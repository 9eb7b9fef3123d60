"""Interstellar dust: how much a star fades at each wavelength for a given reddening.

The curve is Draine's (2003, ARA&A 41, 241) for the Milky Way at R_V = 3.1: Weingartner & Draine
(2001) with fewer carbon grains. It is the one the PFS exposure-time calculator tabulates, and
the one derived from grains, so that it holds from 0.1 to 10 µm without joints.
"""

from functools import cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.errors import ConfigError

__all__ = ["attenuation", "extinction_per_reddening"]

# Where Draine's tables take B and V, and so one magnitude of E(B-V) [nm].
B_NM, V_NM = 440.5, 547.0
NM_PER_MICRON = 1.0e3
WAVE_NM = (100.0, 10000.0)
CURVE_STEP = 1.0e-3  # of ln(wave): linear interpolation errs by 1e-6 between features


@cache
def _curve() -> tuple[np.ndarray, np.ndarray]:
    """ln(wave / nm) and A / E(B-V) of the built-in curve, float64 arrays."""
    from astropy import units
    from dust_extinction.grain_models import D03

    log_wave = np.arange(fixed.log(WAVE_NM[0]), fixed.log(WAVE_NM[1]) + CURVE_STEP, CURVE_STEP)
    model = D03(modelname="MWRV31")
    # A(λ) on the table's own scale
    relative = model(fixed.exp(log_wave) / NM_PER_MICRON * units.micron)
    blue, visual = model(np.array([B_NM, V_NM]) / NM_PER_MICRON * units.micron)
    return log_wave, relative / (blue - visual)  # over A(B) - A(V): per magnitude of E(B-V)


def extinction_per_reddening(
    wave: np.ndarray, curve: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """A(λ) / E(B-V) of the dust between the stars.

    Parameters
    ----------
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    curve : (wave_nm, a_per_ebv), optional
        A tabulated curve, float64 arrays of shape (n_row,), ``wave_nm`` increasing [nm], such as
        an imported calculator's; between rows linear in ln(wave). Draine's by default.

    Returns
    -------
    ratio : float64 array, shape (n_wave,) [mag per mag of E(B-V)]
        With the built-in curve 1.865 at 8000 Å.

    Raises
    ------
    ConfigError
        If the curve does not cover ``wave``.
    """
    log_wave, ratio = _curve() if curve is None else (fixed.log(curve[0]), np.asarray(curve[1]))
    wanted = fixed.log(np.asarray(wave, dtype=np.float64) / ANGSTROM_PER_NM)
    if wanted.size and not (wanted.min() >= log_wave[0] and wanted.max() <= log_wave[-1]):
        low, high = fixed.exp([log_wave[0], log_wave[-1]])
        raise ConfigError(
            f"the dust curve spans {low:g}-{high:g} nm, but {fixed.exp(wanted.min()):g}-"
            f"{fixed.exp(wanted.max()):g} nm are asked for; use wavelengths within it"
        )
    return np.interp(wanted, log_wave, ratio)


def attenuation(
    wave: np.ndarray,
    ebv: float | np.ndarray,
    curve: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Fraction of a star's light that dust lets through.

    Parameters
    ----------
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    ebv : float, or float64 array of shape (n_spec,)
        Reddening E(B-V), at least 0 [mag].
    curve : (wave_nm, a_per_ebv), optional
        As in `extinction_per_reddening`.

    Returns
    -------
    transmission : float64 array, shape (n_wave,), or (n_spec, n_wave)
        10^(-0.4 E(B-V) A(λ)/E(B-V)), above 0 and at most 1.

    Raises
    ------
    ConfigError
        If a reddening is negative or not a number, or the curve does not cover ``wave``.
    """
    reddening = np.asarray(ebv, dtype=np.float64)
    if not np.all(reddening >= 0) or not np.all(np.isfinite(reddening)):
        raise ConfigError(f"E(B-V) is {ebv}, expected magnitudes of at least 0")
    ratio = extinction_per_reddening(wave, curve)
    return fixed.power(10.0, -0.4 * reddening[..., None] * ratio)
