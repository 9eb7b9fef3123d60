"""Agreement of an instrument with output of the official exposure-time calculator."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.names import CONDITIONS
from starsmith.data_contract.noise import background, sensitivity
from starsmith.simulator.constants import (
    AB_FNU_CGS,
    FLUX_UNIT_CGS,
    LIGHT_SPEED_ANGSTROM_S,
)
from starsmith.simulator.instruments.config import Instrument
from starsmith.simulator.instruments.tables import noise_tables

__all__ = ["EtcComparison", "compare_with_etc", "flat_flux"]

# How the file's first comment states each setting.
SETTINGS = {
    "mag": r"flat AB ([\d.]+)",
    "exp_count": r"(\d+)x[\d.]+ s",
    "exp_time": r"\d+x([\d.]+) s",
    "seeing": r"seeing ([\d.]+)",
    "zenith_angle": r"ZA ([\d.]+)",
    "field_angle": r"field(?: angle)? ([\d.]+)",
}
COLUMNS = ("snr_coadd12", "signal_e_per_exp", "noise_var_noobj_e2_per_exp")


@dataclass(frozen=True, kw_only=True)
class EtcComparison:
    """Ours beside the calculator's, for a flat-spectrum star; float64 arrays of shape (n_wave,).

    Attributes
    ----------
    settings : dict of str to float
        Magnitude and conditions, as the calculator's file states them.
    wave : array
        Vacuum [Å].
    snr, etc_snr : arrays
        Signal-to-noise of the coadd per pixel.
    signal, etc_signal : arrays
        Electrons from the star per exposure.
    noise, etc_noise : arrays
        Object-free variance [electron² per exposure].
    """

    settings: dict[str, float]
    wave: np.ndarray = field(repr=False)
    snr: np.ndarray = field(repr=False)
    etc_snr: np.ndarray = field(repr=False)
    signal: np.ndarray = field(repr=False)
    etc_signal: np.ndarray = field(repr=False)
    noise: np.ndarray = field(repr=False)
    etc_noise: np.ndarray = field(repr=False)

    @property
    def snr_ratio(self) -> float:
        """Ratio of the medians of signal-to-noise per pixel."""
        return float(np.median(self.snr) / np.median(self.etc_snr))

    @property
    def snr_within_5_percent(self) -> float:
        """Fraction of pixels whose signal-to-noise agrees to 5 %."""
        return float(np.mean(np.abs(self.snr / self.etc_snr - 1.0) < 0.05))

    @property
    def signal_ratio(self) -> float:
        """Median over pixels of the ratio of electrons from the star."""
        return float(np.median(self.signal / self.etc_signal))

    @property
    def noise_ratio(self) -> float:
        """Median over pixels of the ratio of object-free standard deviations."""
        return float(np.median(np.sqrt(self.noise / self.etc_noise)))

    def summary(self) -> dict[str, float]:
        """The four measures of agreement by name."""
        return {
            "snr_ratio": self.snr_ratio,
            "snr_within_5_percent": self.snr_within_5_percent,
            "signal_ratio": self.signal_ratio,
            "noise_ratio": self.noise_ratio,
        }


def compare_with_etc(instrument: Instrument, csv_path: Path | str) -> EtcComparison:
    """Compare with a spectrum computed by the PFS exposure-time calculator.

    Parameters
    ----------
    instrument : Instrument
    csv_path : Path
        Table of the calculator's output; its first comment states the settings as in
        ``flat AB 21.5; 12x900 s; seeing 0.8", ZA 35, field 0.45``.

    Returns
    -------
    comparison : EtcComparison

    Raises
    ------
    DataError
        If the file lacks a setting or column, or has other pixels than the instrument.
    """
    settings, etc = _read_etc(Path(csv_path))
    if etc["signal_e_per_exp"].size != instrument.wave.size:
        raise DataError(
            f"{csv_path}: {etc['signal_e_per_exp'].size} pixels, but instrument "
            f"{instrument.name!r} has {instrument.wave.size}; compare with its own output"
        )
    dark = {"moon_zenith_angle": 90.0, "moon_target_angle": 90.0, "moon_phase": 0.0}
    named = {**dark, **settings}
    conditions = np.array([[named[name] for name in CONDITIONS]])
    tables = noise_tables(instrument)
    flux = flat_flux(instrument.wave, settings["mag"])
    signal = (sensitivity(tables, conditions) * flux)[0]
    noise = background(tables, conditions)[0]
    variance = tables.sample_factor * signal + noise
    return EtcComparison(
        settings=settings,
        wave=instrument.wave,
        snr=signal * np.sqrt(settings["exp_count"] / variance),
        etc_snr=etc["snr_coadd12"],
        signal=signal,
        etc_signal=etc["signal_e_per_exp"],
        noise=noise,
        etc_noise=etc["noise_var_noobj_e2_per_exp"],
    )


def flat_flux(wave: np.ndarray, mag: float) -> np.ndarray:
    """Flux density of constant AB magnitude [1e-17 erg/s/cm²/Å] at ``wave`` [Å]."""
    fnu = AB_FNU_CGS * 10.0 ** (-0.4 * mag)
    return fnu * LIGHT_SPEED_ANGSTROM_S / wave**2 / FLUX_UNIT_CGS


def _read_etc(path: Path) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    lines = path.read_text(errors="replace").splitlines()
    header = " ".join(line for line in lines if line.startswith("#"))
    rows = [line for line in lines if not line.startswith("#")]
    found = {name: re.search(pattern, header) for name, pattern in SETTINGS.items()}
    names = rows[0].split(",") if rows else []
    missing = [name for name, match in found.items() if match is None]
    missing += [name for name in COLUMNS if name not in names]
    if missing:
        raise DataError(f"{path}: {missing} not found; expected output of the ETC")
    values = _numbers(path, rows[1:], len(names))
    columns = {name: values[names.index(name)] for name in COLUMNS}
    return {name: float(match[1]) for name, match in found.items() if match}, columns


def _numbers(path: Path, rows: list[str], n_column: int) -> np.ndarray:
    """Columns of the rows as numbers, shape (n_column, n_row)."""
    try:
        values = np.array([row.split(",") for row in rows if row], dtype=np.float64)
    except ValueError as error:
        raise DataError(
            f"{path}: rows are not all of the same number of numbers: {error}"
        ) from None
    if values.ndim != 2 or values.shape[1] != n_column:
        raise DataError(f"{path}: rows of shape {values.shape}, expected {n_column} columns")
    return values.T
