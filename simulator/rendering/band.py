"""What magnitudes are measured in: a filter of speclite, or a wavelength."""

import re
from collections.abc import Callable

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.constants import AB_FNU_CGS, LIGHT_SPEED_ANGSTROM_S

__all__ = ["Maggies", "band_maggies"]

PIVOT_WIDTH = 20.0  # [Å]: wider than a line profile, so that no single line decides
PIVOT = re.compile(r"ab(\d+(?:\.\d+)?)")

Maggies = Callable[[np.ndarray], np.ndarray]


def band_maggies(mag_band: str, grid: GridData) -> Maggies:
    """How to measure spectra of a grid in a band.

    Parameters
    ----------
    mag_band : str
        speclite name of a filter, e.g. ``hsc2017-i``; or ``ab8000``: the photon-weighted mean
        over 20 Å around that vacuum wavelength [Å].
    grid : GridData
        Must cover the band.

    Returns
    -------
    maggies : callable
        From flux densities (n_spec, n_wave) [erg/s/cm²/Å] to float64 (n_spec,), 1 at AB
        magnitude zero.

    Raises
    ------
    ConfigError
        If the band is not known.
    GridError
        If the grid does not cover it.
    """
    if match := PIVOT.fullmatch(mag_band):
        pivot = float(match[1])
        low, high = pivot - PIVOT_WIDTH / 2, pivot + PIVOT_WIDTH / 2
        _check_covered(mag_band, grid, low, high)
        return _box_maggies(np.asarray(grid.wave, dtype=np.float64), low, high)
    import speclite.filters

    try:
        band = speclite.filters.load_filter(mag_band)
    except ValueError as error:
        raise ConfigError(
            f"mag_band {mag_band!r} is neither a speclite filter, e.g. hsc2017-i, nor a "
            f"wavelength in Angstrom, e.g. ab8000: {error}"
        ) from None
    _check_covered(mag_band, grid, band.wavelength[0], band.wavelength[-1])
    return lambda spectra: band.get_ab_maggies(spectra, grid.wave)


def _check_covered(mag_band: str, grid: GridData, first: float, last: float) -> None:
    if first < grid.wave[0] or last > grid.wave[-1]:
        middle = round(0.5 * (grid.wave[0] + grid.wave[-1]), -1)
        raise GridError(
            f"grid {grid.name!r} covers {grid.wave[0]:.0f}-{grid.wave[-1]:.0f} Å, but band "
            f"{mag_band!r} spans {first:.0f}-{last:.0f} Å; import the grid over that range, "
            "choose a band it covers, or give magnitudes at a wavelength: "
            f"--mag-band ab{middle:.0f}"
        )


def _box_maggies(wave: np.ndarray, low: float, high: float) -> Maggies:
    """AB magnitude of a box-shaped filter: ∫ f λ dλ / (c f_AB ∫ dλ/λ), by the trapezoid rule."""
    inside = (wave > low) & (wave < high)
    at = np.concatenate([[low], wave[inside], [high]])
    reference = LIGHT_SPEED_ANGSTROM_S * AB_FNU_CGS * fixed.log(high / low)

    def maggies(spectra: np.ndarray) -> np.ndarray:
        ends = [_between(wave, spectra, edge)[:, None] for edge in (low, high)]
        flux = np.hstack([ends[0], spectra[:, inside], ends[1]])
        return np.trapezoid(flux * at, at, axis=1) / reference

    return maggies


def _between(wave: np.ndarray, spectra: np.ndarray, x: float) -> np.ndarray:
    """Linear interpolation of every spectrum at one wavelength."""
    k = min(max(int(np.searchsorted(wave, x)), 1), wave.size - 1)
    share = (x - wave[k - 1]) / (wave[k] - wave[k - 1])
    return (1 - share) * spectra[:, k - 1] + share * spectra[:, k]
