"""Agreement of an instrument with output of the official exposure-time calculator."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import read_text
from starsmith.data_contract.noise.view import background, sensitivity
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.simulator.constants import AB_FNU_CGS, FLUX_UNIT_CGS, LIGHT_SPEED_ANGSTROM_S
from starsmith.simulator.instruments.dust import attenuation
from starsmith.simulator.instruments.instrument import (
    Instrument,
    JoinedInstrument,
    with_source,
)
from starsmith.simulator.instruments.instrument_tables import noise_tables

__all__ = ["SETTINGS", "EtcComparison", "Setting", "compare_with_etc", "flat_flux"]


@dataclass(frozen=True)
class Setting:
    """What a spectrum of the calculator was computed for.

    Attributes
    ----------
    pattern : str
        How the first comments of its file state it.
    text : str
        How a figure states it.
    optional : bool
        Whether a file may leave it out; it is zero then.
    """

    pattern: str
    text: str
    optional: bool = False


SETTINGS = {
    "mag": Setting(r"flat AB ([\d.]+)", "AB {:g}"),
    "exp_count": Setting(r"(\d+) ?x ?[\d.]+ s", "{:g} exposures"),
    "exp_time": Setting(r"\d+ ?x ?([\d.]+) s", "{:g} s each"),
    "seeing": Setting(r"seeing ([\d.]+)", 'seeing {:g}"'),
    "zenith_angle": Setting(r"(?:ZA|zenith angle) ([\d.]+)", "zenith {:g}°"),
    "field_angle": Setting(r"field(?: angle)? ([\d.]+)", "field {:g}°"),
    "offset": Setting(r"offset ([\d.]+)", 'offset {:g}"', optional=True),
    "reff": Setting(r"(?:r_?eff\w*|effective radius)[ =]*([\d.]+)", 'disc {:g}"', optional=True),
    "ebv": Setting(r"E\(B-V\) ?= ?([\d.]+)", "E(B-V) {:g}", optional=True),
}
NO_MOON = {"moon_zenith_angle": 90.0, "moon_target_angle": 90.0, "moon_phase": 0.0}
COLUMNS = ("snr_coadd", "signal_e_per_exp", "noise_var_noobj_e2_per_exp")
SNR_COLUMN = re.compile(r"snr_coadd\d*")

# What agreement is asked for: with the calculator's own tables in every pixel, and with thinned
# ones in the median and in most pixels.
SIGNAL_BOUND, NOISE_BOUND, SNR_BOUND = 1e-3, 2e-3, 1e-3
THINNED_SNR_BOUND, THINNED_SHARE = 0.02, 0.90


@dataclass(frozen=True, kw_only=True)
class EtcComparison:
    """Ours beside the calculator's, for a flat-spectrum star; float64 arrays of shape (n_wave,).

    Attributes
    ----------
    arm : str
        The arm compared.
    settings : dict of str to float
        Magnitude, conditions and source, as the calculator's file or the caller states them.
    wave : array
        Vacuum [Å].
    snr, etc_snr : arrays
        Signal-to-noise of the coadd per pixel.
    signal, etc_signal : arrays
        Electrons from the star per exposure.
    noise, etc_noise : arrays
        Object-free variance [electron² per exposure].
    """

    arm: str
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

    @property
    def signal_worst(self) -> float:
        """Greatest relative deviation of a pixel's electrons from the star."""
        return float(np.max(np.abs(self.signal / self.etc_signal - 1.0)))

    @property
    def noise_worst(self) -> float:
        """Greatest relative deviation of a pixel's object-free variance."""
        return float(np.max(np.abs(self.noise / self.etc_noise - 1.0)))

    @property
    def agreement(self) -> str:
        """``exact`` in every pixel, ``thinned`` in the median and most pixels, or ``none``."""
        exact = self.signal_worst <= SIGNAL_BOUND and self.noise_worst <= NOISE_BOUND
        if exact and abs(self.snr_ratio - 1.0) <= SNR_BOUND:
            return "exact"
        close = abs(self.snr_ratio - 1.0) <= THINNED_SNR_BOUND
        return "thinned" if close and self.snr_within_5_percent >= THINNED_SHARE else "none"

    def summary(self) -> dict[str, float]:
        """Measures of agreement by name."""
        return {
            "snr_ratio": self.snr_ratio,
            "snr_within_5_percent": self.snr_within_5_percent,
            "signal_ratio": self.signal_ratio,
            "noise_ratio": self.noise_ratio,
            "signal_worst": self.signal_worst,
            "noise_worst": self.noise_worst,
        }


