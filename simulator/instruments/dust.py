"""Interstellar dust: how much a star fades at each wavelength for a given reddening.

The default curve is Draine's (2003, ARA&A 41, 241) for the Milky Way at R_V = 3.1: Weingartner &
Draine (2001) with fewer carbon grains. It is the one the PFS exposure-time calculator tabulates,
and the one derived from grains, so that it holds from 0.1 to 10 µm without joints. `law_curve`
gives published laws of any R_V by name.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.spelling import alike, suggestion

__all__ = ["LAWS", "attenuation", "extinction_per_reddening", "law_curve", "law_named"]

LAWS = ("D03", "CCM89", "O94", "F99", "F04", "M14", "F19", "G23")
"""Extinction laws by their names in dust_extinction; all but D03 hold for
any R_V from 2 to 6 or thereabouts.

Draine 2003; Cardelli+ 1989; O'Donnell 1994; Fitzpatrick 1999, 2004; Maíz Apellániz+ 2014;
Fitzpatrick+ 2019; Gordon+ 2023.
"""
USUAL_RV = 3.1

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


def law_named(text: str) -> tuple[str, float]:
    """Name and R_V of ``F19``, ``f19:2.5`` or ``G23:5.5``; R_V is 3.1 unless given.

    Raises
    ------
    ConfigError
        If there is no such law, or not for that R_V.
    """
    word, _, number = text.partition(":")
    law = alike(word, LAWS)
    if law is None:
        raise ConfigError(
            f"extinction law {word!r} is not one of {', '.join(LAWS)}{suggestion(word, LAWS)}; "
            "write F19, or F19:2.5 for another R_V"
        )
    try:
        r_v = float(number or USUAL_RV)
    except ValueError:
        raise ConfigError(f"R_V {number!r} of {text} is not a number; write F19:2.5") from None
    if law == "D03" and r_v != USUAL_RV:
        raise ConfigError(f"D03 is used with R_V 3.1, not {number}; F19:{number} takes any")
    if law != "D03":
        low, high = _law(law, USUAL_RV).Rv_range
        if not low <= r_v <= high:
            raise ConfigError(f"{law} holds for R_V {low:g}..{high:g}, not {r_v:g}")
    return law, r_v


def _law(law: str, r_v: float) -> Callable:
    from dust_extinction import parameter_averages

    return getattr(parameter_averages, law)(Rv=r_v)


@cache
def law_curve(text: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Wavelength [nm] and A(λ)/E(B-V) = R_V A(λ)/A(V) of a law; None for the built-in curve.

    Parameters
    ----------
    text : str
        As `law_named` takes it.

    Returns
    -------
    curve : (wave_nm, a_per_ebv) of float64 arrays, or None
        Over the wavelengths that the law holds for, at steps of 1e-3 in ln(wave).
    """
    law, r_v = law_named(text)
    if law == "D03":
        return None
    from astropy import units

    model = _law(law, r_v)
    ends = [NM_PER_MICRON / x for x in reversed(model.x_range)]
    n_row = int(np.log(ends[1] / ends[0]) / CURVE_STEP)
    micron = np.geomspace(*np.array(ends) / NM_PER_MICRON, n_row)[1:-1]
    return micron * NM_PER_MICRON, r_v * np.asarray(model(micron * units.micron))


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
