"""Agreement of an instrument with output of the official exposure-time calculator."""

import re
from dataclasses import dataclass
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

__all__ = ["EtcComparison", "compare_with_etc"]

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
    """Ours over the calculator's, over all pixels of a flat-spectrum star.

    Attributes
    ----------
    snr_ratio : float
        Ratio of the medians of signal-to-noise per pixel.
    snr_within_5_percent : float
        Fraction of pixels whose signal-to-noise agrees to 5 %.
    signal_ratio : float
        Median over pixels of the ratio of electrons from the star.
    noise_ratio : float
        Median over pixels of the ratio of object-free standard deviations.
    """

    snr_ratio: float
    snr_within_5_percent: float
    signal_ratio: float
    noise_ratio: float


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
    snr = signal * np.sqrt(settings["exp_count"] / variance)
    ratio = snr / etc["snr_coadd12"]
    return EtcComparison(
        snr_ratio=float(np.median(snr) / np.median(etc["snr_coadd12"])),
        snr_within_5_percent=float(np.mean(np.abs(ratio - 1.0) < 0.05)),
        signal_ratio=float(np.median(signal / etc["signal_e_per_exp"])),
        noise_ratio=float(np.median(np.sqrt(noise / etc["noise_var_noobj_e2_per_exp"]))),
    )


def flat_flux(wave: np.ndarray, mag: float) -> np.ndarray:
    """Flux density of constant AB magnitude [1e-17 erg/s/cm²/Å] at ``wave`` [Å]."""
    fnu = AB_FNU_CGS * 10.0 ** (-0.4 * mag)
    return fnu * LIGHT_SPEED_ANGSTROM_S / wave**2 / FLUX_UNIT_CGS


def _read_etc(path: Path) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    lines = path.read_text().splitlines()
    header = " ".join(line for line in lines if line.startswith("#"))
    rows = [line for line in lines if not line.startswith("#")]
    found = {name: re.search(pattern, header) for name, pattern in SETTINGS.items()}
    names = rows[0].split(",") if rows else []
    missing = [name for name, match in found.items() if match is None]
    missing += [name for name in COLUMNS if name not in names]
    if missing:
        raise DataError(f"{path}: {missing} not found; expected output of the ETC")
    values = np.loadtxt(rows[1:], delimiter=",", ndmin=2).T
    columns = {name: values[names.index(name)] for name in COLUMNS}
    return {name: float(match[1]) for name, match in found.items() if match}, columns
