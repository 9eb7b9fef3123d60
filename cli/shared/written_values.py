"""Numbers as people write them: with a unit, with other names, with slips that can be named."""

import re
from collections.abc import Iterable

from starsmith.data_contract.quantities import UNITS

__all__ = [
    "NUMBER",
    "SECONDS",
    "OtherMagnitudes",
    "to_own_unit",
]

NUMBER = r"[+-]?\d{1,15}(?:\.\d{1,15})?"
SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
"""Spelling of a unit of time -> seconds."""

FACTORS = {
    "s": SECONDS,
    "K": {"k": 1.0, "kk": 1e3, "kelvin": 1.0},
    "dex(cm s-2)": {"dex": 1.0},
    "dex": {"dex": 1.0},
    "mag(AB)": {"mag": 1.0, "ab": 1.0, "abmag": 1.0, "magab": 1.0, "mag(ab)": 1.0},
    "mag": {"mag": 1.0},
    "km s-1": {"km/s": 1.0, "kms": 1.0, "kms-1": 1.0, "kms^-1": 1.0, "m/s": 1e-3},
    "arcsec": {"arcsec": 1.0, '"': 1.0, "arcmin": 60.0, "mas": 1e-3},
    "deg": {"deg": 1.0, "°": 1.0, "degrees": 1.0, "arcmin": 1.0 / 60.0, "arcsec": 1.0 / 3600.0},
    "Angstrom": {"nm": 10.0, "um": 1e4, "a": 1.0, "å": 1.0, "aa": 1.0, "angstrom": 1.0},
    "1": {"x": 1.0},
}
"""Unit of the glossary -> what one of another unit is of it; read without astropy."""

SHOWN = {
    "s": "s, min, h or d",
    "mag(AB)": "AB, Vega or ST",
    "km s-1": "km/s or m/s",
    "dex(cm s-2)": "dex or m/s2",
    "arcsec": "arcsec or arcmin",
    "Angstrom": "nm, um or Angstrom",
    "1": "no unit",
}
"""Unit of the glossary -> what a message says can be written; the unit itself elsewhere."""

SYSTEMS = {"vega": "vega", "vegamag": "vega", "st": "ST", "stmag": "ST"}


class OtherMagnitudes(tuple):
    """Magnitudes (faint last) of a system that needs a band to be AB: ``vega`` or ``ST``."""

    system: str

    def __new__(cls, values: Iterable[float], system: str) -> "OtherMagnitudes":
        """Keep the system beside the numbers."""
        made = super().__new__(cls, values)
        made.system = system
        return made

    def ab(self, band: str) -> tuple[float, ...]:
        """The same in AB; ValueError where the band's zero point is not known."""
        from starsmith.data_contract.unit_conversion import to_glossary

        return tuple(float(x) for x in to_glossary("mag", list(self), self.system, band))


def to_own_unit(name: str, numbers: Iterable[float], unit: str) -> tuple[float, ...]:
    """Numbers of a quantity in a stated unit, in the unit of the glossary.

    Parameters
    ----------
    name : str
        Of the quantity.
    numbers : iterable of float
    unit : str
        As it was written; empty is the glossary's own.

    Returns
    -------
    numbers : tuple of float
        `OtherMagnitudes` where the unit is Vega or ST.

    Raises
    ------
    ValueError
        If the unit does not fit; the text says which do.
    """
    spelled = re.sub(r"\s+", "", unit).lower()
    own = UNITS[name]
    if not spelled or spelled == re.sub(r"\s+", "", own).lower():
        return tuple(numbers)
    if name == "mag" and spelled in SYSTEMS:
        return OtherMagnitudes(numbers, SYSTEMS[spelled])
    factor = FACTORS.get(own, {}).get(spelled)
    if factor is not None:
        return tuple(number * factor for number in numbers)
    from starsmith.data_contract.unit_conversion import to_glossary

    try:
        return tuple(float(x) for x in to_glossary(name, list(numbers), unit))
    except ValueError:
        known = SHOWN.get(own, own)
        raise ValueError(f"{unit.strip()} is no unit of {name}; write {known}") from None
