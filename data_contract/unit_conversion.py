"""Numbers with units, and without, brought to the units of the glossary or refused.

Conversions follow astropy: f_λ = f_ν c / λ² (``spectral_density``), AB magnitudes of Oke & Gunn
1983 (zero at 3631 Jy), log g as the logarithm of g in cm/s².
"""

import re
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import LABELS, named

if TYPE_CHECKING:
    from astropy.units import UnitBase

__all__ = [
    "FLUX_CGS",
    "flux_factor",
    "parse_unit",
    "plain_flux",
    "plain_value",
    "split_unit",
    "to_angstrom",
    "to_glossary",
]

FLUX_CGS = "1e-17 erg / (s cm2 Angstrom)"
"""The flux unit of this project, as astropy reads it."""

SPELLINGS = (
    (re.compile(r"\bergs\b"), "erg"),
    (re.compile(r"(?i)\bangstroe?ms?\b|\bang\b"), "Angstrom"),
    (re.compile(r"(?i)\bmicro(n|meter|metre)s?\b"), "um"),
    (re.compile(r"(?i)\bnanomet(er|re)s?\b"), "nm"),
    (re.compile(r"\b10\^"), "10**"),
    (re.compile(r"(?<![\w.])A(?![A-Za-z])"), "Angstrom"),  # an ampere is in no spectrum
)
PIVOT = re.compile(r"ab(\d+(?:\.\d+)?)")
AB_MAGNITUDES = {"ab", "abmag", "mag(ab)", "magab", "m(ab)", "mag"}
VEGA_MAGNITUDES = {"vega", "vegamag", "mag(vega)", "magvega", "m(vega)"}
ST_MAGNITUDES = {"st", "stmag", "mag(st)", "magst", "m(st)"}
AB_ZERO_JY = 3631.0

AB_LESS_VEGA = {
    "sdss2010-u": 0.91,
    "sdss2010-g": -0.08,
    "sdss2010-r": 0.16,
    "sdss2010-i": 0.37,
    "sdss2010-z": 0.54,
    "bessell-U": 0.79,
    "bessell-B": -0.09,
    "bessell-V": 0.02,
    "bessell-R": 0.21,
    "bessell-I": 0.45,
}
"""Magnitude of a star in AB less that in Vega, by speclite's names of bands (Blanton & Roweis 2007,
AJ 133, 734, table 1). The colours of Vega that SDSS publishes agree within 0.03 mag. Filters of
other cameras differ by more than that, so they are not taken for these."""


