"""Spectra to plan with: a blackbody, or a table of the user's, scaled to a magnitude."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.data_contract.tables.spectrum_columns import read_columns
from starsmith.simulator.constants import ANGSTROM_PER_NM, BOLTZMANN_NM_K, FLUX_UNIT_CGS
from starsmith.simulator.rendering.band import band_maggies

__all__ = ["Sed", "blackbody", "read_sed"]

BLACKBODY_WAVE = np.linspace(3000.0, 14000.0, 11001)
TEMPERATURE = (100.0, 1.0e6)
COLUMNS = ("wave", "flux")


@dataclass(frozen=True, eq=False)
class Sed:
    """A spectrum scaled to AB magnitude 0 in a band.

    Attributes
    ----------
    name : str
    wave : float64 array, shape (n_row,)
        Vacuum, increasing [Å].
    values : float64 array, shape (n_row,)
        Flux density [1e-17 erg/s/cm²/Å].
    """

    name: str
    wave: np.ndarray
    values: np.ndarray

    def flux(self, wave: np.ndarray) -> np.ndarray:
        """Flux density at ``wave`` [Å], linear between rows [1e-17 erg/s/cm²/Å].

        Raises
        ------
        ConfigError
            If the spectrum does not reach that far.
        """
        if self.wave[0] > wave.min() or self.wave[-1] < wave.max():
            raise ConfigError(
                f"spectrum {self.name} covers {self.wave[0]:.0f}-{self.wave[-1]:.0f} Å, but the "
                f"instrument needs {wave.min():.0f}-{wave.max():.0f} Å; give a wider one, or "
                "choose arms it covers"
            )
        return np.interp(wave, self.wave, self.values)


def blackbody(kelvin: float, mag_band: str) -> Sed:
    """Planck's law, at AB magnitude 0 in a band; ConfigError for temperatures of no source."""
    if not TEMPERATURE[0] <= kelvin <= TEMPERATURE[1]:
        raise ConfigError(f"a blackbody of {kelvin:g} K; choose 100 to 1e6 K")
    exponent = BOLTZMANN_NM_K * ANGSTROM_PER_NM / BLACKBODY_WAVE / kelvin
    flux = BLACKBODY_WAVE**-5.0 / np.expm1(np.minimum(exponent, 700.0))
    return _scaled(f"blackbody of {kelvin:g} K", BLACKBODY_WAVE, flux / flux.max(), mag_band)


def read_sed(path: Path, mag_band: str) -> Sed:
    """Read columns ``wave`` [vacuum Å] and ``flux`` [per Å, any unit] of a CSV, ECSV or FITS file.

    Raises
    ------
    ConfigError
        If a column is missing, wavelengths do not increase, flux is negative, or the band lies
        outside.
    """
    columns = read_columns(path)
    if missing := [name for name in COLUMNS if name not in columns]:
        raise ConfigError(
            f"{path}: no column {missing}, found {list(columns)}; name them wave, flux"
        )
    wave, flux = (columns[name] for name in COLUMNS)
    if wave.size < 2 or not np.all(np.diff(wave) > 0):
        raise ConfigError(f"{path}: wave needs two values or more, increasing")
    if not np.all(flux >= 0) or not np.any(flux > 0):
        raise ConfigError(f"{path}: flux needs values of at least 0, some of them above")
    return _scaled(str(path), wave, flux, mag_band)


def _scaled(name: str, wave: np.ndarray, flux: np.ndarray, mag_band: str) -> Sed:
    one = GridData(
        name=name,
        axes={label: np.zeros(1) for label in ("teff", "logg", "m_h")},
        wave=wave,
        flux=flux.astype(np.float32).reshape(1, 1, 1, -1),
        resolution=np.inf,
        valid=np.ones((1, 1, 1), dtype=bool),
    )
    maggies = band_maggies(mag_band, one)(flux[None, :])[0]
    if not maggies > 0:
        raise ConfigError(f"spectrum {name} has no light in band {mag_band!r}; choose another band")
    return Sed(name, wave, flux / maggies / FLUX_UNIT_CGS)
