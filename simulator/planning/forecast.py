"""Planning observations: signal-to-noise of a source, and what the noise consists of."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.arms import ArmSpan
from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.budget import noise_budget
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.unit_conversion import plain_value
from starsmith.simulator.instruments import (
    Instrument,
    JoinedInstrument,
    noise_tables,
    resolution_element,
)
from starsmith.simulator.instruments.pfs_etc.validate import flat_flux
from starsmith.simulator.prior import Prior

if TYPE_CHECKING:
    from starsmith.simulator.planning.sed import Sed

__all__ = [
    "SnrForecast",
    "forecast_snr",
    "magnitude_steps",
    "observing_conditions",
]

MAX_MAGNITUDES = 200
NO_MOON = {"moon_zenith_angle": 90.0, "moon_target_angle": 90.0, "moon_phase": 0.0}


def observing_conditions(**named: float) -> np.ndarray:
    """Conditions of one observation.

    Parameters
    ----------
    **named : float
        Conditions by their names in the glossary; the moon's may be left out: no moon.

    Returns
    -------
    conditions : float64 array, shape (1, 8)
        Columns in `CONDITIONS` order.

    Raises
    ------
    ConfigError
        If a value is one no observation has.
    """
    checked = Prior.default().with_ranges(
        **{name: (value, value) for name, value in {**NO_MOON, **named}.items()}
    )
    return np.array([[checked.ranges[name][0] for name in CONDITIONS]], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class SnrForecast:
    """Signal-to-noise of a source against magnitude and wavelength.

    Attributes
    ----------
    arms : tuple of ArmSpan
        Which pixels belong to which arm.
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    pixel_angstrom : float64 array, shape (n_wave,)
        Width of each pixel.
    element_pixel : float64 array, shape (n_wave,)
        Half-maximum width of the line profile, pixel included.
    mag : float64 array, shape (n_mag,)
        AB.
    snr : float64 array, shape (n_mag, n_wave)
        Per pixel, of the coadd.
    fractions : dict of str to float64 array, shape (n_mag, n_wave)
        Share of each term in the variance, by the names of
        `starsmith.data_contract.noise.budget`; they add up to 1 in every pixel.
    """

    arms: tuple[ArmSpan, ...]
    wave: np.ndarray
    pixel_angstrom: np.ndarray
    element_pixel: np.ndarray
    mag: np.ndarray
    snr: np.ndarray
    fractions: dict[str, np.ndarray]

    def rows(self) -> list[dict[str, float | str]]:
        """Per magnitude and arm: median S/N per pixel, Å and resolution element, and fractions.

        Pixels are taken as independent, so that S/N grows with the root of their number. A
        median is over an arm's pixels, each by itself: fractions need not add up to 1.
        """
        values = {
            "snr_pixel": self.snr,
            # signal grows with pixels, noise with their root
            "snr_angstrom": self.snr / np.sqrt(self.pixel_angstrom),
            "snr_element": self.snr * np.sqrt(self.element_pixel),
            **self.fractions,
        }
        return [
            {
                "mag": float(mag),
                "arm": arm.name,
                **{name: float(np.median(of[k, arm.pixels])) for name, of in values.items()},
            }
            for k, mag in enumerate(self.mag)
            for arm in self.arms
        ]


def magnitude_steps(bright: float, faint: float, step: float) -> np.ndarray:
    """Magnitudes from bright to faint, both included, equally spaced by at most ``step``.

    Raises
    ------
    ConfigError
        If they would be more than 200.
    """
    n_step = np.ceil((faint - bright) / step - 1e-9)  # 1e-9: rounding must not add a step
    if not n_step < MAX_MAGNITUDES:
        raise ConfigError(
            f"magnitudes {bright:g}..{faint:g} in steps of {step:g} are more than "
            f"{MAX_MAGNITUDES}; narrow them or take larger steps"
        )
    return np.linspace(bright, faint, int(n_step) + 1)


def forecast_snr(
    instrument: Instrument | JoinedInstrument,
    mag: np.ndarray,
    conditions: np.ndarray,
    sed: "Sed | None" = None,
) -> SnrForecast:
    """Forecast the signal-to-noise of a source in every arm.

    Parameters
    ----------
    instrument : Instrument or JoinedInstrument
    mag : float64 array, shape (n_mag,)
        AB: at all wavelengths, or in the band of ``sed``.
    conditions : float64 array, shape (1, 8)
        Columns in `CONDITIONS` order.
    sed : Sed, optional
        Spectrum of the source; of constant AB magnitude by default.

    Returns
    -------
    forecast : SnrForecast

    Raises
    ------
    DataError
        If a condition lies outside the instrument's tables.
    ConfigError
        If the source's spectrum does not cover the instrument.
    """
    tables = noise_tables(instrument)
    shape = flat_flux(instrument.wave, 0.0) if sed is None else sed.on(instrument)  # of magnitude 0
    mag = np.asarray(plain_value("mag", mag), dtype=np.float64)
    flux = shape * 10.0 ** (-0.4 * mag)[:, None]  # (n_mag, n_wave)
    budget = noise_budget(tables, flux, conditions)
    width = [np.full(arm.n_pixel, arm.dispersion_nm * ANGSTROM_PER_NM) for arm in instrument.arms]
    return SnrForecast(
        arms=tables.arms,
        wave=instrument.wave,
        pixel_angstrom=np.concatenate(width),
        element_pixel=resolution_element(instrument),
        mag=mag,
        snr=budget.sensitivity * flux * np.sqrt(budget.n_exposure / budget.variance),
        fractions=budget.fractions(),
    )