def parse_unit(text: object) -> "UnitBase | None":
    """Unit of a column: an astropy unit, its text in one of the usual spellings, or none.

    Raises
    ------
    ValueError
        If the text is no unit.
    """
    from astropy import units

    if text is None or isinstance(text, units.FunctionUnitBase):
        return text
    if isinstance(text, units.UnitBase) and not isinstance(text, units.UnrecognizedUnit):
        is_misread = units.A in getattr(text, "bases", ())
        return parse_unit(text.to_string()) if is_misread else text
    spelled = str(text).strip()
    for pattern, word in SPELLINGS:
        spelled = pattern.sub(word, spelled)
    for kind in ("generic", "fits", "cds"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", units.UnitsWarning)
            with suppress(ValueError, TypeError):
                return units.Unit(spelled, format=kind) if spelled else None
    raise ValueError(f"{text!s} is no unit that astropy knows")


def split_unit(values: object) -> "tuple[object, UnitBase | None]":
    """Plain numbers of an array, Column or Quantity with NaN where they are masked, and the unit.

    Returns
    -------
    numbers : array
        Of float64, or float32 where it was.
    unit : astropy unit or None
    """
    unit = getattr(values, "unit", None)
    hidden = getattr(values, "mask", None)
    if hasattr(values, "unmasked"):  # an astropy Masked
        values = values.unmasked
    if unit is not None and hasattr(values, "value"):
        values = values.value
    plain = np.asarray(getattr(values, "data", values) if hidden is not None else values)
    if plain.dtype.kind not in "fiub":
        plain = _numbers_of_text(plain)
    plain = plain.astype(np.float32 if plain.dtype == np.float32 else np.float64)
    if hidden is not None and np.any(hidden):
        plain = np.where(hidden, plain.dtype.type(np.nan), plain)
    return plain, unit


def _numbers_of_text(values: np.ndarray) -> np.ndarray:
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError("it holds text, not numbers") from None


def to_angstrom(values: np.ndarray, unit: "UnitBase | None") -> np.ndarray:
    """Wavelengths in Å, float64; without a unit they are in Å. ValueError for other units."""
    from astropy import units

    values = np.asarray(values, dtype=np.float64)
    if unit is None or unit == units.Angstrom:
        return values
    try:
        return units.Quantity(values, unit).to_value(units.Angstrom, units.spectral())
    except (units.UnitConversionError, TypeError):
        raise ValueError(f"{unit} is no unit of wavelength") from None


def flux_factor(unit: "UnitBase | None", wave: np.ndarray) -> np.ndarray | float:
    """What to multiply flux densities by for 1e-17 erg/s/cm²/Å; 1 without a unit.

    Parameters
    ----------
    unit : astropy unit or None
        Of flux per wavelength or per frequency; dimensionless fluxes keep their numbers.
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].

    Raises
    ------
    ValueError
        If it is no unit of flux density.
    """
    from astropy import units

    if unit is None or unit == units.dimensionless_unscaled:
        return 1.0
    wanted = units.Unit(FLUX_CGS)
    if unit == wanted:
        return 1.0
    try:
        density = units.spectral_density(wave * units.Angstrom)
        return units.Quantity(np.ones(np.shape(wave)), unit).to_value(wanted, density)
    except (units.UnitConversionError, TypeError):
        raise ValueError(f"{unit} is no unit of flux density") from None


def to_glossary(name: str, values: np.ndarray, unit: object, band: str = "") -> np.ndarray:
    """Values of a quantity of a star, such as ``logg``, in its glossary unit, float64.

    Magnitudes may be AB, ST or Vega, or a flux (nJy); ``logg`` a logarithm of another unit
    (dex(m/s2)), or g itself (m/s2); ``teff`` also a logarithm (dex(K)). Without a unit, or with
    ``dex`` for a logarithm, values are in glossary units.

    Parameters
    ----------
    name : str
    values : float array
    unit : astropy unit, its text, or None
    band : str
        Of magnitudes that are not AB: a speclite name, or a wavelength as ``ab8000``.

    Raises
    ------
    ValueError
        If the unit does not fit.
    """
    from astropy import units

    values = np.asarray(values, dtype=np.float64)
    if name == "mag":
        spelled = str(unit or "").lower().replace(" ", "").replace("_", "")
        if spelled in AB_MAGNITUDES:
            return values
        if spelled in VEGA_MAGNITUDES:
            return values + _ab_less_vega(band)
        unit = "mag(ST)" if spelled in ST_MAGNITUDES else unit
    unit, wanted = parse_unit(unit), units.Unit(named(name).unit)
    if unit is None or unit == wanted or (str(unit) in ("", "dex") and name in LABELS):
        return values
    try:
        if name == "mag":
            return _ab_magnitude(values, unit, band)
        if isinstance(unit, units.DexUnit):
            logarithm = units.Dex(values, unit)
            is_log = isinstance(wanted, units.DexUnit)
            return logarithm.to_value(wanted) if is_log else logarithm.physical.to_value(wanted)
        if isinstance(wanted, units.DexUnit):
            linear = units.Quantity(values, unit).to_value(wanted.physical_unit)
            return np.log10(np.where(linear > 0.0, linear, np.nan))
        return units.Quantity(values, unit).to_value(wanted)
    except (units.UnitConversionError, units.UnitTypeError, TypeError):
        raise ValueError(f"{unit} cannot be converted to {wanted}") from None


def plain_value(name: str, value: object) -> object:
    """Number or array of a quantity in its glossary unit, of a Quantity; others as they are.

    A name is only looked up where there is a unit.

    Raises
    ------
    ConfigError
        If the unit does not fit.
    """
    if not hasattr(value, "unit"):
        return value
    try:
        found = to_glossary(name, value.value, value.unit)
    except ValueError as problem:
        raise ConfigError(f"{name} = {value}: {problem}") from None
    return float(found) if found.ndim == 0 else found


def plain_flux(name: str, value: object, wave: np.ndarray) -> object:
    """Flux density in erg/s/cm²/Å, float32, of a Quantity; others as they are.

    Raises
    ------
    ConfigError
        If it is in no unit of flux density.
    """
    if not hasattr(value, "unit"):
        return value
    try:
        factor = flux_factor(parse_unit(value.unit), np.asarray(wave, dtype=np.float64))
    except ValueError as problem:
        raise ConfigError(f"{name}: {problem}") from None
    return (value.value * (factor * 1e-17)).astype(np.float32)


def _ab_less_vega(band: str) -> float:
    if band not in AB_LESS_VEGA:
        what = f"of band {band!r} is not known" if band else "depends on the band, which is unknown"
        raise ValueError(
            f"Vega magnitudes: their offset from AB {what} (known: {', '.join(AB_LESS_VEGA)}); "
            "convert them to AB"
        )
    return AB_LESS_VEGA[band]


def _ab_magnitude(values: np.ndarray, unit: "UnitBase", band: str) -> np.ndarray:
    """AB magnitude of ST magnitudes, or of fluxes; NaN where a flux is not positive."""
    from astropy import units

    is_magnitude = isinstance(unit, units.MagUnit)
    flux = units.Magnitude(values, unit).physical if is_magnitude else values * unit
    if not flux.unit.is_equivalent("Jy"):
        flux.to("Jy", units.spectral_density(1.0 * units.Angstrom))  # refuses what is no flux
        flux = flux.to("Jy", units.spectral_density(_pivot(band) * units.Angstrom))
    jansky = flux.to_value("Jy")
    return -2.5 * np.log10(np.where(jansky > 0.0, jansky, np.nan) / AB_ZERO_JY)


def _pivot(band: str) -> float:
    """Pivot wavelength of a band, √(∫Tλdλ / ∫T/λ dλ) [Å]; ValueError where it is not known."""
    if match := PIVOT.fullmatch(band):
        return float(match[1])
    import speclite.filters

    try:
        found = speclite.filters.load_filter(band)
    except ValueError:
        what = f"band {band!r}" if band else "the band"
        raise ValueError(
            f"magnitudes or fluxes per wavelength need a pivot, but {what} is not known; convert "
            "them to AB, or name the band in the table's metadata: mag_band"
        ) from None
    wave, response = found.wavelength, found.response
    above, below = np.trapezoid(response * wave, wave), np.trapezoid(response / wave, wave)
    return float(np.sqrt(above / below))
