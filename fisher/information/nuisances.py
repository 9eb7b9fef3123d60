"""What has to be fitted beside labels and amplitude: columns of the Jacobian, with priors."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from starsmith.data_contract.arms import ArmSpan
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.constants import FWHM_TO_SIGMA, LIGHT_SPEED_KM_S
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import covariance_of
from starsmith.data_contract.noise.detector import sensitivity, sky_counts
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.fisher.information.jacobian import Columns, label_columns

__all__ = [
    "SHARED",
    "Nuisances",
    "continuum_columns",
    "lsf_column",
    "prior_precision",
    "sky_column",
    "star_columns",
    "velocity_column",
]

SHARED = "shared"  # columns of noise that errs in many pixels at once; their prior has width 1


@dataclass(frozen=True, kw_only=True)
class Nuisances:
    """What has to be fitted beside the labels and the amplitude.

    Attributes
    ----------
    continuum : int
        Degree of a Chebyshev polynomial that multiplies the flux; 0 for none. Its columns are
        ``continuum_0``, ... (``continuum`` where there is one).
    velocity : bool
        Radial velocity, column ``rv`` [km/s].
    lsf : bool
        Width of the line-spread function, column ``lsf`` [ln width].
    sky : bool
        Sky left in the spectrum, column ``sky`` [fraction of the sky].
    priors : tuple of (str, float)
        Gaussian prior σ of named columns, e.g. (("rv", 5.0),); 0 means known.
    """

    continuum: int = 0
    velocity: bool = False
    lsf: bool = False
    sky: bool = False
    priors: tuple[tuple[str, float], ...] = ()

    def described(self) -> str:
        """In words; ``none`` where there is nothing."""
        words = [f"continuum of degree {self.continuum}"] if self.continuum else []
        words += ["radial velocity"] if self.velocity else []
        words += ["width of the line-spread function"] if self.lsf else []
        words += ["sky residual"] if self.sky else []
        words += [f"prior {name} ± {sigma:g}" for name, sigma in self.priors]
        return ", ".join(words) + " (Cramér-Rao statistics only)" if words else "none"


def continuum_columns(flux: np.ndarray, wave: np.ndarray, order: int) -> np.ndarray:
    """Flux times Chebyshev polynomials of degree 1..order, (n_spec, order, n_wave)."""
    x = 2.0 * (wave - wave.min()) / np.ptp(wave) - 1.0
    polynomials = np.polynomial.chebyshev.chebvander(x, order)[:, 1:].T
    return flux[:, None, :] * polynomials


def _along_wave(
    flux: np.ndarray, wave: np.ndarray, arms: tuple[ArmSpan, ...], order: int
) -> np.ndarray:
    """Derivative of the given order by wavelength, arm by arm, float64 (n_spec, n_wave)."""
    slope = np.empty_like(flux)
    for arm in arms:
        pixels = arm.pixels
        slope[:, pixels] = CubicSpline(wave[pixels], flux[:, pixels], axis=1)(wave[pixels], order)
    return slope


def velocity_column(
    flux: np.ndarray, wave: np.ndarray, arms: tuple[ArmSpan, ...] | None = None
) -> np.ndarray:
    """Derivative with respect to radial velocity, (n_spec, 1, n_wave) [flux per km/s]."""
    arms = arms or (ArmSpan("", 0, wave.size),)
    return (-wave / LIGHT_SPEED_KM_S * _along_wave(flux, wave, arms, 1))[:, None, :]


def lsf_column(flux: np.ndarray, bank: Bank) -> np.ndarray:
    """Derivative with respect to the logarithm of the LSF's width, (n_spec, 1, n_wave).

    A Gaussian of width σ obeys the equation of heat, ∂F/∂(σ²/2) = F'', so that
    ∂F/∂ln σ = σ² F''.

    Raises
    ------
    ConfigError
        If the bank does not say how wide its line-spread function is.
    """
    widths = np.empty(bank.wave.size)
    figures = bank.instrument.get("arms", [])
    if len(figures) != len(bank.noise.arms):
        raise ConfigError(
            f"--nuisance lsf: instrument {bank.instrument.get('name')!r} of this bank has no "
            "table of its line-spread function; leave lsf out"
        )
    for arm, own in zip(bank.noise.arms, figures, strict=True):
        wave = bank.wave[arm.pixels]
        fwhm = np.interp(0.1 * wave, own["lsf_wave_nm"], own["lsf_fwhm_pixel"])
        widths[arm.pixels] = FWHM_TO_SIGMA * fwhm * np.gradient(wave)
    return (widths**2 * _along_wave(flux, bank.wave, bank.noise.arms, 2))[:, None, :]


def sky_column(bank: Bank, conditions: np.ndarray) -> np.ndarray:
    """Spectrum of the sky itself, (n_spec, 1, n_wave) [flux per unit of residual sky]."""
    noise = bank.noise
    return (sky_counts(noise, conditions) / sensitivity(noise, conditions))[:, None, :]


def prior_precision(names: tuple[str, ...], nuisances: Nuisances) -> np.ndarray:
    """Diagonal of Λ for the columns of a Jacobian, float64 (n_column,).

    Raises
    ------
    ConfigError
        If a prior is on a column that is not there.
    """
    precision = np.array([1.0 if name.startswith(SHARED) else 0.0 for name in names])
    for name, sigma in nuisances.priors:
        if name not in names:
            raise ConfigError(f"--nuisance prior on {name!r}: columns are {', '.join(names)}")
        precision[names.index(name)] = sigma**-2.0 if np.isfinite(sigma) else 0.0
    return precision


def star_columns(
    bank: Bank,
    draws: Draws,
    names: tuple[str, ...],
    normalise: str,
    nuisances: Nuisances,
    noise: NoiseModel = CALCULATOR,
) -> tuple[Columns, np.ndarray]:
    """Derivatives of stars by labels and nuisances, and the variance of their noise.

    Noise that errs in many pixels at once is a nuisance with a prior of unit width: to
    marginalise over U u with u ~ N(0, 1) is to have the covariance v + U U' (Woodbury).

    Parameters
    ----------
    bank : Bank
    draws : Draws
    names : tuple of str
        Labels that are not known.
    normalise : str
    nuisances : Nuisances
        Its priors are left to the caller.
    noise : NoiseModel, optional

    Returns
    -------
    columns : Columns
    variance : float64 array, shape (n_spec, n_wave) [flux²]
        Of what errs in each pixel by itself.
    """
    columns = label_columns(bank, draws.labels, draws.mag, names, normalise)
    variance, shared = covariance_of(bank.noise, noise, columns.flux, draws.conditions)
    if nuisances.continuum:
        extra = continuum_columns(columns.flux, bank.wave, nuisances.continuum)
        columns = columns.extended("continuum", extra)
    if nuisances.velocity:
        extra = velocity_column(columns.flux, bank.wave, bank.noise.arms)
        columns = columns.extended("rv", extra)
    if nuisances.lsf:
        columns = columns.extended("lsf", lsf_column(columns.flux, bank))
    if nuisances.sky:
        columns = columns.extended("sky", sky_column(bank, draws.conditions))
    if shared.shape[1]:
        columns = columns.extended(SHARED, shared)
    return columns, variance
