"""Spectra to plan with: a blackbody, or a table of the user's, scaled to a magnitude."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.data_contract.unit_conversion import plain_value
from starsmith.simulator.constants import BOLTZMANN_NM_K, FLUX_UNIT_CGS
from starsmith.simulator.instruments import Instrument, JoinedInstrument
from starsmith.simulator.instruments.dust import attenuation
from starsmith.simulator.instruments.light.extinction import REACH_PIXEL
from starsmith.simulator.instruments.pfs_etc.validate import flat_flux
from starsmith.simulator.rendering.band import band_maggies
from starsmith.simulator.rendering.pixels import pixel_operator

__all__ = ["Sed", "blackbody", "flat", "named_sed", "read_sed"]

BLACKBODY_WAVE = np.linspace(3000.0, 14000.0, 11001)  # [Å], one apart
TEMPERATURE = (100.0, 1.0e6)  # [K]
WIDEST_PIXEL = 2.0  # Å; wavelengths farther apart are not a spectrograph's pixels
CELLS_PER_PIXEL = 8  # a cell is a third of a line profile's σ at most


@dataclass(frozen=True, eq=False)
class Sed:
    """A spectrum scaled to AB magnitude 0 in a band; linear between its rows.

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
        """Mean flux density in a pixel about each wavelength [1e-17 erg/s/cm²/Å].

        A pixel reaches half way to its neighbours, 1 Å at most. No line profile is applied: see
        `on`.

        Parameters
        ----------
        wave : float64 array, shape (n_wave,)
            Vacuum [Å].

        Raises
        ------
        ConfigError
            If the spectrum does not reach that far.
        """
        wave = np.asarray(plain_value("wave", wave), dtype=np.float64)
        self._check_covers(wave)
        # half the distance to the next pixel, at most half the widest
        half = np.full(wave.size + 1, 0.5 * WIDEST_PIXEL)
        if wave.size > 1:
            half[1:-1] = np.minimum(0.5 * np.abs(np.diff(wave)), half[1:-1])
            half[[0, -1]] = half[[1, -2]]  # ends as wide as their neighbours
        return self._means(wave - half[:-1], wave + half[1:])

    def on(self, instrument: Instrument | JoinedInstrument) -> np.ndarray:
        """Flux density as an instrument sees it: line profile and pixel, as grids are rendered.

        Every line keeps its equivalent width, wherever in a pixel it falls. Beyond its first and
        last row a spectrum is taken to go on as it is there.

        Parameters
        ----------
        instrument : Instrument or JoinedInstrument

        Returns
        -------
        flux : float64 array, shape (n_wave,) [1e-17 erg/s/cm²/Å]

        Raises
        ------
        ConfigError
            If the spectrum does not cover the instrument's pixels.
        """
        self._check_covers(instrument.wave)
        return np.concatenate([self._on_arm(one) for one in instrument.by_arm])

    def behind(
        self, reddening: float, curve: tuple[np.ndarray, np.ndarray] | None, mag_band: str
    ) -> "Sed":
        """Return the spectrum seen through dust, at AB magnitude 0 behind it.

        Parameters
        ----------
        reddening : float
            E(B-V) [mag].
        curve : (wave_nm, a_per_ebv), optional
            As in `starsmith.simulator.instruments.dust.attenuation`.
        mag_band : str
        """
        if reddening == 0.0:
            return self
        dimmed = self.values * attenuation(self.wave, reddening, curve)
        return _scaled(self.name, self.wave, dimmed, mag_band)

    def _on_arm(self, one: Instrument) -> np.ndarray:
        pixel = one.arm.dispersion_nm * ANGSTROM_PER_NM
        first, last = one.arm.edge_nm[[0, -1]] * ANGSTROM_PER_NM
        beyond = (REACH_PIXEL + 1.0) * pixel  # what the line profile brings in from outside
        n_cell = CELLS_PER_PIXEL * int(np.ceil((last - first + 2.0 * beyond) / pixel))
        edge = np.linspace(first - beyond, last + beyond, n_cell + 1)
        cell = self._means(edge[:-1], edge[1:])  # integrals, so that a narrow line keeps its width
        return pixel_operator(0.5 * (edge[:-1] + edge[1:]), np.inf, one) @ cell

    def _check_covers(self, wave: np.ndarray) -> None:
        if self.wave[0] > wave.min() or self.wave[-1] < wave.max():
            raise ConfigError(
                f"spectrum {self.name} covers {self.wave[0]:.0f}-{self.wave[-1]:.0f} Å, but the "
                f"instrument needs {wave.min():.0f}-{wave.max():.0f} Å; give a wider one, or "
                "choose arms it covers"
            )

    def _means(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Mean of the straight lines between rows over intervals: exact, of any sampling."""
        return (self._integral(high) - self._integral(low)) / (high - low)

    def _integral(self, at: np.ndarray) -> np.ndarray:
        """∫ flux dλ from the first row to each wavelength; flux is constant outside the rows."""
        step = np.diff(self.wave)
        # integral up to each sample, by trapezoids
        whole = np.append(0.0, np.cumsum(0.5 * step * (self.values[1:] + self.values[:-1])))
        k = np.clip(np.searchsorted(self.wave, at, side="right") - 1, 0, step.size - 1)
        inside = np.clip(at, self.wave[0], self.wave[-1])
        part = inside - self.wave[k]
        slope = (self.values[k + 1] - self.values[k]) / step[k]
        # beyond its ends the spectrum goes on as it ended
        ends = np.where(at < self.wave[0], self.values[0], self.values[-1])
        return whole[k] + part * (self.values[k] + 0.5 * slope * part) + ends * (at - inside)


def flat() -> Sed:
    """Constant AB magnitude 0 at all wavelengths, 3000 to 14000 Å."""
    return Sed("flat", BLACKBODY_WAVE, flat_flux(BLACKBODY_WAVE, 0.0))


def named_sed(text: str, mag_band: str, air: bool = False) -> Sed:
    """Spectrum of a word: ``flat``, ``blackbody:4500`` (or ``4500K``), or a table's path.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    kind, _, kelvin = text.partition(":")
    is_table = text != "flat" and kind != "blackbody"
    if air and not is_table:
        raise ConfigError(f"--air is of a table of wavelengths, not of --sed {text}; drop it")
    if text == "flat":
        return flat()
    if kind != "blackbody":
        return read_sed(Path(text), mag_band, air)
    try:
        temperature = float(kelvin.removesuffix("K"))
    except ValueError:
        raise ConfigError(f"--sed {text}: expected blackbody:KELVIN, e.g. blackbody:5000") from None
    return blackbody(temperature, mag_band)


def blackbody(kelvin: float, mag_band: str) -> Sed:
    """Planck's law, at AB magnitude 0 in a band; ConfigError for temperatures of no source."""
    if not TEMPERATURE[0] <= kelvin <= TEMPERATURE[1]:
        raise ConfigError(f"a blackbody of {kelvin:g} K; choose 100 to 1e6 K")
    exponent = BOLTZMANN_NM_K * ANGSTROM_PER_NM / BLACKBODY_WAVE / kelvin
    flux = BLACKBODY_WAVE**-5.0 / np.expm1(np.minimum(exponent, 700.0))  # 700: expm1 would overflow
    return _scaled(f"blackbody of {kelvin:g} K", BLACKBODY_WAVE, flux / flux.max(), mag_band)


def read_sed(path: Path | str, mag_band: str, air: bool = False) -> Sed:
    """Read columns ``wave`` and ``flux`` of a CSV, ECSV or FITS table.

    Parameters
    ----------
    path : path
        Names may be aliases, in any case. Without a unit, ``wave`` is in Å and ``flux`` per Å;
        units that a column states are converted.
    mag_band : str
        Band it is scaled to AB magnitude 0 in.
    air : bool
        Wavelengths are those of air; also where the file says so.

    Raises
    ------
    ConfigError
        If a column is missing or has gaps, wavelengths do not increase, flux is negative, or the
        band lies outside.
    """
    from starsmith.data_contract.exchange.spectrum_file import read_spectrum  # astropy, 1 s

    seen = read_spectrum(path, air, ConfigError)
    wave, flux = seen.wave, seen.flux.astype(np.float64)
    missing = ~np.isfinite(flux) | (seen.mask != 0)
    if missing.any():
        raise ConfigError(
            f"{path}: column 'flux' is blank, masked or holds values that are not numbers in "
            f"{int(missing.sum())} row(s) (first: row {int(np.argmax(missing)) + 1} of the data, "
            f"{wave[np.argmax(missing)]:.6g} Å); fill them in, or leave these rows out"
        )
    if wave.size < 2 or not np.all(np.diff(wave) > 0):
        raise ConfigError(f"{path}: wave needs two values or more, increasing")
    if not np.all(flux >= 0) or not np.any(flux > 0):
        raise ConfigError(f"{path}: flux needs values of at least 0, some of them above")
    return _scaled(str(path), wave, flux, mag_band)


def _scaled(name: str, wave: np.ndarray, flux: np.ndarray, mag_band: str) -> Sed:
    flux = flux / flux.max()  # whatever its unit was, float32 holds it
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
