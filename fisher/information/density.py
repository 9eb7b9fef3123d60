"""Where in a spectrum the information on a label sits, pixel by pixel."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.view import median_snr
from starsmith.fisher.information.crlb import crlb, information_density
from starsmith.fisher.information.nuisances import Nuisances, star_columns

__all__ = ["FEATURES", "StarDensity", "Window", "information_of_star"]

FEATURES = {
    "Ca II triplet": ((8486.3, 8515.3), (8524.3, 8564.4), (8644.4, 8684.4)),
    "Paschen P17, P14, P12": ((8463.3, 8476.3), (8579.4, 8621.4), (8732.4, 8774.4)),
    "Mg I 8807": ((8804.9, 8813.4),),
}
"""Vacuum Å; the index bands of Cenarro et al. 2001 (MNRAS 326, 959) and 2009 (MNRAS 396, 1895),
shifted from air. The other Paschen lines fall into the calcium bands."""

WIDTH = 10.0  # of a top window [Å]


@dataclass(frozen=True)
class Window:
    """A stretch of spectrum, and how much of the information on the target it holds.

    Attributes
    ----------
    name : str
    bands : tuple of (low, high)
        Vacuum [Å]; empty for ``elsewhere``.
    width : float
        Of the pixels inside [Å].
    share : float
        Of the information left by the nuisances, 0..1.
    share_fixed : float
        The same were every nuisance known.
    """

    name: str
    bands: tuple[tuple[float, float], ...]
    width: float
    share: float
    share_fixed: float


@dataclass(frozen=True)
class StarDensity:
    """Information on one label of one star.

    Attributes
    ----------
    target : str
    names : tuple of str
        Columns that are fitted: labels, then nuisances.
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    flux : float64, shape (n_wave,)
        Noiseless [1e-17 erg/s/cm²/Å].
    density : float64, shape (n_wave,)
        Each pixel's part of 1 / sigma²; sums to it [1/label²].
    density_fixed : float64, shape (n_wave,)
        The same were every nuisance known.
    sigma : float
        Cramér-Rao bound [label].
    rho : float
        What the nuisances leave of the information, 0..1.
    snr : float
        Median per pixel.
    """

    target: str
    names: tuple[str, ...]
    wave: np.ndarray
    flux: np.ndarray
    density: np.ndarray
    density_fixed: np.ndarray
    sigma: float
    rho: float
    snr: float

    def _window(self, name: str, bands: tuple, inside: np.ndarray) -> Window:
        shares = [values[inside].sum() / values.sum() for values in self._densities]
        width = np.gradient(self.wave)[inside].sum()
        return Window(name, bands, float(width), float(shares[0]), float(shares[1]))

    @property
    def _densities(self) -> tuple[np.ndarray, np.ndarray]:
        return self.density, self.density_fixed

    def features(self) -> tuple[Window, ...]:
        """Shares of `FEATURES` and of all the rest; they add up to 1."""
        rest = np.ones(self.wave.size, dtype=bool)
        windows = []
        for name, bands in FEATURES.items():
            inside = np.zeros(self.wave.size, dtype=bool)
            for low, high in bands:
                inside |= (self.wave >= low) & (self.wave < high)
            rest &= ~inside
            windows.append(self._window(name, bands, inside))
        return (*windows, self._window("elsewhere", (), rest))

    def top(self, count: int = 8, width: float = WIDTH) -> tuple[Window, ...]:
        """Richest stretches of equal width [Å], best first, none overlapping."""
        n_wave = self.wave.size
        n_pixel = max(1, round(width / float(np.median(np.diff(self.wave)))))
        if n_pixel >= n_wave:
            raise ConfigError(f"--width {width:g}: the spectrum spans {np.ptp(self.wave):g} Å")
        total = np.concatenate([[0.0], np.cumsum(self.density)])
        held = total[n_pixel:] - total[:-n_pixel]
        windows = []
        while len(windows) < count and np.isfinite(held).any():
            first = int(np.nanargmax(held))
            if not held[first] > 0.0:
                break
            held[max(0, first - n_pixel + 1) : first + n_pixel] = np.nan
            inside = np.zeros(n_wave, dtype=bool)
            inside[first : first + n_pixel] = True
            low, high = float(self.wave[first]), float(self.wave[first + n_pixel - 1])
            windows.append(self._window(f"{low:.0f}-{high:.0f}", ((low, high),), inside))
        return tuple(windows)


def information_of_star(
    bank: Bank,
    star: Draws,
    target: str,
    names: tuple[str, ...],
    normalise: str = "free",
    nuisances: Nuisances | None = None,
) -> StarDensity:
    """Split the information on a label among the pixels of one star's spectrum.

    The whitened derivative by the target is projected off those by everything else that has
    to be fitted; the squares of what remains add up to 1 / CRLB, without approximation.

    Parameters
    ----------
    bank : Bank
    star : Draws
        One star; see `starsmith.fisher.stars.star_at`.
    target : str
    names : tuple of str
        Labels that are not known, the target among them.
    normalise : str
        What is known of the amplitude: ``free``, ``known`` or ``absolute``.
    nuisances : Nuisances, optional
        Continuum and radial velocity, without priors.

    Returns
    -------
    density : StarDensity

    Raises
    ------
    ConfigError
        If the star's spectrum tells nothing on the target, or a nuisance has a prior.
    """
    nuisances = nuisances or Nuisances()
    if nuisances.priors:
        raise ConfigError("a prior holds information in no pixel; leave nuisance priors out")
    columns, variance = star_columns(bank, star, names, normalise, nuisances)
    values = columns.values[0].T
    index = columns.names.index(target)
    bound = crlb(values, variance[0], index)
    if not np.isfinite(bound.sigma2):
        raise ConfigError(f"--target {target}: this star's spectrum tells nothing on it")
    return StarDensity(
        target=target,
        names=columns.names,
        wave=bank.wave,
        flux=columns.flux[0],
        density=information_density(bound, bank.wave.size),
        density_fixed=values[:, index] ** 2 / variance[0],
        sigma=bound.sigma,
        rho=bound.rho,
        snr=float(median_snr(columns.flux, np.sqrt(variance))[0]),
    )
