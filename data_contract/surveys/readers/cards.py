"""What several readers ask of FITS headers and tables: numbers, texts, velocities of redshifts."""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S

__all__ = ["ANGSTROM_FWHM", "number", "rv_of_redshift", "text"]

ANGSTROM_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))  # of a Gaussian over its sigma
UNKNOWN = (-9999.0, -999.0, 9999.0)


def number(cards: Mapping[str, object], name: str) -> float | None:
    """Number on a card or in a row; None where there is none, or one that stands for none."""
    try:
        value = float(cards[name])
    except (KeyError, TypeError, ValueError):
        return None
    return value if np.isfinite(value) and value not in UNKNOWN else None


def text(cards: Mapping[str, object], name: str) -> str:
    """Text on a card or in a row, without blanks around it; empty where there is none."""
    try:
        value = cards[name]
    except KeyError:
        return ""
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def rv_of_redshift(z: float | None) -> float | None:
    """Velocity [km/s] of a star's redshift; None where it is no star's."""
    return None if z is None or abs(z) > 0.01 else LIGHT_SPEED_KM_S * z