def compare_with_etc(
    instrument: Instrument | JoinedInstrument,
    csv_path: Path | str,
    settings: Mapping[str, float] | None = None,
) -> EtcComparison:
    """Compare with a spectrum computed by the PFS exposure-time calculator.

    Parameters
    ----------
    instrument : Instrument or JoinedInstrument
        Of several arms, the one with the file's pixels is compared.
    csv_path : Path
        Table of the calculator's output; its first comments state the settings as in
        ``flat AB 21.5; 12x900 s; seeing 0.8", ZA 35, field 0.45``.
    settings : mapping, optional
        Settings the file does not state, or states otherwise: ``mag``, ``exp_time``, ..., the
        source's ``offset`` and ``reff`` [arcsec], ``ebv``, and the moon's.

    Returns
    -------
    comparison : EtcComparison

    Raises
    ------
    DataError
        If the file lacks a setting or column, or has other pixels than the instrument.
    """
    path = Path(csv_path)
    named, etc = _read_etc(path, dict(settings or {}))
    one = _matching_arm(instrument, path, etc)
    one = with_source(one, named.get("reff"), named.get("offset"))
    conditions = np.array([[named[name] for name in CONDITIONS]])
    tables = noise_tables(one)
    star_nm = one.arm.wave_nm + one.arm.star_shift_pixel * one.arm.dispersion_nm
    star = star_nm * ANGSTROM_PER_NM
    flux = flat_flux(star, named["mag"])
    if named.get("ebv"):
        flux = flux * attenuation(star, named["ebv"], one.dust_curve)
    signal = (sensitivity(tables, conditions) * flux)[0]
    noise = background(tables, conditions)[0]
    variance = tables.sample_factor * signal + noise
    return EtcComparison(
        arm=one.arm.name,
        settings=named,
        wave=one.wave,
        snr=signal * np.sqrt(named["exp_count"] / variance),
        etc_snr=etc["snr_coadd"],
        signal=signal,
        etc_signal=etc["signal_e_per_exp"],
        noise=noise,
        etc_noise=etc["noise_var_noobj_e2_per_exp"],
    )


def _matching_arm(
    instrument: Instrument | JoinedInstrument, path: Path, etc: dict[str, np.ndarray]
) -> Instrument:
    """The arm whose pixels the file holds."""
    n_row = etc["signal_e_per_exp"].size
    fits = [one for one in instrument.by_arm if one.arm.n_pixel == n_row]
    if "wave_nm" in etc:
        at = etc["wave_nm"]
        fits = [one for one in fits if np.max(np.abs(at - one.arm.wave_nm)) < one.arm.dispersion_nm]
    if len(fits) != 1:
        arms = ", ".join(
            f"{arm.name} ({arm.n_pixel} pixels, {arm.wave_min_nm:g}-{arm.wave_max_nm:g} nm)"
            for arm in instrument.arms
        )
        raise DataError(
            f"{path}: {n_row} pixels fit {'none' if not fits else 'several'} of the arms of "
            f"instrument {instrument.name!r}: {arms}; compare an arm with its own output"
        )
    return fits[0]


def flat_flux(wave: np.ndarray, mag: float) -> np.ndarray:
    """Flux density of constant AB magnitude [1e-17 erg/s/cm²/Å] at ``wave`` [Å]."""
    fnu = AB_FNU_CGS * 10.0 ** (-0.4 * mag)
    return fnu * LIGHT_SPEED_ANGSTROM_S / wave**2 / FLUX_UNIT_CGS


def _read_etc(
    path: Path, given: dict[str, float]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Settings, the caller's before the file's, and columns of a file of the calculator."""
    lines = read_text(path).splitlines()
    header = " ".join(line for line in lines if line.startswith("#"))
    rows = [line for line in lines if not line.startswith("#")]
    found = {
        name: float(match[1].rstrip("."))
        for name, setting in SETTINGS.items()
        if (match := re.search(setting.pattern, header))
    }
    settings = {**NO_MOON, **found, **given}
    names = rows[0].split(",") if rows else []
    names = ["snr_coadd" if SNR_COLUMN.fullmatch(name) else name for name in names]
    missing = [name for name, s in SETTINGS.items() if not s.optional and name not in settings]
    missing += [name for name in COLUMNS if name not in names]
    if missing:
        raise DataError(
            f"{path}: {missing} not found; expected output of the ETC, with settings in its "
            "first comment or as options"
        )
    values = _numbers(path, rows[1:], len(names))
    columns = {name: values[names.index(name)] for name in COLUMNS}
    if "wavelength_nm_center" in names:
        columns["wave_nm"] = values[names.index("wavelength_nm_center")]
    return settings, columns


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
